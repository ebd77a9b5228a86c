//! The store of a fiber's local values, which `fiber_local!` keys look up.
//!
//! A small vector searched by the key's address: fibers have few locals, and most have none, so an unused store
//! is one null word in the header. Each plain thread has a store in a thread-local.
//!
//! The users of a value share it: a coroutine that is suspended in the middle of a use may outlive the fiber, or an
//! initialiser that resumes it may replace the value that it uses. The last user drops such a value.

#![expect(unsafe_code, reason = "the store is changed through shared references, by one thread")]

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::Cancelled;

/// The values of one fiber, used only by the thread that runs it.
pub(crate) struct Locals(UnsafeCell<Option<Box<State>>>);

#[derive(Default)]
struct State {
    /// The keys and values, oldest first.
    values: Vec<(usize, Rc<dyn Any>)>,
    /// The keys whose values have been dropped, or are being dropped: they get no other value.
    destroyed: Vec<usize>,
}

/// The value for a key has been dropped, or is being dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destroyed;

impl Locals {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: only the thread that runs the fiber calls this (the header's rule), and no caller runs foreign
        // code inside of `f`: initialisers and destructors run outside of it.
        f(unsafe { (*self.0.get()).get_or_insert_default() })
    }

    /// The value for `key`; `Ok(None)` if it has not been made yet.
    pub(crate) fn get<T: 'static>(&self, key: usize) -> Result<Option<Rc<T>>, Destroyed> {
        self.with(|state| match state.values.iter().find(|(known, _)| *known == key) {
            Some((_, value)) => Ok(Rc::clone(value).downcast().ok()),
            None if state.destroyed.contains(&key) => Err(Destroyed),
            None => Ok(None),
        })
    }

    /// Stores the value for `key`, shared with the caller. Returns the value that was there, which the caller must drop.
    pub(crate) fn insert<T: 'static>(
        &self,
        key: usize,
        value: &Rc<T>,
    ) -> Result<Option<Rc<dyn Any>>, Destroyed> {
        self.with(|state| {
            if state.destroyed.contains(&key) {
                return Err(Destroyed);
            }
            let value: Rc<dyn Any> = Rc::<T>::clone(value);
            if let Some((_, old)) = state.values.iter_mut().find(|(known, _)| *known == key) {
                return Ok(Some(std::mem::replace(old, value)));
            }
            state.values.push((key, value));
            Ok(None)
        })
    }

    /// Whether a value was ever made or looked up.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // SAFETY: as in `with`.
        unsafe { (*self.0.get()).is_some() }
    }

    /// Drops all values, newest first, and those that destructors make meanwhile. A destructor may use values that are not
    /// dropped yet.
    ///
    /// A destructor that panics aborts the process, as that of a thread-local does: there is no caller to pass the panic on to.
    pub(crate) fn destroy(&self) {
        while let Some((key, newest)) = self.with(|state| state.values.pop()) {
            self.with(|state| state.destroyed.push(key));
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(newest)));
            // A destructor unwinds with `Cancelled` only if the runtime is shutting down and refuses a call of the destructor.
            if dropped.is_err_and(|payload| !Cancelled::is_own(&*payload)) {
                let _ = writeln!(io::stderr(), "fatal runtime error: fiber-local panicked on drop, aborting");
                std::process::abort();
            }
        }
    }

    /// [`destroy`](Self::destroy), after which the store is as new.
    pub(crate) fn clear(&self) {
        self.destroy();
        // SAFETY: as in `with`. No value of the user is dropped here.
        drop(unsafe { (*self.0.get()).take() });
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locals(..)")
    }
}
