//! How loom takes std's place in models, under `--cfg loom`.
//!
//! A file whose protocol has a loom model takes its atomics, cells and spin hints from here and
//! nowhere else, so that the model checks the code that ships; and its [`Arc`] if the count is part of the protocol. Constructors
//! with such parts are written once, in [`const_fn`].
//!
//! What a model cannot run, since it asks the kernel, a clock or another stack, is a module of its own, for which
//! another file stands in: `#[cfg_attr(loom, path = "model_NAME.rs")] mod NAME;`.

mod backoff;

pub(crate) use backoff::{Backoff, CLOSE_BY, spin};
#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    hint::spin_loop,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    thread::yield_now as thread_yield,
};
#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

/// Offers the core to other threads. By the system call itself: `sched_yield` may be a function that lets other fibers run, which
/// the holder of a lock must not.
#[cfg(not(loom))]
pub(crate) fn thread_yield() {
    rustix::thread::sched_yield();
}

/// Constructors that are `const`, but for models, whose atomics cannot be made before the model runs.
macro_rules! const_fn {
    ($(#[$attribute:meta])* $visibility:vis const fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$attribute])*
        $visibility const fn $($rest)*

        #[cfg(loom)]
        $(#[$attribute])*
        $visibility fn $($rest)*
    };
}
pub(crate) use const_fn;

/// `loom::cell::UnsafeCell`'s interface over `std`'s, so that one source compiles against both.
#[cfg(not(loom))]
#[derive(Debug, Default)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer to the value for shared access.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer to the value for exclusive access.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

/// A part of a structure that other threads reach by pointer. Under loom it reports a use that is not ordered before the
/// structure's end; otherwise it is empty.
#[derive(Debug)]
pub(crate) struct Alive(#[cfg(loom)] UnsafeCell<()>);

#[cfg(not(loom))]
impl Alive {
    pub(crate) const fn new() -> Self {
        Self()
    }

    /// Notes a use.
    #[inline(always)]
    pub(crate) fn touch(&self) {}
}

#[cfg(loom)]
impl Alive {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(()))
    }

    /// Notes a use.
    pub(crate) fn touch(&self) {
        self.0.with(|_| ());
    }
}

#[cfg(loom)]
impl Drop for Alive {
    fn drop(&mut self) {
        // A model that has failed already is not checked any further.
        if !std::thread::panicking() {
            self.0.with_mut(|_| ());
        }
    }
}
