//! The runtime of the threads that plain threads make.

#![expect(unsafe_code, reason = "watches forks, and keeps a runtime for the life of the process")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use abaca::Runtime;
use abaca::hook::{self, AtFork, PerProcess};

use super::create::{ALIVE, stay_threads};
use super::record::Record;
use crate::refused;

/// The runtime of the threads that plain threads make; null before the first. It lives as long as the process. In a copy of the process by
/// fork(2) none of its threads is left, so the copy makes another, for what the thread that has forked starts.
static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(ptr::null_mut());

/// Held by who makes the runtime. A copy of the process makes its own, whoever is about to in the original.
static MAKING: PerProcess<()> = PerProcess::new(|| ());

/// What std gives a thread, which is the most frequent size.
pub(super) const STACK_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of a fiber's stack that a thread of the same size does not need: where a thread makes a system call, a fiber calls the
/// runtime.
pub(super) const EXTRA_BYTES: usize = 16 * 1024;

/// Whether the process's own runtime has been started.
pub(crate) fn has_runtime() -> bool {
    !RUNTIME.load(Ordering::Acquire).is_null()
}

/// That runtime, which the first call makes; `None` if it cannot be had.
pub(super) fn runtime() -> Option<&'static Runtime> {
    // Acquire: pairs with the Release below.
    // SAFETY: null, or a runtime that is never freed.
    if let Some(runtime) = unsafe { RUNTIME.load(Ordering::Acquire).as_ref() } {
        return Some(runtime);
    }
    let _making = MAKING.lock();
    // SAFETY: as above.
    if let Some(runtime) = unsafe { RUNTIME.load(Ordering::Acquire).as_ref() } {
        return Some(runtime);
    }
    if let Some(name) = refused::first_refused() {
        // The filter is the program's own, which it has set up since.
        eprintln!("abaca-transparent: threads stay threads: {}", refused::reason(name));
        stay_threads();
        return None;
    }
    if !hook::has_memory_for_runtime() {
        return None;
    }
    static WATCH: AtFork = AtFork::in_each_copy(lose_runtime);
    WATCH.set_up();
    let builder = Runtime::builder().own_tls(true).stack_size(STACK_BYTES + EXTRA_BYTES);
    let built = builder.build();
    let runtime =
        built.inspect_err(|error| eprintln!("abaca-transparent: no runtime for threads: {error}")).ok()?;
    let runtime = Box::leak(Box::new(runtime));
    RUNTIME.store(runtime, Ordering::Release);
    Some(runtime)
}

/// In a child of fork(2) there is one thread, which is none of the runtime's, unless a fiber has forked.
extern "C" fn lose_runtime() {
    RUNTIME.store(ptr::null_mut(), Ordering::Release);
    ALIVE.store(Record::current().is_some().into(), Ordering::Relaxed);
}
