//! What several test binaries need: a runtime on which one fiber runs at a time, a fiber that is known to wait, choices
//! that can be repeated, and streams of work at once.

mod choices;
mod storm;
mod terminal;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use abaca::{JoinHandle, Runtime};

pub use choices::Choices;
pub use storm::{Stream, on_threads_and_fibers, patiently, storm};
pub use terminal::terminal;

/// Runs `f` on a runtime with one worker.
pub fn on_one_worker<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    Runtime::builder().workers(1).build().expect("a worker starts").run(f)
}

/// Spawns a fiber and yields until it has begun; with one worker it then waits in `body`, or has ended.
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
    fiber
}
