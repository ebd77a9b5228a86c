//! Fiber-local storage: `fiber_local!` and [`LocalKey`], mirroring `thread_local!` and
//! [`std::thread::LocalKey`].

#![expect(unsafe_code, reason = "uses the store of the calling fiber")]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::cell::{Destroyed, Locals};
use crate::scheduler;

/// Declares fiber-local keys, with the syntax of [`std::thread_local!`].
///
/// Each fiber, and each plain thread, has a value of its own. The initialiser makes it at the first use. The values of a fiber
/// are dropped when the fiber ends, the newest first. As with thread-locals, a destructor may use other values, and even make
/// them. A destructor that panics aborts the process. Destructors are not [cancelled](crate::cancel).
///
/// A [coroutine](crate::coroutine) may be suspended inside of [`with`](LocalKey::with) and outlive its fiber. The value that it
/// uses is then dropped when it leaves `with`. After that, the coroutine sees the values of the fiber that resumes it.
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
#[doc(alias = "task_local")]
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
    /// As with std, a key is invariant in its type.
    is_invariant: PhantomData<fn(T) -> T>,
    /// Gives the key a size, so that two keys never share an address.
    _address: u8,
}

/// The error of [`LocalKey::try_with`]: the fiber is ending and has dropped this value. Mirrors [`std::thread::AccessError`].
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
    /// The values of a plain thread. `END` drops them, so that they can still be used while they are dropped.
    static THREAD: ManuallyDrop<Locals> = const { ManuallyDrop::new(Locals::new()) };
    static END: ThreadEnd = const { ThreadEnd };
    /// Whether `END` has dropped the values.
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

    /// Calls `f` with the value of the calling fiber, which is made first if there is none.
    ///
    /// `f` may block: other fibers have values of their own.
    ///
    /// # Panics
    ///
    /// If the fiber is ending and has dropped this value; [`try_with`](Self::try_with) returns an error instead.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use std::cell::RefCell;
    ///
    /// abaca::fiber_local! {
    ///     static NOTES: RefCell<Vec<&'static str>> = RefCell::new(Vec::new());
    /// }
    /// NOTES.with(|notes| notes.borrow_mut().push("mine"));
    /// abaca::spawn(|| NOTES.with(|notes| assert!(notes.borrow().is_empty()))).join().unwrap();
    /// assert_eq!(NOTES.with(|notes| notes.borrow().len()), 1);
    /// # });
    /// ```
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        f(&self.value_or_panic())
    }

    /// Like [`with`](Self::with), without its panic.
    ///
    /// # Errors
    ///
    /// [`AccessError`]: the fiber is ending and has dropped this value.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        // Shared, so that it stays until `f` has returned: a coroutine may outlive its fiber in the middle of `f`.
        let value = self.value()?;
        Ok(f(&value))
    }

    /// The value, for methods that panic.
    #[track_caller]
    fn value_or_panic(&'static self) -> Rc<T> {
        match self.value() {
            Ok(value) => value,
            Err(error) => panic!("cannot access a fiber-local value: {error}"),
        }
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
        // No store is borrowed meanwhile: in a coroutine, the initialiser may go on in another fiber.
        let value = Rc::new((self.init)());
        if before != scheduler::current_fiber()
            && let Some(value) = with_locals(|locals| locals.get(self.key()))?
        {
            return Ok(value);
        }
        // The initialiser may itself have made a value, which is replaced. It is dropped out here, since its destructor is the
        // user's code.
        let _replaced = with_locals(|locals| locals.insert(self.key(), &value))?;
        Ok(value)
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Makes `value` the first value, without the initialiser. Returns it if there is a value already.
    #[track_caller]
    fn set_first(&'static self, value: T) -> Option<T> {
        let make_first = || {
            if with_locals(|locals| locals.get::<T>(self.key()))?.is_some() {
                return Ok(Some(value));
            }
            let value = Rc::new(value);
            with_locals(|locals| locals.insert(self.key(), &value))?;
            Ok(None)
        };
        let made: Result<Option<T>, AccessError> = make_first();
        match made {
            Ok(left) => left,
            Err(error) => panic!("cannot access a fiber-local value: {error}"),
        }
    }
}

/// Calls `f`, which runs no code of the user's, with the store of the calling fiber or thread.
fn with_locals<R>(f: impl FnOnce(&Locals) -> Result<R, Destroyed>) -> Result<R, AccessError> {
    let done = match scheduler::current_fiber().or_else(scheduler::forked::former_fiber) {
        // SAFETY: the caller is this fiber, or goes on in its code; it does not end in `f`.
        Some(me) => f(unsafe { &(*me.as_ptr()).locals }),
        None if ENDED.get() => Err(Destroyed),
        None => {
            // The first use registers its destructor. Later ones may find that it is running.
            let _ = END.try_with(|_| ());
            THREAD.with(|locals| f(locals))
        }
    };
    done.map_err(|Destroyed| AccessError)
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value. If there is none yet, this one is the first: the initialiser does not run.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    #[track_caller]
    pub fn set(&'static self, value: T) {
        if let Some(value) = self.set_first(Cell::new(value)) {
            self.with(|cell| cell.set(value.into_inner()));
        }
    }

    /// Returns a copy of the value.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the value and returns the old one.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with the value borrowed.
    ///
    /// # Panics
    ///
    /// If it is mutably borrowed; and as [`with`](LocalKey::with).
    #[track_caller]
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        // Not in a closure, so that the panic of a value that is borrowed blames the caller.
        f(&self.value_or_panic().borrow())
    }

    /// Calls `f` with the value mutably borrowed.
    ///
    /// # Panics
    ///
    /// If it is borrowed; and as [`with`](LocalKey::with).
    ///
    /// ```
    /// # abaca::run(|| {
    /// use std::cell::RefCell;
    ///
    /// abaca::fiber_local! {
    ///     static NOTES: RefCell<Vec<u8>> = RefCell::new(Vec::new());
    /// }
    /// NOTES.with_borrow_mut(|notes| notes.push(1));
    /// assert_eq!(NOTES.with_borrow(Vec::len), 1);
    /// assert_eq!(NOTES.take(), [1]);
    /// # });
    /// ```
    #[track_caller]
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        f(&mut self.value_or_panic().borrow_mut())
    }

    /// Sets the value. If there is none yet, this one is the first: the initialiser does not run.
    ///
    /// # Panics
    ///
    /// If it is borrowed; and as [`with`](LocalKey::with).
    #[track_caller]
    pub fn set(&'static self, value: T) {
        if let Some(value) = self.set_first(RefCell::new(value)) {
            self.replace(value.into_inner());
        }
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// If it is borrowed; and as [`with`](LocalKey::with).
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.replace(T::default())
    }

    /// Replaces the value and returns the old one.
    ///
    /// # Panics
    ///
    /// If it is borrowed; and as [`with`](LocalKey::with).
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.value_or_panic().replace(value)
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}
