//! Sets of fibers: results in the order of the ends, and nothing lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::{JoinSet, channel};
use abaca_tests::storm;

use super::{is_cancelled, on_one_worker};

#[test]
fn results_come_in_the_order_in_which_the_fibers_end() {
    on_one_worker(|| {
        let mut set = JoinSet::new();
        let gates: Vec<_> = (0..3)
            .map(|number| {
                let (gate, closed) = channel::bounded::<()>(0);
                set.spawn(move || {
                    closed.recv().unwrap();
                    number
                });
                gate
            })
            .collect();
        for number in [2, 0, 1] {
            assert!(set.try_join_next().is_none());
            assert!(set.join_next_timeout(Duration::from_millis(1)).is_err());
            gates[number].send(()).unwrap();
            assert_eq!(set.join_next().unwrap().unwrap(), number);
        }
        assert!(set.is_empty() && set.join_next().is_none());
    });
}

#[test]
fn panics_and_cancellations_are_results_too() {
    on_one_worker(|| {
        let mut set = JoinSet::new();
        set.spawn(|| -> () { panic!("in the set") });
        let parked = set.spawn(abaca::park);
        let payload = set.join_next().unwrap().unwrap_err();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "in the set");
        parked.cancel();
        assert!(is_cancelled(set.join_next().unwrap()));
        // A fiber that never starts reports as well.
        set.spawn(|| ()).cancel();
        assert!(is_cancelled(set.join_next().unwrap()));
        assert!(set.is_empty());
    });
}

#[test]
fn slots_are_reused() {
    on_one_worker(|| {
        let mut set: JoinSet<usize> = JoinSet::new();
        let mut sum = 0;
        for number in 0..1000 {
            set.spawn(move || number);
            if number % 3 == 2 {
                sum += set.join_next().unwrap().unwrap();
            }
        }
        sum += set.join_all().into_iter().sum::<usize>();
        assert_eq!(sum, 499_500);
    });
}

#[test]
fn dropping_or_shutting_down_a_set_cancels_and_detaching_does_not() {
    on_one_worker(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        struct Ends(Arc<AtomicUsize>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        let parked = |set: &mut JoinSet<()>| {
            let ends = Ends(Arc::clone(&ended));
            set.spawn(move || {
                let _ends = ends;
                abaca::park();
            })
        };
        let mut set = JoinSet::new();
        parked(&mut set);
        set.shutdown();
        assert_eq!(ended.load(SeqCst), 1);
        parked(&mut set);
        drop(set);
        while ended.load(SeqCst) < 2 {
            abaca::yield_now();
        }
        let mut set = JoinSet::new();
        let detached = parked(&mut set);
        abaca::yield_now();
        set.detach_all();
        assert!(set.is_empty());
        drop(set);
        abaca::yield_now();
        assert_eq!(ended.load(SeqCst), 2);
        detached.unpark();
        while ended.load(SeqCst) < 3 {
            abaca::yield_now();
        }
    });
}

#[test]
fn a_join_that_is_cancelled_loses_no_result() {
    on_one_worker(|| {
        let mut set: JoinSet<usize> = (0..100)
            .map(|number| {
                move || {
                    for _ in 0..number % 5 {
                        abaca::yield_now();
                    }
                    number
                }
            })
            .collect();
        let mut results = Vec::new();
        while results.len() < 100 {
            if let Ok(Some(result)) = set.join_next_timeout(Duration::ZERO) {
                results.push(result.unwrap());
            }
            abaca::yield_now();
        }
        results.sort_unstable();
        assert!(results.into_iter().eq(0..100));
    });
}

#[test]
fn every_fiber_of_a_set_in_a_storm_is_joined_once_or_ends_with_its_set() {
    /// Counts the members that are gone, whether they ran or not.
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (spawned, gone) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let members = std::sync::Mutex::new(Vec::<abaca::Fiber>::new());
    let take = || members.lock().unwrap().pop();
    storm(60, |stream| {
        if !stream.is_fiber() {
            // The threads cancel single members.
            take().into_iter().for_each(|member| member.cancel());
            return std::thread::yield_now();
        }
        let mut set = JoinSet::new();
        let count = 1 + stream.choices.below(4) as usize;
        for number in 0..count {
            spawned.fetch_add(1, SeqCst);
            let gone = Gone(Arc::clone(&gone));
            let patience = stream.choices.patience();
            let member = set.spawn(move || {
                let _gone = gone;
                abaca::sleep(patience);
                number
            });
            members.lock().unwrap().push(member);
        }
        let mut joined = vec![false; count];
        let mut cancelled = 0;
        while !set.is_empty() {
            match stream.briefly(|| set.join_next().expect("there are some")) {
                Some(Ok(number)) => assert!(!std::mem::replace(&mut joined[number], true)),
                Some(result) => cancelled += usize::from(is_cancelled(result)),
                None if stream.choices.once_in(4) => set.cancel_all(),
                None => {}
            }
        }
        assert_eq!(joined.into_iter().filter(|joined| *joined).count() + cancelled, count);
    });
    // The runtime has ended, and with it the members of the sets that were dropped.
    assert_eq!(gone.load(SeqCst), spawned.into_inner());
}

#[test]
fn a_name_that_cannot_be_leaves_the_set_as_it_was() {
    on_one_worker(|| {
        let mut set = JoinSet::new();
        set.spawn(|| 1);
        let named = abaca::Builder::new().name("a\0b".into());
        assert!(catch_unwind(AssertUnwindSafe(|| set.spawn_with(named, || 2))).is_err());
        assert_eq!(set.len(), 1);
        assert_eq!(set.join_next().unwrap().unwrap(), 1);
        assert!(set.join_next().is_none());
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the destructor of a result");
    }
}

#[test]
fn destructors_of_results_that_panic_are_contained() {
    on_one_worker(|| {
        for how in 0..3 {
            let mut set = JoinSet::new();
            let ended = Arc::new(AtomicUsize::new(0));
            let end = |ended: &Arc<AtomicUsize>| _ = ended.fetch_add(1, SeqCst);
            for panics in [false, true, false] {
                let ended = Arc::clone(&ended);
                set.spawn(move || {
                    end(&ended);
                    if panics { std::panic::panic_any(Bomb) } else { Bomb }
                });
            }
            while ended.load(SeqCst) < 3 {
                abaca::sleep(Duration::from_millis(1));
            }
            match how {
                0 => drop(set),
                1 => set.detach_all(),
                _ => {
                    let unwound = catch_unwind(AssertUnwindSafe(|| {
                        let _set = set;
                        panic!("with a set");
                    }));
                    assert!(unwound.is_err());
                }
            }
        }
    });
}
