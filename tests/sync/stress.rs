//! Many at once, with deadlines that race with everything. Each test prints its seed; `ABACA_SEED` repeats one.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use abaca::channel;
use abaca::sync::{Condvar, Mutex};

/// A small generator of choices: xorshift.
pub(crate) struct Choices(u64);

impl Choices {
    /// The seed of this run, printed for the record.
    pub(crate) fn seed() -> u64 {
        let seed = std::env::var("ABACA_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("ABACA_SEED={seed}");
        seed
    }

    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self((seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Runs `body(stream)` for that many streams at once: half of them on threads, half on fibers.
fn on_threads_and_fibers(count: u64, body: impl Fn(u64) + Sync) {
    let body = &body;
    std::thread::scope(|threads| {
        for stream in (0..count).filter(|stream| stream / 2 % 2 == 0) {
            threads.spawn(move || body(stream));
        }
        abaca::run(|| {
            abaca::scope(|fibers| {
                for stream in (0..count).filter(|stream| stream / 2 % 2 == 1) {
                    fibers.spawn(move || body(stream));
                }
            });
        });
    });
}

#[test]
fn a_channel_with_impatient_users_delivers_what_it_accepted() {
    let seed = Choices::seed();
    for capacity in [0, 1, 4] {
        let (sender, receiver) = channel::bounded::<u64>(capacity);
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        on_threads_and_fibers(8, |stream| {
            let mut choices = Choices::new(seed, stream);
            for n in 1..400 {
                let patience = Duration::from_micros(choices.below(40));
                if stream % 2 == 0 {
                    let accepted = match choices.below(3) {
                        0 => sender.try_send(n).is_ok(),
                        _ => sender.send_timeout(n, patience).is_ok(),
                    };
                    if accepted {
                        sent.fetch_add(n, Ordering::Relaxed);
                    }
                } else {
                    let message = match choices.below(3) {
                        0 => receiver.try_recv().ok(),
                        _ => receiver.recv_timeout(patience).ok(),
                    };
                    received.fetch_add(message.unwrap_or(0), Ordering::Relaxed);
                }
            }
        });
        let left = receiver.try_iter().sum::<u64>();
        assert_eq!(sent.into_inner(), received.into_inner() + left, "capacity {capacity}");
    }
}

#[test]
fn a_mutex_under_every_kind_of_attempt_excludes() {
    let seed = Choices::seed();
    let mutex = Mutex::new(0_u64);
    let inside = AtomicUsize::new(0);
    let entered = AtomicU64::new(0);
    on_threads_and_fibers(8, |stream| {
        let mut choices = Choices::new(seed, stream);
        for _ in 0..3_000 {
            let guard = match choices.below(4) {
                0 => mutex.try_lock().ok(),
                _ => mutex.lock().ok(),
            };
            if let Some(mut guard) = guard {
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two are inside");
                *guard += 1;
                entered.fetch_add(1, Ordering::Relaxed);
                if choices.below(64) == 0 {
                    abaca::yield_now();
                }
                inside.fetch_sub(1, Ordering::Relaxed);
            }
        }
    });
    assert_eq!(mutex.into_inner().unwrap(), entered.into_inner());
}

#[test]
fn permits_behind_a_condition_are_neither_lost_nor_made_up() {
    let seed = Choices::seed();
    let (permits, changed) = (Mutex::new(0_u64), Condvar::new());
    let (given, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    on_threads_and_fibers(8, |stream| {
        let mut choices = Choices::new(seed, stream);
        for _ in 0..400 {
            if stream % 2 == 0 {
                *permits.lock().unwrap() += 1;
                given.fetch_add(1, Ordering::Relaxed);
                match choices.below(4) {
                    0 => changed.notify_all(),
                    _ => changed.notify_one(),
                }
            } else {
                let patience = Duration::from_micros(choices.below(50));
                let guard = permits.lock().unwrap();
                let (mut guard, _) =
                    changed.wait_timeout_while(guard, patience, |permits| *permits == 0).unwrap();
                if *guard > 0 {
                    *guard -= 1;
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    assert_eq!(given.into_inner() - taken.into_inner(), permits.into_inner().unwrap());
}
