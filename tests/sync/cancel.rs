//! A fiber that is cancelled in a wait leaves nothing behind: no lock, no message, no lost notification.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abaca::channel;
use abaca::sync::{Condvar, Mutex, RwLock, WaitGroup};
use abaca::{Cancelled, JoinHandle, Runtime, spawn, yield_now};

const LONG: Duration = Duration::from_secs(3600);

/// A runtime with a fiber that has run `body` until it waits for ever.
fn waiting<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> (Runtime, JoinHandle<T>) {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let started = Arc::new(AtomicBool::new(false));
    let fiber = runtime.run(|| {
        let theirs = Arc::clone(&started);
        let fiber = spawn(move || {
            theirs.store(true, Ordering::Relaxed);
            body()
        });
        // There is one worker: when this fiber runs again, the other fiber waits.
        while !started.load(Ordering::Relaxed) {
            yield_now();
        }
        fiber
    });
    (runtime, fiber)
}

/// Cancels a fiber that waits in `body`.
fn cancel<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) {
    let (runtime, fiber) = waiting(body);
    runtime.shutdown(LONG).unwrap();
    let Err(payload) = fiber.join() else { panic!("the fiber was to be cancelled") };
    assert!(payload.is::<Cancelled>());
}

#[test]
fn a_mutex_is_not_taken_by_a_cancelled_waiter() {
    let mutex = Arc::new(Mutex::new(0));
    let theirs = Arc::clone(&mutex);
    let guard = mutex.lock().unwrap();
    cancel(move || drop(theirs.lock()));
    drop(guard);
    // Neither locked nor poisoned. The queue is in order: others can wait in it.
    std::thread::scope(|scope| {
        let mut guard = mutex.lock().unwrap();
        scope.spawn(|| *mutex.lock().unwrap() += 1);
        *guard += 1;
        drop(guard);
    });
    assert_eq!(*mutex.lock().unwrap(), 2);
}

#[test]
fn a_guard_dropped_by_a_cancellation_does_not_poison() {
    let locks = Arc::new((Mutex::new(0), RwLock::new(0)));
    let theirs = Arc::clone(&locks);
    cancel(move || {
        let _guard = theirs.0.lock().unwrap();
        let _writing = theirs.1.write().unwrap();
        abaca::park();
    });
    assert!(!locks.0.is_poisoned() && !locks.1.is_poisoned());
    assert!(locks.0.try_lock().is_ok() && locks.1.try_write().is_ok());
    // On a plain thread as well.
    let late = abaca::time::timeout(Duration::from_millis(1), || {
        let _guard = locks.0.lock().unwrap();
        abaca::park();
    });
    assert!(late.is_err() && !locks.0.is_poisoned());
}

#[abaca::test]
fn a_panic_after_a_caught_cancellation_poisons() {
    let mutex = Mutex::new(0);
    let late = abaca::time::timeout(Duration::from_millis(1), abaca::park);
    assert!(late.is_err());
    abaca::current().cancel();
    assert!(catch_unwind(abaca::park).is_err());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock().unwrap();
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && mutex.is_poisoned());
}

#[abaca::test]
fn a_destructor_may_take_the_lock_that_a_cancelled_fiber_held() {
    struct Leave(Arc<Mutex<u32>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            *self.0.lock().unwrap() -= 1;
        }
    }
    let lock = Arc::new(Mutex::new(1));
    let late = abaca::time::timeout(Duration::from_millis(1), || {
        let _held = lock.lock().unwrap();
        abaca::park();
    });
    assert!(late.is_err());
    let leave = Leave(Arc::clone(&lock));
    let neighbour = abaca::spawn(move || {
        let _leave = leave;
        abaca::park();
    });
    neighbour.cancel();
    assert!(neighbour.join().unwrap_err().is::<Cancelled>());
    assert_eq!(*lock.lock().unwrap(), 0);
}

#[test]
fn a_cancelled_condvar_wait_does_not_lock_the_mutex() {
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&shared);
    let (runtime, fiber) = waiting(move || {
        let guard = theirs.0.lock().unwrap();
        drop(theirs.1.wait_while(guard, |ready| !*ready));
    });
    // The shutdown succeeds while another fiber holds the mutex.
    let guard = shared.0.lock().unwrap();
    runtime.shutdown(LONG).unwrap();
    assert!(fiber.join().unwrap_err().is::<Cancelled>());
    drop(guard);
    assert!(!shared.0.is_poisoned());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            *shared.0.lock().unwrap() = true;
            shared.1.notify_one();
        });
        drop(shared.1.wait_while(shared.0.lock().unwrap(), |ready| !*ready).unwrap());
    });
}

#[test]
fn a_timed_wait_is_cancelled_too() {
    cancel(|| {
        let mutex = Mutex::new(());
        let guard = mutex.lock().unwrap();
        drop(Condvar::new().wait_timeout(guard, LONG));
    });
    let (sender, receiver) = channel::bounded::<u8>(0);
    let theirs = receiver.clone();
    cancel(move || theirs.recv_timeout(LONG));
    assert!(sender.try_send(1).unwrap_err().is_full());
    cancel(move || sender.send_timeout(1, LONG));
    assert!(receiver.try_recv().unwrap_err().is_disconnected());
}

#[test]
fn a_cancelled_sender_drops_its_message() {
    for capacity in 0..2 {
        let message = Arc::new(());
        let (sender, receiver) = channel::bounded(capacity);
        (0..capacity).for_each(|_| sender.send(Arc::clone(&message)).unwrap());
        let (theirs, offered) = (sender.clone(), Arc::clone(&message));
        cancel(move || theirs.send(offered));
        assert_eq!(Arc::strong_count(&message), 1 + capacity);
        assert_eq!(receiver.try_iter().count(), capacity);
    }
}

#[test]
fn a_cancelled_receiver_takes_no_message() {
    for capacity in 1..3 {
        let (sender, receiver) = channel::bounded(capacity);
        let theirs = receiver.clone();
        cancel(move || theirs.recv());
        sender.send(7).unwrap();
        assert_eq!(receiver.try_recv(), Ok(7));
    }
}

#[test]
fn a_cancelled_fiber_leaves_its_wait_group() {
    let group = WaitGroup::new();
    let (part, other) = (group.clone(), group.clone());
    cancel(move || {
        let _part = part;
        other.wait();
    });
    group.wait();
}
