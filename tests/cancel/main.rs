//! `abaca::cancel`: cancellation in every blocking call, tokens, shields, scopes that fail, sets of fibers.

mod every_call;
mod io;
mod join_set;
mod scopes;
mod shield;
mod stress;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use abaca::{Cancelled, JoinHandle};

/// Spawns a fiber and yields until it has begun; with one worker it then waits in `body`.
fn begun<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
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

/// Whether that is what the join of a cancelled fiber returns.
fn is_cancelled<T>(result: std::thread::Result<T>) -> bool {
    matches!(result, Err(payload) if payload.is::<Cancelled>())
}

/// Runs `f` on a runtime with one worker.
fn on_one_worker<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    abaca::Runtime::builder().workers(1).build().unwrap().run(f)
}
