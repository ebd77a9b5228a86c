//! `LazyLock`: std's, for fibers and threads alike.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Mutex;

use super::once::Once;
use super::once_lock::OnceLock;
use crate::atomic::const_fn;
use crate::park::primitive as park;

/// A value that is made when it is first needed, as [`std::sync::LazyLock`]. A fiber that needs it while another caller makes
/// it parks.
///
/// If the initialisation panics, each later use panics, too. The initialisation is not cancelled.
///
/// ```
/// use abaca::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u32>> = LazyLock::new(|| (0..10).map(|n| n * n).collect());
/// assert_eq!(SQUARES[4], 16);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    /// Poisoned by an initialisation that panicked.
    once: Once,
    /// Taken by the caller that makes the value. No caller waits for this lock, because the `Once` admits one.
    init: Mutex<Option<F>>,
}

impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    const_fn! {
        /// Creates a value that `f` will make.
        pub const fn new(f: F) -> Self {
            Self { value: OnceLock::new(), once: Once::new(), init: Mutex::new(Some(f)) }
        }
    }

    /// The value, which is made now if it has not been made yet. `&**this` does the same.
    ///
    /// # Panics
    ///
    /// If the initialisation panics or has panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::LazyLock;
    ///
    /// let value = LazyLock::new(|| 7);
    /// assert_eq!(LazyLock::get(&value), None);
    /// assert_eq!(*LazyLock::force(&value), 7);
    /// assert_eq!(LazyLock::get(&value), Some(&7));
    /// ```
    #[inline]
    pub fn force(this: &Self) -> &T {
        match this.value.get() {
            Some(value) => value,
            None => this.make(),
        }
    }

    /// A mutable reference to the value, which is made now if it has not been made yet.
    ///
    /// # Panics
    ///
    /// If the initialisation panics or has panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::LazyLock;
    ///
    /// let mut value = LazyLock::new(|| vec![1]);
    /// LazyLock::force_mut(&mut value).push(2);
    /// assert_eq!(*value, [1, 2]);
    /// ```
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        this.value.get_mut().expect("it was made")
    }

    #[cold]
    fn make(&self) -> &T {
        self.once.call_once_force(|_| {
            let taken = self.init.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            // An initialisation that panicked has taken it, since the `Once` admits one.
            let Some(init) = taken else { panic!("LazyLock instance has previously been poisoned") };
            // The closure cannot be called again, so it must not be cancelled.
            let made = park::shield(init);
            if self.value.set(made).is_err() {
                unreachable!("the `Once` admits one");
            }
        });
        self.value.get().expect("it was made")
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it has been made. Never waits.
    pub fn get(this: &Self) -> Option<&T> {
        this.value.get()
    }

    /// A mutable reference to the value, if it has been made.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.value.get_mut()
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    /// # Panics
    ///
    /// If the initialisation panics or has panicked.
    #[inline]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    /// # Panics
    ///
    /// If the initialisation panics or has panicked.
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        Self::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T> From<T> for LazyLock<T> {
    fn from(value: T) -> Self {
        Self { value: OnceLock::from(value), once: Once::new(), init: Mutex::new(None) }
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("LazyLock");
        match self.value.get() {
            Some(value) => out.field(value),
            None => out.field(&format_args!("<uninit>")),
        };
        out.finish()
    }
}
