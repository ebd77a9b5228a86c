//! `Semaphore` and `Notify` under stress: permits are conserved, and a notification finds a waiter that can use it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::sync::{Arc, Notify, Semaphore};
use abaca_tests::{Choices, on_threads_and_fibers, patiently, storm};

#[test]
fn permits_are_conserved_although_waits_are_cut_short() {
    const PERMITS: usize = 5;
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let held = AtomicUsize::new(0);
    /// Counts permits as held until it is dropped.
    struct Held<'a>(&'a AtomicUsize, usize);
    impl<'a> Held<'a> {
        fn count(held: &'a AtomicUsize, n: usize) -> Self {
            let now = held.fetch_add(n, SeqCst) + n;
            assert!(now <= PERMITS, "{now} are held");
            Self(held, n)
        }
    }
    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(self.1, SeqCst);
        }
    }
    storm(1_500, |stream| {
        let n = stream.choices.below(5) as u32;
        let owned = || Arc::clone(&semaphore);
        // The count is declared last, so permits are returned when they are no longer counted.
        match stream.choices.below(6) {
            0 => {
                let Some(Ok(permits)) = stream.briefly(|| owned().acquire_many_owned(n)) else { return };
                let _held = Held::count(&held, permits.num_permits());
                stream.linger();
            }
            1 => {
                let Ok(mut permits) = owned().try_acquire_many_owned(n) else { return };
                let split = permits.split(1);
                let _held = Held::count(&held, n as usize);
                stream.linger();
                if let Some(split) = split {
                    permits.merge(split);
                }
            }
            way => {
                let permits = match way {
                    2 => semaphore.acquire_many_timeout(n, stream.choices.patience()).ok(),
                    3 => Some(patiently(|| semaphore.acquire_many(n)).unwrap()),
                    _ => stream.briefly(|| semaphore.acquire_many(n).unwrap()),
                };
                let Some(permits) = permits else { return };
                let held = Held::count(&held, permits.num_permits());
                stream.linger();
                drop(held);
                if stream.choices.once_in(8) {
                    // Returned in another way.
                    permits.forget();
                    semaphore.add_permits(n as usize);
                }
            }
        }
    });
    assert_eq!((held.into_inner(), semaphore.available_permits()), (0, PERMITS));
}

#[test]
fn a_close_under_stress_ends_all_waits_and_loses_no_permit() {
    const PERMITS: usize = 2;
    let seed = Choices::seed();
    for round in 0..20 {
        let semaphore = Semaphore::new(PERMITS);
        on_threads_and_fibers(4, |stream| {
            let mut choices = Choices::new(seed, stream + 4 * round);
            let end = choices.below(20);
            for step in 0..20 {
                if stream == 0 && step == end {
                    semaphore.close();
                }
                match patiently(|| semaphore.acquire_many(choices.below(3) as u32)) {
                    Ok(permits) => {
                        abaca::yield_now();
                        drop(permits);
                    }
                    Err(_) => assert!(semaphore.is_closed()),
                }
            }
        });
        assert_eq!((semaphore.is_closed(), semaphore.available_permits()), (true, PERMITS));
    }
}

#[test]
fn every_waiter_gets_a_notification_that_is_meant_for_all() {
    let (is_free, freed) = (AtomicBool::new(true), Notify::new());
    let inside = AtomicUsize::new(0);
    /// Frees what was taken, and notifies a waiter.
    struct Taken<'a>(&'a AtomicBool, &'a Notify, &'a AtomicUsize);
    impl Drop for Taken<'_> {
        fn drop(&mut self) {
            self.2.fetch_sub(1, SeqCst);
            self.0.store(true, SeqCst);
            self.1.notify_one();
        }
    }
    storm(1_500, |stream| {
        let take = || {
            // After the notification another stream may have come first, which will notify another waiter.
            while !is_free.swap(false, SeqCst) {
                freed.notified();
            }
            let taken = Taken(&is_free, &freed, &inside);
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "it is taken once");
            taken
        };
        let taken = match stream.choices.below(4) {
            0 => {
                if !freed.notified_timeout(stream.choices.patience()) {
                    return;
                }
                // It is not for this stream: pass it on.
                freed.notify_one();
                return;
            }
            1 => patiently(take),
            _ => match stream.briefly(take) {
                Some(taken) => taken,
                None => return,
            },
        };
        stream.linger();
        drop(taken);
        if stream.choices.once_in(16) {
            freed.notify_waiters();
        }
    });
    assert!(is_free.into_inner());
}
