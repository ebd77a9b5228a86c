//! Destructors of results, payloads and fiber-local values: where they run, in which order, and what their panics do.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use abaca_tests::with_shared_storage;

use super::join::yield_until;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the destructor of a result");
    }
}

thread_local!(static LOG: Cell<Option<&'static str>> = const { Cell::new(None) });

struct Local;

impl Drop for Local {
    fn drop(&mut self) {
        LOG.set(Some("local"));
    }
}

abaca::fiber_local!(static LOCAL: Local = Local);

#[test]
fn an_unwanted_result_is_dropped_before_the_fiber_local_values_as_in_std() {
    with_shared_storage().workers(1).build().unwrap().run(|| {
        struct Unwanted(Arc<AtomicBool>);
        impl Drop for Unwanted {
            fn drop(&mut self) {
                self.0.store(LOG.get().is_none() && LOCAL.try_with(|_| ()).is_ok(), SeqCst);
            }
        }
        let was_there = Arc::new(AtomicBool::new(false));
        let result = Unwanted(Arc::clone(&was_there));
        drop(abaca::spawn(|| {
            LOCAL.with(|_| ());
            result
        }));
        yield_until(|| LOG.get() == Some("local"));
        assert!(was_there.load(SeqCst));
    });
}

#[abaca::test]
fn a_forgotten_handle_leaks_the_result_and_nothing_else() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (captured, returned) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (capture, result) = (Counted(Arc::clone(&captured)), Counted(Arc::clone(&returned)));
    std::mem::forget(abaca::spawn(move || {
        let _capture = capture;
        result
    }));
    yield_until(|| captured.load(SeqCst) == 1);
    abaca::yield_now();
    assert_eq!(returned.load(SeqCst), 0);
}

#[abaca::test]
fn the_payload_of_an_unwanted_panic_is_dropped_once() {
    struct Payload(Arc<AtomicUsize>);
    impl Drop for Payload {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let payload = Payload(Arc::clone(&drops));
    drop(abaca::spawn(move || std::panic::panic_any(payload)));
    yield_until(|| drops.load(SeqCst) == 1);
    let payload = Payload(Arc::clone(&drops));
    let taken = abaca::spawn(move || std::panic::panic_any(payload)).join().unwrap_err();
    assert_eq!(drops.load(SeqCst), 1);
    drop(taken);
    assert_eq!(drops.load(SeqCst), 2);
}

#[abaca::test]
fn a_panicking_destructor_of_a_result_ends_only_the_fiber_that_drops_the_handle() {
    let handle = abaca::spawn(|| Bomb);
    yield_until(|| handle.is_finished());
    let payload = abaca::spawn(move || drop(handle)).join().unwrap_err();
    assert!(payload.downcast_ref::<&str>().unwrap().starts_with("in the destructor"));
    assert_eq!(abaca::spawn(|| 1).join().unwrap(), 1);
}

#[abaca::test(workers = 2)]
fn handles_dropped_by_a_thread_while_their_fibers_end_drop_each_result_once() {
    const ROUNDS: usize = 5_000;
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            // This may block, also in the fiber itself, which drops its result if the handle was dropped at the last moment.
            abaca::yield_now();
            self.0.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = std::sync::mpsc::channel::<abaca::JoinHandle<Counted>>();
    let dropper = thread::spawn(move || receiver.into_iter().for_each(drop));
    for round in 0..ROUNDS {
        let result = Counted(Arc::clone(&drops));
        sender.send(abaca::spawn(move || result)).unwrap();
        if round % 3 == 0 {
            abaca::yield_now();
        }
    }
    drop(sender);
    yield_until(|| drops.load(SeqCst) == ROUNDS);
    dropper.join().unwrap();
}

/// Panics when it is dropped, with a payload that panics when it is dropped.
struct Chain(u32);

impl Drop for Chain {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Self(self.0 - 1));
        }
    }
}

#[abaca::test(workers = 1)]
fn payloads_whose_destructors_panic_repeatedly_harm_only_their_fiber() {
    for depth in 0..4 {
        drop(abaca::spawn(move || std::panic::panic_any(Chain(depth))));
        abaca::yield_now();
        let scoped = std::panic::catch_unwind(|| {
            abaca::scope(|scope| drop(scope.spawn(move || std::panic::panic_any(Chain(depth)))));
        });
        assert!(scoped.is_err());
    }
    assert_eq!(abaca::spawn(|| 1).join().unwrap(), 1);
}
