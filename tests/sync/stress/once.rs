//! `Once`, `OnceLock` and `LazyLock` under stress: exactly one call completes, also if others were cut short.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::cancel::shield;
use abaca::sync::{LazyLock, Once, OnceLock};
use abaca_tests::{patiently, storm};

/// So many that concurrent calls often meet at the same one, and few meet one that is completed.
const COUNT: usize = 5_000;

/// Number of consecutive calls to the same one.
const CROWD: usize = 4;

/// The index of the one to call next.
fn next(turn: &AtomicUsize) -> usize {
    turn.fetch_add(1, SeqCst) / CROWD % COUNT
}

/// How often a closure was run; at most one runs at a time.
#[derive(Default)]
struct Making {
    makers: AtomicUsize,
    made: AtomicUsize,
}

struct Maker<'a>(&'a Making);

impl Making {
    /// Calls `f`, which may be cut short.
    fn make<T>(&self, f: impl FnOnce() -> T) -> T {
        assert_eq!(self.makers.fetch_add(1, SeqCst), 0, "another call runs its closure");
        let maker = Maker(self);
        let made = f();
        self.made.fetch_add(1, SeqCst);
        drop(maker);
        made
    }
}

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        self.0.makers.fetch_sub(1, SeqCst);
    }
}

#[test]
fn a_once_is_run_to_its_end_once() {
    let onces: Vec<_> = (0..COUNT).map(|_| (Once::new(), Making::default())).collect();
    let turn = AtomicUsize::new(0);
    storm(1_500, |stream| {
        let (once, making) = &onces[next(&turn)];
        let yields = stream.choices.below(3);
        let call = || {
            once.call_once_force(|state| {
                assert!(!state.is_poisoned(), "a call that was cut short leaves the state as it was");
                making.make(|| (0..yields).for_each(|_| abaca::yield_now()));
            });
        };
        let has_ended = match stream.choices.below(4) {
            0 => stream.briefly(|| once.wait_force()).is_some(),
            1 => {
                patiently(call);
                true
            }
            _ => stream.briefly(call).is_some(),
        };
        if has_ended {
            assert_eq!(making.made.load(SeqCst), 1);
        }
    });
    for (once, making) in onces {
        assert_eq!(making.made.into_inner(), usize::from(once.is_completed()));
    }
}

#[test]
fn a_once_lock_has_one_value_for_all() {
    let locks: Vec<_> = (0..COUNT).map(|_| (OnceLock::new(), Making::default())).collect();
    let turn = AtomicUsize::new(0);
    storm(1_500, |stream| {
        let (lock, making) = &locks[next(&turn)];
        let (offer, yields) = (stream.choices.below(1_000), stream.choices.below(3));
        let make = || making.make(|| (0..yields).for_each(|_| abaca::yield_now()));
        let get = || *lock.get_or_init(|| (offer, make()).0);
        let value = match stream.choices.below(6) {
            0 => stream.briefly(|| *lock.wait()),
            1 => Some(patiently(get)),
            2 => lock.get_or_try_init(|| Err(())).ok().copied(),
            3 => match lock.set(offer) {
                // A value that is set is counted afterwards.
                Ok(()) => {
                    making.made.fetch_add(1, SeqCst);
                    Some(offer)
                }
                Err(refused) => {
                    assert_eq!(refused, offer);
                    lock.get().copied()
                }
            },
            _ => stream.briefly(get),
        };
        if let Some(value) = value {
            assert_eq!(lock.get(), Some(&value));
        }
    });
    for (lock, making) in locks {
        assert_eq!(making.made.into_inner(), usize::from(lock.get().is_some()));
    }
}

#[test]
fn a_lazy_value_is_made_once_and_waits_for_it_may_be_cut_short() {
    let (begun, is_cut) = (AtomicUsize::new(0), AtomicBool::new(false));
    let make = || {
        begun.fetch_add(1, SeqCst);
        // A call that is cut short would poison the value, as one that panics.
        shield(|| (0..3).for_each(|_| abaca::yield_now()));
        begun.load(SeqCst)
    };
    let lazies: Vec<_> = (0..COUNT).map(|_| LazyLock::new(make)).collect();
    let turn = AtomicUsize::new(0);
    storm(1_500, |stream| {
        let lazy = &lazies[next(&turn)];
        let value = match stream.choices.below(3) {
            0 => Some(patiently(|| **lazy)),
            1 => LazyLock::get(lazy).copied(),
            _ => stream.briefly(|| *LazyLock::force(lazy)),
        };
        match value {
            Some(value) => assert_eq!(LazyLock::get(lazy), Some(&value)),
            None => is_cut.store(true, SeqCst),
        }
    });
    let made = lazies.iter().filter(|lazy| LazyLock::get(lazy).is_some()).count();
    assert_eq!(begun.load(SeqCst), made);
}
