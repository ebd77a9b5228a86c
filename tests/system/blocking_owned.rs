//! `blocking::run_owned`: jobs that a caller leaves behind.

use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use abaca::blocking;
use abaca::time::timeout;
use abaca::{Cancelled, Runtime};
use abaca_tests::{Choices, begun};

use super::{one_worker, wait_until};

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn it_returns_what_the_closure_returns_or_throws() {
    one_worker().run(|| {
        assert_eq!(blocking::run_owned(|| 7), 7);
        let result = catch_unwind(|| blocking::run_owned(|| resume_unwind(Box::new("in the job"))));
        assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "in the job");
        assert_eq!(blocking::metrics().completed, 2);
    });
    let here = std::thread::current().id();
    assert_eq!(blocking::run_owned(|| std::thread::current().id()), here);
}

#[test]
fn the_result_for_a_caller_that_has_gone_is_dropped() {
    one_worker().run(|| {
        let (drops, (go, waits)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel::<()>());
        let result = Counted(Arc::clone(&drops));
        let fiber = begun(move || {
            blocking::run_owned(move || {
                waits.recv().unwrap();
                result
            })
        });
        wait_until(|| blocking::metrics().threads == 1 && blocking::metrics().queued == 0);
        fiber.cancel();
        let Err(payload) = fiber.join() else { panic!("it was cancelled") };
        assert!(payload.is::<Cancelled>());
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        go.send(()).unwrap();
        wait_until(|| drops.load(Ordering::SeqCst) == 1);
    });
}

#[test]
fn a_timeout_around_it_ends_and_the_pool_goes_on() {
    struct Angry;
    impl Drop for Angry {
        fn drop(&mut self) {
            resume_unwind(Box::new("from a destructor"));
        }
    }
    let runtime = Runtime::builder().workers(1).max_blocking_threads(1).build().unwrap();
    runtime.run(|| {
        let mut patience = Duration::from_millis(1);
        let go = loop {
            let (go, waits) = mpsc::channel::<()>();
            let (begins, begun) = mpsc::channel();
            let job = move || {
                begins.send(()).unwrap();
                waits.recv().unwrap();
                Angry
            };
            let late = timeout(patience, || blocking::run_owned(job));
            assert!(late.map(std::mem::forget).is_err());
            // A job that no thread has taken before the time was up never runs.
            if begun.recv().is_ok() {
                break go;
            }
            patience *= 2;
        };
        go.send(()).unwrap();
        // The one thread there is.
        assert_eq!(blocking::run_owned(|| 7), 7);
        assert_eq!((blocking::metrics().completed, blocking::metrics().peak), (2, 1));
    });
}

#[test]
fn the_end_of_a_runtime_waits_for_none() {
    let (go, waits) = mpsc::channel::<()>();
    let runtime = one_worker();
    runtime.run(|| {
        drop(begun(move || blocking::run_owned(move || waits.recv())));
        wait_until(|| blocking::metrics().threads == 1 && blocking::metrics().queued == 0);
    });
    runtime.shutdown(Duration::from_secs(1000)).unwrap();
    drop(go);
}

/// Each job's closure and result are dropped once, whether caller or thread leaves last.
#[test]
fn nothing_is_leaked_or_dropped_twice() {
    let seed = Choices::seed();
    let runtime = Runtime::builder().max_blocking_threads(3).build().unwrap();
    let (made, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let fibers: Vec<_> = (0..50)
        .map(|n| {
            let (made, drops) = (Arc::clone(&made), Arc::clone(&drops));
            runtime.spawn(move || {
                let mut choices = Choices::new(seed, n);
                for _ in 0..40 {
                    made.fetch_add(1, Ordering::SeqCst);
                    let counted = Counted(Arc::clone(&drops));
                    drop(timeout(choices.patience(), || blocking::run_owned(move || counted)));
                }
            })
        })
        .collect();
    fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    while drops.load(Ordering::SeqCst) < made.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    runtime.shutdown(Duration::from_secs(1000)).unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 2000);
}
