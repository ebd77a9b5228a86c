//! Threads, locks and sleeps: each scenario runs on threads of the kernel, which is the oracle, and on fibers.

mod block;
mod cancelled;
mod fair;
mod futex;
mod left;
mod libraries;
mod locked;
mod resting;
mod std_sync;
mod std_thread;

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::on_one_worker;

/// Runs `scenario` on threads of the kernel and on fibers of one worker, beside a neighbour that counts, and asserts that both
/// have the same result, and that the neighbour got on.
pub(crate) fn as_on_threads<T: PartialEq + Debug + Send + 'static>(scenario: fn() -> T) -> T {
    abaca_transparent::threads_are_fibers().unwrap();
    let on_threads = abaca_transparent::as_kernel_threads(|| thread::spawn(scenario)).join().unwrap();
    let on_fibers = on_one_worker(|| {
        static PROGRESS: AtomicU64 = AtomicU64::new(0);
        let is_over = std::sync::Arc::new(AtomicBool::new(false));
        let neighbour = {
            let is_over = is_over.clone();
            abaca::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    PROGRESS.fetch_add(1, Ordering::Relaxed);
                    abaca::yield_now();
                }
            })
        };
        let result = spawn(scenario).join().unwrap();
        is_over.store(true, Ordering::Relaxed);
        neighbour.join().unwrap();
        result
    });
    assert_eq!(on_fibers, on_threads);
    on_fibers
}

/// A thread of the caller's kind: a fiber's is a fiber.
pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if abaca::hook::on_fiber() {
        thread::spawn(f)
    } else {
        abaca_transparent::as_kernel_threads(|| thread::spawn(f))
    }
}

/// Waits until `is_true`; not for ever, so that a failure says where.
pub(crate) fn until(is_true: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(300);
    while !is_true() {
        assert!(Instant::now() < end, "it has not come true");
        thread::sleep(Duration::from_millis(1));
    }
}
