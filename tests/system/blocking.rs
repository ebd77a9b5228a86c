//! `blocking::run`: where jobs run, what they may borrow, how many threads there are, and how fibers leave.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use abaca::blocking::{self, Metrics};
use abaca::{Cancelled, Runtime};

use super::{in_child, is_child, one_worker, wait_until};

#[test]
fn a_job_borrows_from_its_fiber_and_returns_to_it() {
    one_worker().run(|| {
        let mut numbers = vec![3, 1, 2];
        let len = blocking::run(|| {
            numbers.sort();
            numbers.len()
        });
        assert_eq!((len, numbers), (3, vec![1, 2, 3]));
    });
}

#[test]
fn a_panic_resumes_in_the_caller_and_harms_no_thread() {
    one_worker().run(|| {
        let result = catch_unwind(|| blocking::run(|| std::panic::resume_unwind(Box::new("in the job"))));
        assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "in the job");
        assert_eq!(blocking::run(|| 7), 7);
        assert_eq!(blocking::metrics().completed, 2);
    });
}

#[test]
fn jobs_run_on_named_threads_of_the_pool() {
    let runtime = Runtime::builder().workers(1).name("bees").build().unwrap();
    runtime.run(|| {
        let (id, name) =
            blocking::run(|| (thread::current().id(), thread::current().name().map(str::to_owned)));
        assert_ne!(id, thread::current().id());
        assert_eq!(name.as_deref(), Some("bees-blocking-0"));
    });
}

#[test]
fn on_a_plain_thread_the_closure_just_runs() {
    let here = thread::current().id();
    assert_eq!(blocking::run(|| thread::current().id()), here);
    assert_eq!(blocking::metrics(), Metrics::default());
    // A thread of the pool is one.
    one_worker().run(|| {
        let (outer, inner) =
            blocking::run(|| (thread::current().id(), blocking::run(|| thread::current().id())));
        assert_eq!(outer, inner);
    });
}

#[test]
fn while_one_fiber_waits_for_its_job_the_worker_runs_others() {
    one_worker().run(|| {
        let (sender, receiver) = mpsc::channel();
        let job = abaca::spawn(move || blocking::run(move || receiver.recv().unwrap()));
        let other = abaca::spawn(move || sender.send("from a fiber of the same worker").unwrap());
        assert_eq!(job.join().unwrap(), "from a fiber of the same worker");
        other.join().unwrap();
    });
}

#[test]
fn the_pool_grows_to_its_limit_and_queues_the_rest() {
    let runtime = Runtime::builder().workers(1).max_blocking_threads(3).build().unwrap();
    let (running, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(4)));
    let jobs: Vec<_> = (0..9)
        .map(|_| {
            let (running, go) = (Arc::clone(&running), Arc::clone(&go));
            runtime.spawn(move || {
                blocking::run(|| {
                    running.fetch_add(1, Ordering::SeqCst);
                    go.wait();
                });
            })
        })
        .collect();
    for round in 1..=3 {
        while running.load(Ordering::SeqCst) < 3 * round || runtime.blocking_gauges().queued != 9 - 3 * round
        {
            thread::yield_now();
        }
        assert_eq!(running.load(Ordering::SeqCst), 3 * round);
        let gauges = runtime.blocking_gauges();
        assert_eq!((gauges.threads, gauges.idle, gauges.peak), (3, 0, 3));
        go.wait();
    }
    jobs.into_iter().for_each(|job| job.join().unwrap());
    assert_eq!((runtime.blocking_gauges().completed, runtime.blocking_gauges().peak), (9, 3));
}

#[test]
fn idle_threads_end_and_the_pool_grows_again() {
    let runtime = Runtime::builder().workers(1).blocking_keep_alive(Duration::ZERO).build().unwrap();
    for round in 1..=2 {
        runtime.run(|| blocking::run(|| ()));
        while runtime.blocking_gauges().threads > 0 {
            thread::yield_now();
        }
        assert_eq!(runtime.blocking_gauges().completed, round);
    }
}

#[test]
fn a_pool_without_threads_is_refused() {
    let error = Runtime::builder().max_blocking_threads(0).build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

/// Says that it was dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_cancelled_fiber_waits_for_its_job_drops_the_result_and_unwinds() {
    one_worker().run(|| {
        let (started, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (sender, receiver) = mpsc::channel();
        let (starts, result) = (Arc::clone(&started), Flag(Arc::clone(&dropped)));
        let fiber = abaca::spawn(move || {
            blocking::run(move || {
                starts.store(true, Ordering::SeqCst);
                receiver.recv().unwrap();
                result
            })
        });
        wait_until(|| started.load(Ordering::SeqCst));
        fiber.cancel();
        for _ in 0..100 {
            abaca::yield_now();
        }
        assert!(!fiber.is_finished() && !dropped.load(Ordering::SeqCst));
        sender.send(()).unwrap();
        let Err(payload) = fiber.join() else { panic!("it was cancelled") };
        assert!(payload.is::<Cancelled>());
        assert!(dropped.load(Ordering::SeqCst));
    });
}

#[test]
fn a_job_that_no_thread_has_taken_is_taken_back() {
    let runtime = Runtime::builder().workers(1).max_blocking_threads(1).build().unwrap();
    runtime.run(|| {
        let (sender, receiver) = mpsc::channel::<()>();
        let first = abaca::spawn(move || blocking::run(move || receiver.recv().unwrap()));
        wait_until(|| blocking::metrics().threads == 1 && blocking::metrics().queued == 0);
        let ran = AtomicBool::new(false);
        let timeout = abaca::time::timeout(Duration::from_millis(1), || {
            blocking::run(|| ran.store(true, Ordering::SeqCst));
        });
        assert!(timeout.is_err());
        // Its place in the queue is free too.
        assert_eq!(blocking::metrics().queued, 0);
        sender.send(()).unwrap();
        first.join().unwrap();
        assert_eq!(blocking::run(|| 7), 7);
        assert!(!ran.load(Ordering::SeqCst));
        assert_eq!(blocking::metrics().completed, 2);
    });
}

#[test]
fn a_fiber_that_is_cancelled_already_submits_nothing() {
    one_worker().run(|| {
        let fiber = abaca::spawn(|| {
            abaca::current().cancel();
            blocking::run(|| unreachable!("cancelled before"));
        });
        assert!(fiber.join().unwrap_err().is::<Cancelled>());
        assert_eq!(blocking::metrics().peak, 0);
    });
}

#[test]
fn shutdown_waits_for_jobs_that_have_begun_and_drops_the_others() {
    let runtime = Runtime::builder().workers(1).max_blocking_threads(1).build().unwrap();
    let (begun, ended, never) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(()));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&ended));
    let (others, held) = (Arc::clone(&never), Arc::clone(&never));
    let first = runtime.spawn(move || {
        blocking::run(|| {
            begins.store(true, Ordering::SeqCst);
            // Until the shutdown has cancelled the other one, and this one with it.
            while Arc::strong_count(&others) > 2 {
                thread::yield_now();
            }
            ends.fetch_add(1, Ordering::SeqCst);
        });
    });
    while !begun.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let second = runtime.spawn(move || blocking::run(move || drop(held)));
    while runtime.blocking_gauges().queued == 0 {
        thread::yield_now();
    }
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(first.join().unwrap_err().is::<Cancelled>());
    assert!(second.join().unwrap_err().is::<Cancelled>());
    assert_eq!(Arc::strong_count(&never), 1);
}

/// Blocks on the pool when it is dropped.
struct Polite(Arc<AtomicUsize>);

impl Drop for Polite {
    fn drop(&mut self) {
        blocking::run(|| self.0.fetch_add(1, Ordering::SeqCst));
    }
}

#[test]
fn a_destructor_may_use_it_while_its_fiber_unwinds() {
    one_worker().run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let polite = Polite(Arc::clone(&count));
        let unwinding = abaca::spawn(move || {
            let _polite = polite;
            std::panic::resume_unwind(Box::new("unwound"));
        });
        assert!(unwinding.join().is_err());
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn without_any_thread_a_job_runs_in_place() {
    if is_child() {
        one_worker().run(|| {
            // The rest of the address space has no room for a thread's stack.
            let mut hoard = Vec::new();
            for shift in (18..=26).rev() {
                let mut block = Vec::<u8>::new();
                while block.try_reserve_exact(1 << shift).is_ok() {
                    hoard.push(std::mem::take(&mut block));
                }
            }
            let here = thread::current().id();
            let there = blocking::run(|| thread::current().id());
            drop(hoard);
            assert_eq!(there, here);
            let gauges = blocking::metrics();
            assert_eq!((gauges.threads, gauges.completed, gauges.queued), (0, 1, 0));
            // Later there is room again.
            assert_ne!(blocking::run(|| thread::current().id()), here);
        });
        return;
    }
    let output =
        in_child("blocking::without_any_thread_a_job_runs_in_place", "ulimit -v 1000000; exec \"$@\"");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

#[test]
fn every_job_ends_once_although_fibers_are_cancelled() {
    let runtime =
        Runtime::builder().max_blocking_threads(4).blocking_keep_alive(Duration::ZERO).build().unwrap();
    let (began, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let fibers: Vec<_> = (0..200_u64)
        .map(|n| {
            let (began, ended) = (Arc::clone(&began), Arc::clone(&ended));
            runtime.spawn(move || {
                for round in 0..20_u64 {
                    let job = || {
                        blocking::run(|| {
                            began.fetch_add(1, Ordering::SeqCst);
                            if (n + round) % 7 == 0 {
                                std::panic::resume_unwind(Box::new(()));
                            }
                            ended.fetch_add(1, Ordering::SeqCst);
                        });
                    };
                    // One waits as long as it takes, so that some jobs end however slow the pool's threads are.
                    let patience = match n {
                        0 => Duration::MAX,
                        _ => Duration::from_micros((n * 13 + round * 29) % 600),
                    };
                    let _ = catch_unwind(AssertUnwindSafe(|| abaca::time::timeout(patience, job)));
                }
            })
        })
        .collect();
    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    let gauges = runtime.blocking_gauges();
    assert_eq!(gauges.completed, began.load(Ordering::SeqCst) as u64);
    assert!(ended.load(Ordering::SeqCst) > 0 && gauges.queued == 0 && gauges.peak <= 4);
    while runtime.blocking_gauges().threads > 0 {
        thread::yield_now();
    }
}
