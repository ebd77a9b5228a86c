//! Each call that blocks unwinds when its fiber is cancelled, from the same worker, from another, and from a plain thread;
//! and when the time of a `timeout` around it is up. It leaves nothing behind.

#![expect(unsafe_code, reason = "spawns a roaming fiber")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::time::timeout;

use super::waits::{self, Wait};
use super::{begun, is_cancelled, on_one_worker};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// `wait` in a fiber whose destructor is counted; the fiber never returns by itself.
fn counted(drops: &Arc<AtomicUsize>, wait: Wait) -> impl FnOnce() + Send + 'static {
    let drops = Counted(Arc::clone(drops));
    move || {
        let _drops = drops;
        wait();
        panic!("the wait has ended");
    }
}

#[test]
fn a_cancellation_on_the_same_worker_ends_every_wait() {
    on_one_worker(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        for (number, (name, wait)) in waits::in_fibers().enumerate() {
            let fiber = begun(counted(&drops, wait));
            abaca::yield_now();
            fiber.cancel();
            assert!(is_cancelled(fiber.join()), "{name}");
            assert_eq!(drops.load(SeqCst), number + 1, "{name}");
        }
    });
}

#[test]
fn a_cancellation_from_any_thread_ends_every_wait() {
    let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let mut count = 0;
    for from_a_fiber in [false, true] {
        // Some have not started when they are cancelled, some are about to wait, some wait.
        let fibers: Vec<_> =
            waits::in_fibers().map(|(name, wait)| (name, runtime.spawn(counted(&drops, wait)))).collect();
        count += fibers.len();
        if from_a_fiber {
            runtime.run(|| fibers.iter().for_each(|(_, fiber)| fiber.cancel()));
        } else {
            fibers.iter().for_each(|(_, fiber)| fiber.cancel());
        }
        for (name, fiber) in fibers {
            assert!(is_cancelled(fiber.join()), "{name}");
        }
    }
    assert_eq!(drops.load(SeqCst), count);
}

#[test]
fn a_timeout_ends_every_wait() {
    on_one_worker(|| {
        for (name, wait) in waits::in_fibers() {
            assert!(timeout(Duration::from_millis(1), wait).is_err(), "{name}");
        }
    });
}

#[test]
fn a_timeout_ends_every_wait_on_a_plain_thread() {
    for (name, wait) in waits::on_threads() {
        assert!(timeout(Duration::from_millis(1), wait).is_err(), "{name}");
    }
}

#[test]
fn a_token_ends_every_wait_in_fibers_and_in_threads() {
    let runtime = abaca::Runtime::new().unwrap();
    for (name, wait) in waits::in_fibers() {
        let token = CancellationToken::new();
        let theirs = token.clone();
        let body = move || theirs.run_until_cancelled(wait).is_none();
        let fiber = runtime.spawn(body);
        token.cancel();
        assert!(fiber.join().unwrap(), "{name} in a fiber");
    }
    for (name, wait) in waits::on_threads() {
        let token = CancellationToken::new();
        let theirs = token.clone();
        let thread = std::thread::spawn(move || theirs.run_until_cancelled(wait).is_none());
        token.cancel();
        assert!(thread.join().unwrap(), "{name} in a thread");
    }
}

#[test]
fn a_cancelled_fiber_that_has_not_started_never_runs() {
    on_one_worker(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ran);
        let unstarted = abaca::spawn(move || theirs.fetch_add(1, SeqCst));
        unstarted.cancel();
        assert!(is_cancelled(unstarted.join()));
        assert_eq!(ran.load(SeqCst), 0);
    });
}

#[test]
fn a_yield_and_a_checkpoint_unwind_too() {
    on_one_worker(|| {
        let yielding = begun(|| {
            loop {
                abaca::yield_now();
            }
        });
        yielding.cancel();
        assert!(is_cancelled::<()>(yielding.join()));
        let computing = abaca::spawn(|| {
            abaca::current().cancel();
            assert!(abaca::cancel::is_cancelled());
            abaca::cancel::checkpoint();
        });
        assert!(is_cancelled(computing.join()));
    });
}

#[test]
fn the_end_of_a_fiber_makes_its_handles_harmless() {
    on_one_worker(|| {
        let fiber = abaca::spawn(abaca::current);
        let own = fiber.join().unwrap();
        own.cancel();
        let fiber = abaca::spawn(|| 7);
        let handle = fiber.fiber();
        while !fiber.is_finished() {
            abaca::yield_now();
        }
        handle.cancel();
        fiber.cancel();
        assert_eq!(fiber.join().unwrap(), 7, "a result that is there stays");
        handle.cancel();
    });
    // A handle of a runtime that is gone is harmless as well.
    let runtime = abaca::Runtime::new().unwrap();
    let fiber = runtime.spawn(abaca::park);
    let handle = fiber.fiber();
    drop(runtime);
    handle.cancel();
    fiber.cancel();
    assert!(is_cancelled(fiber.join()));
}

#[test]
fn a_roaming_fiber_is_cancelled_wherever_it_is() {
    let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    for round in 0..50 {
        let fiber = runtime.run(|| {
            // SAFETY: it holds nothing that is bound to a thread.
            let roaming = unsafe {
                abaca::Builder::new().spawn_roaming_unchecked(move || {
                    for _ in 0..round % 7 {
                        abaca::yield_now();
                    }
                    abaca::park();
                })
            };
            roaming.unwrap()
        });
        fiber.cancel();
        assert!(is_cancelled(fiber.join()));
    }
}
