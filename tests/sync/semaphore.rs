//! `Semaphore` and `Notify`: order, conservation of permits, and nothing is lost by a waiter that gives up.

use std::panic::{AssertUnwindSafe, catch_unwind};
// Logs are kept in one of std's: a lock of abaca's may yield, and then others come first.
use std::sync::Mutex;
use std::time::Duration;

use abaca::sync::{Arc, Notify, Semaphore, TryAcquireError};
use abaca::time::timeout;
use abaca::{JoinHandle, yield_now};
use abaca_tests::{begun, on_one_worker};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn permits_are_taken_and_returned() {
    let semaphore = Arc::new(Semaphore::new(3));
    let two = semaphore.acquire_many(2).unwrap();
    assert_eq!((two.num_permits(), semaphore.available_permits()), (2, 1));
    assert_eq!(semaphore.try_acquire_many(2).unwrap_err(), TryAcquireError::NoPermits);
    let mut owned = Arc::clone(&semaphore).try_acquire_owned().unwrap();
    assert_eq!(semaphore.acquire_timeout(SHORT).unwrap_err(), TryAcquireError::NoPermits);
    drop(two);
    owned.merge(Arc::clone(&semaphore).acquire_many_owned(2).unwrap());
    assert!(owned.split(4).is_none());
    drop(owned.split(1));
    assert_eq!((owned.num_permits(), semaphore.available_permits()), (2, 1));
    owned.forget();
    assert_eq!((semaphore.forget_permits(5), semaphore.available_permits()), (1, 0));
    semaphore.add_permits(4);
    assert_eq!(format!("{semaphore:?}"), "Semaphore { permits: 4, .. }");
    assert!(catch_unwind(|| Semaphore::new(Semaphore::MAX_PERMITS + 1)).is_err());
    let adds = AssertUnwindSafe(|| semaphore.add_permits(Semaphore::MAX_PERMITS));
    assert!(catch_unwind(adds).is_err());
    assert_eq!(semaphore.available_permits(), 4);
}

/// A fiber that takes `n` permits for good and logs `n`.
fn taker(semaphore: &Arc<Semaphore>, order: &Arc<Mutex<Vec<u32>>>, n: u32) -> JoinHandle<bool> {
    let (semaphore, order) = (Arc::clone(semaphore), Arc::clone(order));
    begun(move || match semaphore.acquire_many(n) {
        Ok(permits) => {
            permits.forget();
            order.lock().unwrap().push(n);
            true
        }
        Err(_) => false,
    })
}

#[test]
fn the_longest_waiter_is_first_even_if_it_needs_many_permits() {
    on_one_worker(|| {
        let (semaphore, order) = (Arc::new(Semaphore::new(0)), Arc::default());
        let fibers = [5, 1, 2].map(|n| taker(&semaphore, &order, n));
        semaphore.add_permits(4);
        yield_now();
        assert!(order.lock().unwrap().is_empty());
        assert!(semaphore.try_acquire().is_err(), "what is there is kept for the first");
        semaphore.add_permits(4);
        assert!(fibers.into_iter().all(|fiber| fiber.join().unwrap()));
        assert_eq!((order.lock().unwrap().clone(), semaphore.available_permits()), (vec![5, 1, 2], 0));
    });
}

#[test]
fn zero_permits_are_always_free() {
    on_one_worker(|| {
        let (semaphore, order) = (Arc::new(Semaphore::new(0)), Arc::default());
        let waiting = taker(&semaphore, &order, 1);
        drop(semaphore.acquire_many(0).unwrap());
        semaphore.close();
        assert!(semaphore.acquire_many(0).is_err());
        assert!(!waiting.join().unwrap());
    });
}

#[test]
fn a_waiter_that_gives_up_lets_others_through_and_takes_nothing() {
    on_one_worker(|| {
        let (semaphore, order) = (Arc::new(Semaphore::new(0)), Arc::default());
        let large = taker(&semaphore, &order, 5);
        let small = taker(&semaphore, &order, 1);
        semaphore.add_permits(3);
        large.cancel();
        assert!(large.join().is_err());
        assert!(small.join().unwrap());
        assert!(timeout(SHORT, || drop(semaphore.acquire_many(9))).is_err());
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn a_close_ends_all_waits_and_permits_can_still_be_returned() {
    on_one_worker(|| {
        let (semaphore, order) = (Arc::new(Semaphore::new(1)), Arc::default());
        let held = semaphore.acquire().unwrap();
        let waiting: Vec<_> = (1..40).map(|n| taker(&semaphore, &order, n)).collect();
        semaphore.close();
        assert!(waiting.into_iter().all(|fiber| !fiber.join().unwrap()));
        drop(held);
        assert!(semaphore.is_closed() && semaphore.acquire().is_err());
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
        assert_eq!(semaphore.acquire_timeout(SHORT).unwrap_err(), TryAcquireError::Closed);
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn one_notification_is_kept_and_no_more() {
    let notify = Notify::new();
    assert!(!notify.notified_timeout(Duration::ZERO));
    notify.notify_one();
    notify.notify_one();
    notify.notified();
    assert!(!notify.notified_timeout(SHORT));
    notify.notify_waiters();
    assert!(!notify.notified_timeout(Duration::ZERO), "nobody waited");
}

#[test]
fn notify_one_wakes_in_order_and_notify_waiters_wakes_all() {
    on_one_worker(|| {
        let (notify, order) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
        let fibers: Vec<_> = (0..30)
            .map(|number| {
                let (notify, order) = (Arc::clone(&notify), Arc::clone(&order));
                begun(move || {
                    notify.notified();
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        for expected in 1..=3 {
            notify.notify_one();
            while order.lock().unwrap().len() < expected {
                yield_now();
            }
        }
        // A cancelled waiter takes no notification along.
        fibers[3].cancel();
        notify.notify_one();
        while order.lock().unwrap().len() < 4 {
            yield_now();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 4]);
        notify.notify_waiters();
        let joined = fibers.into_iter().map(|fiber| fiber.join().is_ok());
        assert_eq!(joined.filter(|ended| *ended).count(), 29);
    });
}
