//! Fiber-local storage: `fiber_local!` and [`LocalKey`], mirroring `thread_local!` and
//! [`std::thread::LocalKey`].

#![expect(unsafe_code, reason = "uses the store of the calling fiber")]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::cell::{Gone, Locals};
use crate::scheduler;

/// Declares fiber-local keys, with the syntax of [`std::thread_local!`].
///
/// Each fiber (and each plain thread) has a value of its own, made by the initialiser at the first use and
/// dropped when the fiber ends, newest first. As with thread-locals, a destructor may use, and even make, other values; one
/// that panics aborts the process; and it is not [cancelled](crate::cancel).
///
/// A value that is in use when its fiber ends, by a [coroutine](crate::coroutine) that is suspended inside of
/// [`with`](LocalKey::with) and outlives the fiber, is dropped when the coroutine lets go of it. What the coroutine asks for
/// from then on is the value of the fiber that resumes it.
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
    /// As std's, a key is of exactly one type.
    is_invariant: PhantomData<fn(T) -> T>,
    /// Gives the key a size, so that two keys never share an address.
    _address: u8,
}

/// The fiber has dropped this local already, or is about to. Mirrors [`std::thread::AccessError`].
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
    /// The values of a plain thread. `END` drops them, so they can be used while they are dropped.
    static THREAD: ManuallyDrop<Locals> = const { ManuallyDrop::new(Locals::new()) };
    static END: ThreadEnd = const { ThreadEnd };
    /// `END` has dropped the values.
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

/// Drops the thread's values when the thread drops its own thread-locals.
struct ThreadEnd;

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        THREAD.with(|locals| locals.clear());
        ENDED.set(true);
    }
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(init: fn() -> T) -> Self {
        Self { init, is_invariant: PhantomData, _address: 0 }
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
        // Shared, so that it stays until `f` has returned: a coroutine may leave its fiber in the middle of `f`.
        let value = self.value()?;
        Ok(f(&value))
    }

    fn value(&'static self) -> Result<Rc<T>, AccessError> {
        match with_locals(|locals| locals.get(self.key()))? {
            Some(value) => Ok(value),
            None => self.make(),
        }
    }

    #[cold]
    fn make(&'static self) -> Result<Rc<T>, AccessError> {
        let before = scheduler::current_fiber();
        // No store is at hand meanwhile: in a coroutine, this may go on in another fiber.
        let value = Rc::new((self.init)());
        if before != scheduler::current_fiber()
            && let Some(value) = with_locals(|locals| locals.get(self.key()))?
        {
            return Ok(value);
        }
        // One that the initialiser itself may have made is replaced, and dropped out here: that is the user's code.
        let _replaced = with_locals(|locals| locals.insert(self.key(), &value))?;
        Ok(value)
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Makes `value` the first value, without the initialiser; hands it back when there is one already.
    fn set_first(&'static self, value: T) -> Option<T> {
        let make_first = || {
            if with_locals(|locals| locals.get::<T>(self.key()))?.is_some() {
                return Ok(Some(value));
            }
            let value = Rc::new(value);
            with_locals(|locals| locals.insert(self.key(), &value))?;
            Ok(None)
        };
        make_first().unwrap_or_else(|error: AccessError| panic!("cannot access a fiber-local value: {error}"))
    }
}

/// Calls `f`, which runs nothing of the user's, with the store of whoever calls.
fn with_locals<R>(f: impl FnOnce(&Locals) -> Result<R, Gone>) -> Result<R, AccessError> {
    let done = match scheduler::current_fiber() {
        // SAFETY: the caller is this fiber, and does not end in `f`.
        Some(me) => f(unsafe { &(*me.as_ptr()).locals }),
        None if ENDED.get() => Err(Gone),
        None => {
            // The first use registers its destructor. Later ones may find that it is running.
            let _ = END.try_with(|_| ());
            THREAD.with(|locals| f(locals))
        }
    };
    done.map_err(|Gone| AccessError)
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
