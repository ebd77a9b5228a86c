//! What several test binaries need: a runtime on which one fiber runs at a time, a fiber that is known to wait, choices
//! that can be repeated, streams of work at once, the kernel's threads, and the check that nothing is left behind at the end.
//!
//! What must not compile is here as well, since a test binary cannot say so: what may be changed through a shared reference
//! is not one of a shorter lifetime (`tests/types/variance.rs` has what may).
//!
//! ```compile_fail
//! fn shorten<'s, 'l: 's>(long: &'l abaca::sync::Mutex<&'l u8>) -> &'s abaca::sync::Mutex<&'s u8> { long }
//! ```
//! ```compile_fail
//! use abaca::sync::MutexGuard;
//! fn shorten<'s, 'l: 's>(long: MutexGuard<'l, &'l u8>) -> MutexGuard<'s, &'s u8> { long }
//! ```
//! ```compile_fail
//! use abaca::sync::RwLockWriteGuard;
//! fn shorten<'s, 'l: 's>(long: RwLockWriteGuard<'l, &'l u8>) -> RwLockWriteGuard<'s, &'s u8> { long }
//! ```
//! ```compile_fail
//! fn shorten<'s, 'l: 's>(long: &'l abaca::sync::OnceLock<&'l u8>) -> &'s abaca::sync::OnceLock<&'s u8> { long }
//! ```
//! ```compile_fail
//! fn shorten<'s, 'l: 's>(long: abaca::channel::Sender<&'l u8>) -> abaca::channel::Sender<&'s u8> { long }
//! ```
//! ```compile_fail
//! type Key<T> = abaca::fiber::LocalKey<T>;
//! fn shorten(long: &'static Key<for<'a> fn(&'a u8)>) -> &'static Key<fn(&'static u8)> { long }
//! ```
//! ```compile_fail
//! fn shorten<'s, 'l: 's, 'e>(long: &'s abaca::Scope<'l, 'e>) -> &'s abaca::Scope<'s, 'e> { long }
//! ```

mod choices;
mod gdb;
pub mod leaks;
mod skip;
mod storm;
mod terminal;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use abaca::JoinHandle;

pub use choices::Choices;
pub use gdb::{has_gdb, leaving_a_core, let_gdb_attach, with_gdb};
pub use skip::{Tool, skip};
pub use storm::{Stream, on_threads_and_fibers, patiently, storm};
pub use terminal::terminal;
pub use threads::{
    has_own_storage, kernel_thread, kernel_thread_name, with_shared_storage, with_workers_on_their_threads,
};

/// Runs `f` on a runtime with one worker, which stays on its thread: so one fiber runs at a time. On a busy machine it may take long to end
/// many fibers, and a runtime that gives up waiting for them leaves its state behind.
pub fn on_one_worker<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    let builder =
        with_workers_on_their_threads().workers(1).shutdown_timeout(std::time::Duration::from_secs(600));
    builder.build().expect("a worker starts").run(f)
}

/// Spawns a fiber and yields until it has begun; with one worker it then waits in `body`, or has ended.
///
/// A call that comes before its wait may yield instead, if the last look at timers and descriptors is long ago: as on a machine
/// that took the processor away meanwhile. So it has several turns.
pub fn begun<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let begun = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&begun);
    let fiber = abaca::spawn(move || {
        theirs.store(true, SeqCst);
        body()
    });
    while !begun.load(SeqCst) {
        abaca::yield_now();
    }
    (0..10).for_each(|_| abaca::yield_now());
    fiber
}
