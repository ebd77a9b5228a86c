//! A yield of the budget must not cancel its fiber, show a panic to a neighbour, or run a neighbour that may want a lock which its
//! fiber holds.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use abaca::channel::unbounded;
use abaca::spawn_local;
use abaca::sync::{Mutex, Notify};
use abaca_tests::on_one_worker;

/// Calls that promise not to wait do not unwind when they yield.
#[test]
fn a_yield_of_the_budget_is_not_a_cancellation_point() {
    let was_at_the_end = on_one_worker(|| {
        let reached = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&reached);
        let turns = Rc::new(Cell::new(0));
        let counted = Rc::clone(&turns);
        let is_cancelled = Rc::new(Cell::new(false));
        let flag = Rc::clone(&is_cancelled);
        let has_begun = Rc::new(Cell::new(false));
        let begins = Rc::clone(&has_begun);
        let busy = spawn_local(move || {
            begins.set(true);
            let (sender, receiver) = unbounded();
            while !flag.get() {
                assert!(receiver.try_recv().is_err());
            }
            // This fiber is cancelled now, and yields many more times.
            let before = counted.get();
            while counted.get() < before + 10 {
                assert!(receiver.try_recv().is_err());
                sender.send(()).unwrap();
                assert!(receiver.try_recv().is_ok());
            }
            theirs.store(true, SeqCst);
        });
        let counter = Rc::clone(&turns);
        let neighbour = spawn_local(move || {
            loop {
                counter.set(counter.get() + 1);
                abaca::yield_now();
            }
        });
        while !has_begun.get() {
            abaca::yield_now();
        }
        busy.cancel();
        is_cancelled.set(true);
        busy.join().unwrap();
        neighbour.cancel();
        assert!(neighbour.join().unwrap_err().is::<abaca::Cancelled>());
        reached.load(SeqCst)
    });
    assert!(was_at_the_end);
}

/// While a fiber makes calls in a destructor as it unwinds, its neighbours do not see a thread that panics.
#[test]
fn the_neighbours_of_a_busy_unwinding_fiber_do_not_see_its_panic() {
    struct Busy;
    impl Drop for Busy {
        fn drop(&mut self) {
            let (mutex, (_sender, receiver)) = (Mutex::new(0), unbounded::<()>());
            for _ in 0..100_000 {
                *mutex.lock().unwrap() += 1;
                assert!(receiver.try_recv().is_err());
            }
        }
    }
    on_one_worker(|| {
        let seen = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&seen);
        let dying = spawn_local(|| {
            let _busy = Busy;
            abaca::yield_now();
            std::panic::resume_unwind(Box::new("as planned"));
        });
        let neighbour = spawn_local(move || {
            while !theirs.get() {
                assert!(!std::thread::panicking(), "a neighbour sees the panic");
                abaca::yield_now();
            }
        });
        assert_eq!(dying.join().unwrap_err().downcast_ref(), Some(&"as planned"));
        seen.set(true);
        neighbour.join().unwrap();
    });
}

/// Calls that never wait may be made while locks of std are held and thread-locals are borrowed. A neighbour that ran meanwhile
/// would block the thread for ever.
#[test]
fn a_few_calls_that_never_wait_do_not_yield() {
    thread_local!(static BORROWED: std::cell::RefCell<u64> = const { std::cell::RefCell::new(0) });
    on_one_worker(|| {
        let lock = Arc::new(std::sync::Mutex::new(0_u64));
        let (sender, receiver) = unbounded();
        let notify = Arc::new(Notify::new());
        let fibers: Vec<_> = (0..8)
            .map(|_| {
                let (lock, notify) = (Arc::clone(&lock), Arc::clone(&notify));
                let (sender, receiver) = (sender.clone(), receiver.clone());
                spawn_local(move || {
                    for round in 0..20_000 {
                        let mut count = lock.lock().unwrap();
                        BORROWED.with_borrow_mut(|borrowed| {
                            sender.send(round).unwrap();
                            assert!(receiver.try_recv().is_ok());
                            assert!(receiver.try_recv().is_err());
                            notify.notify_one();
                            *borrowed += 1;
                        });
                        *count += 1;
                        drop(count);
                        if round % 100 == 99 {
                            abaca::yield_now();
                        } else {
                            abaca::sleep(Duration::ZERO);
                        }
                    }
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(*lock.lock().unwrap(), 160_000);
    });
}
