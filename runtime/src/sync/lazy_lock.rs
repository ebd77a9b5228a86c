//! `LazyLock`: std's, for fibers and threads alike.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Mutex;

use super::once::Once;
use super::once_lock::OnceLock;
use crate::atomic::const_fn;
use crate::park::primitive as park;

/// A value that is made when it is first needed, as [`std::sync::LazyLock`]. Whoever needs it while another makes it
/// parks.
///
/// If the making panics, so does every later use.
///
/// ```
/// use abaca::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u32>> = LazyLock::new(|| (0..10).map(|n| n * n).collect());
/// assert_eq!(SQUARES[4], 16);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    /// Poisoned by a making that panicked.
    once: Once,
    /// Taken by the one who makes the value. Nobody waits for this lock: the `Once` admits one.
    make: Mutex<Option<F>>,
}

impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    const_fn! {
        /// A value that `f` will make.
        pub const fn new(f: F) -> Self {
            Self { value: OnceLock::new(), once: Once::new(), make: Mutex::new(Some(f)) }
        }
    }

    /// The value, made now if need be. `&**this` does the same.
    ///
    /// # Panics
    ///
    /// If the making panics, or has.
    #[inline]
    pub fn force(this: &Self) -> &T {
        match this.value.get() {
            Some(value) => value,
            None => this.make(),
        }
    }

    /// The value, to be changed, made now if need be.
    ///
    /// # Panics
    ///
    /// If the making panics, or has.
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        this.value.get_mut().expect("it was made")
    }

    #[cold]
    fn make(&self) -> &T {
        self.once.call_once_force(|_| {
            let taken = self.make.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            // It was taken by a making that panicked: the `Once` admits one.
            let Some(make) = taken else { panic!("LazyLock instance has previously been poisoned") };
            // The closure cannot be called again, so it is not cancelled.
            let made = park::shield(make);
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

    /// The value, to be changed, if it has been made.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.value.get_mut()
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    /// # Panics
    ///
    /// If the making panics, or has.
    #[inline]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    /// # Panics
    ///
    /// If the making panics, or has.
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
        Self { value: OnceLock::from(value), once: Once::new(), make: Mutex::new(None) }
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
