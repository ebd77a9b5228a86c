//! `OnceLock`: std's, for fibers and threads alike.

#![expect(unsafe_code, reason = "the value is there once the `Once` has completed")]

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;
use crate::atomic::const_fn;

/// A cell that is written once, as [`std::sync::OnceLock`]. A fiber that needs the value while another caller makes it parks.
///
/// ```
/// use abaca::sync::OnceLock;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
/// assert_eq!(CONFIG.get(), None);
/// assert_eq!(CONFIG.get_or_init(|| "made once".to_owned()), "made once");
/// assert_eq!(CONFIG.set("late".to_owned()), Err("late".to_owned()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// Present once `once` is completed. Written only by the caller that runs `once`. It is an `Option`, so that this type
    /// needs no `Drop`, which would require borrows in the value to outlive the cell. std's does not require that.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: threads share the value, and one thread may drop a value that another has made.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}
// SAFETY: moving the cell moves the value.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    const_fn! {
        /// Creates an empty cell.
        #[must_use]
        pub const fn new() -> Self {
            Self { once: Once::new(), value: UnsafeCell::new(None) }
        }
    }

    /// The value, if it has been set. Never waits.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: `once` is completed, so the value is there, and it is never written again while it is shared.
        self.once.is_completed().then(|| unsafe { (*self.value.get()).as_ref().unwrap_unchecked() })
    }

    /// The value, if it has been set.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until the value has been set.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::OnceLock;
    ///
    /// static VALUE: OnceLock<u32> = OnceLock::new();
    /// std::thread::spawn(|| VALUE.set(7));
    /// assert_eq!(*VALUE.wait(), 7);
    /// ```
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        self.get().expect("it was waited for")
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// If there is a value already. The error is the given value.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = abaca::sync::OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.try_insert(value) {
            Ok(_) => Ok(()),
            Err((_, value)) => Err(value),
        }
    }

    /// Sets the value and returns it.
    ///
    /// # Errors
    ///
    /// If there is a value already. The error contains it and the given value.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = abaca::sync::OnceLock::new();
    /// assert_eq!(cell.try_insert(1), Ok(&1));
    /// assert_eq!(cell.try_insert(2), Err((&1, 2)));
    /// ```
    pub fn try_insert(&self, value: T) -> Result<&T, (&T, T)> {
        let mut value = Some(value);
        let present = self.get_or_init(|| value.take().expect("called once"));
        match value {
            None => Ok(present),
            Some(value) => Err((present, value)),
        }
    }

    /// The value. If there is none, `f` makes it. If several callers come first, one runs `f` and the others wait.
    ///
    /// # Panics
    ///
    /// If `f` panics; the cell then stays empty. Asking for the value within `f` waits for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = abaca::sync::OnceLock::new();
    /// assert_eq!(*cell.get_or_init(|| 1), 1);
    /// assert_eq!(*cell.get_or_init(|| unreachable!()), 1);
    /// ```
    #[inline]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        match self.get_or_try_init(|| Ok::<T, std::convert::Infallible>(f())) {
            Ok(value) => value,
        }
    }

    /// A mutable reference to the value. If there is none, `f` makes it.
    ///
    /// # Panics
    ///
    /// If `f` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut cell = abaca::sync::OnceLock::new();
    /// *cell.get_mut_or_init(|| 1) += 1;
    /// assert_eq!(cell.get(), Some(&2));
    /// ```
    pub fn get_mut_or_init<F: FnOnce() -> T>(&mut self, f: F) -> &mut T {
        self.get_or_init(f);
        self.get_mut().expect("it has just been made")
    }

    /// The value. If there is none, `f` makes it or fails.
    ///
    /// # Errors
    ///
    /// If `f` fails, with its error. The cell then stays empty.
    ///
    /// # Panics
    ///
    /// If `f` panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = abaca::sync::OnceLock::new();
    /// assert!(cell.get_or_try_init(|| "x".parse::<u32>()).is_err());
    /// assert_eq!(cell.get_or_try_init(|| "7".parse::<u32>()), Ok(&7));
    /// ```
    #[inline]
    pub fn get_or_try_init<F: FnOnce() -> Result<T, E>, E>(&self, f: F) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        self.initialise(f)?;
        Ok(self.get().expect("it has just been made"))
    }

    #[cold]
    fn initialise<F: FnOnce() -> Result<T, E>, E>(&self, f: F) -> Result<(), E> {
        let mut result = Ok(());
        self.once.call_once_force(|state| match f() {
            Ok(value) => {
                // SAFETY: the caller that runs the `Once` is the only one that uses the cell, which is empty.
                unsafe { *self.value.get() = Some(value) };
            }
            Err(error) => {
                result = Err(error);
                state.fail();
            }
        });
        result
    }

    /// Takes the value out, and leaves the cell empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut cell = abaca::sync::OnceLock::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.get(), None);
    /// ```
    pub fn take(&mut self) -> Option<T> {
        let value = self.value.get_mut().take()?;
        self.once = Once::new();
        Some(value)
    }

    /// Consumes the cell and returns the value, if it has been set.
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let lock = Self::new();
        let _ = lock.set(value);
        lock
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().map_or_else(Self::new, |value| Self::from(value.clone()))
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => out.field(value),
            None => out.field(&format_args!("<uninit>")),
        };
        out.finish()
    }
}
