//! Fibers and the blocking pool behind promises; waiting from fibers and threads.

use std::time::{Duration, Instant};

use abaca::promise::{self, Error, Panicked, Promise};
use abaca::time;

#[test]
fn a_fiber_gives_its_result_its_error_or_its_panic() {
    abaca::run(|| {
        assert_eq!(promise::spawn(|| 4).wait().unwrap(), 4);
        let failed = promise::try_spawn(|| -> Result<u32, Error> { Ok("x".parse::<u32>()?) });
        assert!(failed.wait().unwrap_err().is::<std::num::ParseIntError>());
        let panicked = promise::spawn(|| -> u32 { panic!("in the fiber") });
        assert_eq!(panicked.wait().unwrap_err().downcast_ref::<Panicked>().unwrap().message, "in the fiber");
    });
}

#[test]
fn detached_calls_block_threads_and_no_worker() {
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let (go, wait_for_go) = std::sync::mpsc::channel();
        let worker = std::thread::current().id();
        let promise = promise::detach(move || {
            wait_for_go.recv().unwrap();
            std::thread::current().id()
        });
        promise.cancel();
        abaca::yield_now();
        assert!(!promise.is_resolved(), "a call under way is not stopped");
        go.send(()).unwrap();
        assert_ne!(promise.wait().unwrap(), worker);
    });
}

#[test]
fn waits_end_by_a_resolution_or_a_timeout_on_fibers_and_threads() {
    fn check() {
        let (promise, resolver) = Promise::pending();
        assert!(promise.wait_timeout(Duration::from_millis(1)).is_none());
        assert!(promise.wait_deadline(Instant::now()).is_none());
        let waiting = promise.clone();
        let thread = std::thread::spawn(move || waiting.wait().unwrap());
        resolver.resolve(3);
        assert_eq!(promise.wait_timeout(Duration::MAX).unwrap().unwrap(), 3);
        assert_eq!(thread.join().unwrap(), 3);
    }
    check();
    abaca::run(check);
}

#[test]
fn a_waiter_follows_its_promise_into_another() {
    abaca::run(|| {
        let (outer, resolve_outer) = Promise::pending();
        let (inner, resolve_inner) = Promise::<u32>::pending();
        let waiter = abaca::spawn({
            let inner = inner.clone();
            move || inner.wait().unwrap()
        });
        abaca::yield_now();
        let bound = outer.bind(move |()| inner);
        // The inner promise becomes an alias while the fiber waits for it.
        resolve_outer.resolve(());
        abaca::yield_now();
        resolve_inner.resolve(6);
        assert_eq!((waiter.join().unwrap(), bound.wait().unwrap()), (6, 6));
    });
}

#[test]
fn a_wait_can_be_cancelled_and_the_promise_lives_on() {
    abaca::run(|| {
        let (promise, resolver) = Promise::pending();
        let waiting = promise.clone();
        let fiber = abaca::spawn(move || waiting.wait().unwrap());
        abaca::yield_now();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
        assert!(time::timeout(Duration::from_millis(1), || promise.wait()).is_err());
        resolver.resolve(1);
        assert_eq!(promise.wait().unwrap(), 1);
    });
}

#[test]
fn a_callback_that_is_cancelled_while_it_blocks_rejects_its_promise_and_unwinds_the_resolver() {
    abaca::run(|| {
        let (promise, resolver) = Promise::pending();
        let (started, has_started) = abaca::channel::bounded(1);
        let blocked = promise.map(move |()| {
            started.send(()).unwrap();
            abaca::park();
        });
        let after = promise.map(|()| "after");
        let fiber = abaca::spawn(move || {
            resolver.resolve(());
            unreachable!("it unwinds out of the callback");
        });
        has_started.recv().unwrap();
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
        assert!(blocked.wait().unwrap_err().is_canceled());
        assert_eq!(after.wait().unwrap(), "after");
    });
}
