//! `OnceLock`: std's, for fibers and threads alike.

#![expect(unsafe_code, reason = "the value is there once the `Once` has completed")]

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;
use crate::atomic::const_fn;

/// A place that is written once, as [`std::sync::OnceLock`]. Whoever needs the value while another makes it parks.
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
    /// There once `once` is completed, and written only by the one who runs it. An `Option`, so that nothing is to be done
    /// at the drop: a `Drop` of our own would want what the value borrows to outlive the place, which std's does not.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: threads share the value, and one may drop what another has made.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}
// SAFETY: moving it moves the value.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    const_fn! {
        /// An empty one.
        #[must_use]
        pub const fn new() -> Self {
            Self { once: Once::new(), value: UnsafeCell::new(None) }
        }
    }

    /// The value, if it is there. Never waits.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: completed, so the value is there, and never written again while it is shared.
        self.once.is_completed().then(|| unsafe { (*self.value.get()).as_ref().unwrap_unchecked() })
    }

    /// The value, if it is there.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until somebody has set the value.
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        self.get().expect("it was waited for")
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// The given value, if there is one already.
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
    /// The value that is there already, and the given one.
    pub fn try_insert(&self, value: T) -> Result<&T, (&T, T)> {
        let mut value = Some(value);
        let present = self.get_or_init(|| value.take().expect("called once"));
        match value {
            None => Ok(present),
            Some(value) => Err((present, value)),
        }
    }

    /// The value; if there is none, `f` makes it. If several come first, one makes it and the others wait.
    ///
    /// # Panics
    ///
    /// If `f` panics; the place then stays empty. Asking for the value within `f` waits for ever.
    #[inline]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        match self.get_or_try_init(|| Ok::<T, std::convert::Infallible>(f())) {
            Ok(value) => value,
        }
    }

    /// The value, to be changed; if there is none, `f` makes it.
    ///
    /// # Panics
    ///
    /// If `f` panics.
    pub fn get_mut_or_init<F: FnOnce() -> T>(&mut self, f: F) -> &mut T {
        self.get_or_init(f);
        self.get_mut().expect("it has just been made")
    }

    /// The value; if there is none, `f` makes it or fails.
    ///
    /// # Errors
    ///
    /// That of `f`; the place then stays empty.
    ///
    /// # Panics
    ///
    /// If `f` panics.
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
                // SAFETY: whoever runs the `Once` is the only one to use the place, which is empty.
                unsafe { *self.value.get() = Some(value) };
            }
            Err(error) => {
                result = Err(error);
                state.fail();
            }
        });
        result
    }

    /// Takes the value out, and leaves the place empty.
    pub fn take(&mut self) -> Option<T> {
        let value = self.value.get_mut().take()?;
        self.once = Once::new();
        Some(value)
    }

    /// Takes the place apart.
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
