//! The store of a fiber's local values: what `fiber_local!` keys resolve to.
//!
//! A small vector searched by the key's address: fibers have few locals, and most have none, so an unused store
//! is one null word in the header. Plain threads keep one of these in a thread-local.

#![expect(unsafe_code, reason = "values are lent out while the vector that owns their boxes may grow")]

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// The values of one fiber, used only by the thread that runs it.
pub(crate) struct Locals(UnsafeCell<Option<Box<State>>>);

#[derive(Default)]
struct State {
    /// Key and boxed value, oldest first. Boxes keep the values in place while the vector grows.
    values: Vec<(usize, Box<dyn Any>)>,
    destroyed: bool,
}

impl Locals {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: only the thread that runs the fiber calls this (the header's rule), and no caller runs foreign
        // code inside of `f`: initialisers and destructors run outside of it.
        f(unsafe { (*self.0.get()).get_or_insert_default() })
    }

    /// The value for `key`, if it was made and is not dropped yet.
    pub(crate) fn get<T: 'static>(&self, key: usize) -> Option<NonNull<T>> {
        self.with(|state| {
            let (_, value) = state.values.iter_mut().find(|(known, _)| *known == key)?;
            value.downcast_mut::<T>().map(NonNull::from)
        })
    }

    /// Whether new values can still be made.
    pub(crate) fn accepts(&self) -> bool {
        self.with(|state| !state.destroyed)
    }

    /// Stores the value for `key`, replacing one that its own initialiser may have made meanwhile. False once the
    /// fiber has begun to drop its locals.
    pub(crate) fn insert<T: 'static>(&self, key: usize, value: T) -> bool {
        let value: Box<dyn Any> = Box::new(value);
        // What is replaced or refused is the user's to drop, hence outside of `with`.
        let (inserted, _unwanted) = self.with(|state| {
            if state.destroyed {
                return (false, Some(value));
            }
            if let Some((_, old)) = state.values.iter_mut().find(|(known, _)| *known == key) {
                return (true, Some(std::mem::replace(old, value)));
            }
            state.values.push((key, value));
            (true, None)
        });
        inserted
    }

    /// Whether a value was ever made.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // SAFETY: as in `state`.
        unsafe { (*self.0.get()).is_some() }
    }

    /// Drops all values, newest first. A destructor may still use older values, and makes no new ones.
    ///
    /// None is left behind by one that panics: who frees the fiber's memory may do so on another thread, and the
    /// values need not be `Send`.
    pub(crate) fn destroy(&self) {
        self.with(|state| state.destroyed = true);
        while let Some(newest) = self.with(|state| state.values.pop()) {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(newest))) {
                // The panic hook has reported it. The payload's own destructor might panic as well.
                std::mem::forget(payload);
            }
        }
    }
}

impl Drop for Locals {
    fn drop(&mut self) {
        if self.any() {
            self.destroy();
        }
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locals(..)")
    }
}
