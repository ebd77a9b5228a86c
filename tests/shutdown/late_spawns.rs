//! Fibers that are spawned while their runtime ends, where the spawner cannot unwind: they are cancelled before they start.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::actor::{self, ExitReason, Mailbox};
use abaca::{Builder, Cancelled, JoinSet, Runtime, promise};

use super::{Counted, LONG};

/// Calls what it has when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Spawns by each function that returns no error, and checks that each fiber ends as one that was spawned just before the end.
fn spawn_late() {
    let (ran, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let body = || {
        let (ran, counted) = (Arc::clone(&ran), Counted(Arc::clone(&drops)));
        move || {
            let _counted = counted;
            ran.fetch_add(1, SeqCst);
        }
    };
    let is_cancelled = |result: std::thread::Result<()>| result.unwrap_err().is::<Cancelled>();
    assert!(is_cancelled(abaca::spawn(body()).join()));
    assert!(is_cancelled(abaca::spawn_local(body()).join()));
    abaca::scope(|scope| assert!(is_cancelled(scope.spawn(body()).join())));
    let mut set = JoinSet::new();
    set.spawn(body());
    assert!(is_cancelled(set.join_next().unwrap()));
    assert!(promise::spawn(body()).wait().is_err());
    let end = body();
    assert_eq!(actor::spawn(move |_: &mut Mailbox<()>| end()).wait(), ExitReason::Shutdown);
    assert_eq!((ran.load(SeqCst), drops.load(SeqCst)), (0, 6));
    assert_eq!(Builder::new().spawn(|| ()).unwrap_err(), abaca::SpawnError::ShuttingDown);
}

/// Waits until the shutdown has begun.
fn await_the_end() {
    while Builder::new().spawn(|| ()).is_ok() {
        abaca::yield_now();
    }
}

/// Runs `f` in a fiber that is there when its runtime is shut down, and expects that `f` has counted up once.
fn check(f: impl FnOnce(&AtomicUsize) + Send + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = Runtime::new().unwrap();
    runtime.run(|| {
        let (started, count) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&count));
        abaca::spawn({
            let started = Arc::clone(&started);
            move || {
                started.store(1, SeqCst);
                f(&count);
            }
        });
        while started.load(SeqCst) == 0 {
            abaca::yield_now();
        }
    });
    runtime.shutdown(LONG).unwrap();
    assert_eq!(count.load(SeqCst), 1);
}

fn spawn_late_and_count(count: &AtomicUsize) {
    spawn_late();
    count.fetch_add(1, SeqCst);
}

#[test]
fn a_destructor_spawns_while_its_fiber_is_cancelled() {
    check(|count| {
        let _late = OnDrop(|| spawn_late_and_count(count));
        abaca::park();
    });
}

#[test]
fn a_destructor_spawns_while_its_fiber_panics() {
    check(|count| {
        let _late = OnDrop(|| {
            await_the_end();
            spawn_late_and_count(count);
        });
        panic!("on purpose");
    });
}

#[test]
fn a_shield_keeps_a_spawn_from_unwinding() {
    check(|count| {
        abaca::cancel::shield(|| {
            await_the_end();
            spawn_late_and_count(count);
        });
        // Outside of the shield it unwinds.
        abaca::spawn(|| ());
        count.fetch_add(1, SeqCst);
    });
}

#[test]
fn the_destructor_of_a_fiber_local_spawns() {
    type Late = OnDrop<Box<dyn FnMut()>>;
    abaca::fiber_local! {
        static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
    }
    let told = Arc::new(AtomicUsize::new(0));
    check({
        let told = Arc::clone(&told);
        move |count| {
            let late = OnDrop(Box::new(move || spawn_late_and_count(&told)) as Box<dyn FnMut()>);
            LATE.with(|place| *place.borrow_mut() = Some(late));
            count.fetch_add(1, SeqCst);
            abaca::park();
        }
    });
    assert_eq!(told.load(SeqCst), 1);
}
