//! The store of a fiber's local values: what `fiber_local!` keys resolve to.
//!
//! A small vector searched by the key's address: fibers have few locals, and most have none, so an unused store
//! is one null word in the header. Plain threads keep one of these in a thread-local.
//!
//! Who uses a value shares it: a coroutine that is suspended in the middle of a use may outlive the fiber, or be resumed by
//! an initialiser whose value replaces the one that is in use. Such a value is dropped by its last user.

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
    /// Key and value, oldest first.
    values: Vec<(usize, Rc<dyn Any>)>,
    /// The keys whose values have been dropped, or are being: they get no other.
    gone: Vec<usize>,
}

/// The value for a key has been dropped, or is being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Locals {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: only the thread that runs the fiber calls this (the header's rule), and no caller runs foreign
        // code inside of `f`: initialisers and destructors run outside of it.
        f(unsafe { (*self.0.get()).get_or_insert_default() })
    }

    /// The value for `key`, if it was made.
    pub(crate) fn get<T: 'static>(&self, key: usize) -> Result<Option<Rc<T>>, Gone> {
        self.with(|state| match state.values.iter().find(|(known, _)| *known == key) {
            Some((_, value)) => Ok(Rc::clone(value).downcast().ok()),
            None if state.gone.contains(&key) => Err(Gone),
            None => Ok(None),
        })
    }

    /// Shares the value for `key`. Returns the one that was there, which is the caller's to drop.
    pub(crate) fn insert<T: 'static>(&self, key: usize, value: &Rc<T>) -> Result<Option<Rc<dyn Any>>, Gone> {
        self.with(|state| {
            if state.gone.contains(&key) {
                return Err(Gone);
            }
            let value: Rc<dyn Any> = Rc::<T>::clone(value);
            if let Some((_, old)) = state.values.iter_mut().find(|(known, _)| *known == key) {
                return Ok(Some(std::mem::replace(old, value)));
            }
            state.values.push((key, value));
            Ok(None)
        })
    }

    /// Whether a value was ever made, or asked for.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // SAFETY: as in `with`.
        unsafe { (*self.0.get()).is_some() }
    }

    /// Drops all values, newest first, and those that destructors make meanwhile. A destructor may use what is not dropped
    /// yet.
    ///
    /// A destructor that panics aborts the process, as that of a thread-local does: there is nobody to tell.
    pub(crate) fn destroy(&self) {
        while let Some((key, newest)) = self.with(|state| state.values.pop()) {
            self.with(|state| state.gone.push(key));
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(newest)));
            // Only a runtime that shuts down, and refuses what the destructor wants, unwinds with that.
            if dropped.is_err_and(|payload| !Cancelled::is_own(&*payload)) {
                let _ = writeln!(io::stderr(), "fatal runtime error: fiber-local panicked on drop, aborting");
                std::process::abort();
            }
        }
    }

    /// [`destroy`](Self::destroy), after which the store is as new.
    pub(crate) fn clear(&self) {
        self.destroy();
        // SAFETY: as in `with`. Nothing of the user's is dropped here.
        drop(unsafe { (*self.0.get()).take() });
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locals(..)")
    }
}
