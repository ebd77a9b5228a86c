//! Fiber-local storage: `fiber_local!` and [`LocalKey`], mirroring `thread_local!` and
//! [`std::thread::LocalKey`].

#![expect(unsafe_code, reason = "lends out values that the calling fiber owns")]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr::NonNull;

use crate::fiber::Locals;
use crate::scheduler;

/// Declares fiber-local keys, with the syntax of [`std::thread_local!`].
///
/// Each fiber (and each plain thread) has a value of its own, made by the initialiser at the first use and
/// dropped when the fiber ends, newest first.
///
/// ```
/// use std::cell::Cell;
/// abaca::fiber_local! {
///     static REQUEST: Cell<u64> = Cell::new(0);
/// }
/// abaca::run(|| {
///     REQUEST.set(7);
///     abaca::spawn(|| assert_eq!(REQUEST.get(), 0)).join().unwrap();
///     assert_eq!(REQUEST.get(), 7);
/// });
/// ```
#[macro_export]
macro_rules! fiber_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const $init:block; $($rest:tt)*) => {
        $crate::fiber_local!($(#[$attr])* $vis static $name: $t = $init);
        $crate::fiber_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const $init:block) => {
        $crate::fiber_local!($(#[$attr])* $vis static $name: $t = $init);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr; $($rest:tt)*) => {
        $crate::fiber_local!($(#[$attr])* $vis static $name: $t = $init);
        $crate::fiber_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr) => {
        $(#[$attr])* $vis static $name: $crate::fiber::LocalKey<$t> = {
            fn init() -> $t { $init }
            $crate::fiber::LocalKey::__new(init)
        };
    };
}

/// A key made by [`fiber_local!`](crate::fiber_local). Mirrors [`std::thread::LocalKey`].
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
    /// Gives the key a size, so that two keys never share an address.
    _address: u8,
}

/// The fiber's locals are being dropped already. Mirrors [`std::thread::AccessError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fiber-local value already destroyed")
    }
}

impl std::error::Error for AccessError {}

thread_local! {
    /// The values of a plain OS thread.
    static THREAD: Locals = const { Locals::new() };
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(init: fn() -> T) -> Self {
        Self { init, _address: 0 }
    }

    /// Calls `f` with the calling fiber's value, which is made first if need be.
    ///
    /// # Panics
    ///
    /// If the fiber has begun to drop its locals and this one is gone; [`try_with`](Self::try_with) does not.
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.try_with(f).unwrap_or_else(|error| panic!("cannot access a fiber-local value: {error}"))
    }

    /// [`with`](Self::with) that does not panic.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the fiber has begun to drop its locals and this one is gone.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        let value = with_locals(|locals| self.value_in(locals))?.ok_or(AccessError)?;
        // SAFETY: the value is boxed and dropped only when the fiber ends, or when the initialiser that makes it returns;
        // it is the calling fiber's own, which is inside of `f` until then. A destructor that runs `with` at the end
        // sees only values not yet taken.
        Ok(f(unsafe { value.as_ref() }))
    }

    fn value_in(&'static self, locals: &Locals) -> Option<NonNull<T>> {
        let key = self.key();
        match locals.get(key) {
            None if locals.accepts() && locals.insert(key, (self.init)()) => locals.get(key),
            known => known,
        }
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Makes `value` the first value, without the initialiser; hands it back when there is one already.
    fn set_first(&'static self, value: T) -> Option<T> {
        let set = with_locals(|locals| {
            if locals.get::<T>(self.key()).is_none() && locals.accepts() {
                locals.insert(self.key(), value);
                return None;
            }
            Some(value)
        });
        set.unwrap_or_else(|error| panic!("cannot access a fiber-local value: {error}"))
    }
}

/// Calls `f` with the store of whoever calls.
fn with_locals<R>(f: impl FnOnce(&Locals) -> R) -> Result<R, AccessError> {
    match scheduler::current_fiber() {
        // SAFETY: the caller is this fiber.
        Some(me) => Ok(f(unsafe { &(*me.as_ptr()).locals })),
        None => THREAD.try_with(f).map_err(|_| AccessError),
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value. If there is none yet, this one is the first: the initialiser does not run.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn set(&'static self, value: T) {
        if let Some(value) = self.set_first(Cell::new(value)) {
            self.with(|cell| cell.set(value.into_inner()));
        }
    }

    /// A copy of the value.
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value, leaving the default.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the value and returns the old one.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with the value borrowed.
    ///
    /// # Panics
    ///
    /// If it is mutably borrowed.
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with the value mutably borrowed.
    ///
    /// # Panics
    ///
    /// If it is borrowed.
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value. If there is none yet, this one is the first: the initialiser does not run.
    ///
    /// # Panics
    ///
    /// If it is borrowed; and as [`with`](LocalKey::with).
    pub fn set(&'static self, value: T) {
        if let Some(value) = self.set_first(RefCell::new(value)) {
            self.replace(value.into_inner());
        }
    }

    /// Takes the value, leaving the default.
    ///
    /// # Panics
    ///
    /// If it is borrowed.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Replaces the value and returns the old one.
    ///
    /// # Panics
    ///
    /// If it is borrowed.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}
