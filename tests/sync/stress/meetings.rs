//! `Condvar`, `Barrier` and `WaitGroup` under stress.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::cancel::shield;
use abaca::sync::{Arc, Barrier, Condvar, Mutex, WaitGroup};
use abaca_tests::{patiently, storm};

#[test]
fn permits_behind_a_condition_are_neither_lost_nor_made_up() {
    const PERMITS: u64 = 2;
    let (permits, changed) = (Mutex::new(PERMITS), Condvar::new());
    let held = AtomicUsize::new(0);
    storm(1_500, |stream| {
        let take = || {
            let guard = permits.lock().unwrap();
            let mut guard = changed.wait_while(guard, |permits| *permits == 0).unwrap();
            *guard -= 1;
        };
        let is_taken = match stream.choices.below(4) {
            0 => {
                let guard = permits.lock().unwrap();
                let patience = stream.choices.patience();
                let (mut guard, _) =
                    changed.wait_timeout_while(guard, patience, |permits| *permits == 0).unwrap();
                let is_there = *guard > 0;
                *guard -= u64::from(is_there);
                is_there
            }
            1 => stream.briefly(take).is_some(),
            _ => {
                patiently(take);
                true
            }
        };
        if is_taken {
            // A stream that is cut short here could not return what it has taken.
            shield(|| {
                assert!(held.fetch_add(1, SeqCst) < PERMITS as usize);
                stream.linger();
                held.fetch_sub(1, SeqCst);
                *permits.lock().unwrap() += 1;
                match stream.choices.below(4) {
                    0 => changed.notify_all(),
                    _ => changed.notify_one(),
                }
            });
        }
    });
    // The mutex is not poisoned either: no stream waits while it holds it.
    assert_eq!(permits.into_inner().unwrap(), PERMITS);
}

#[test]
fn a_barrier_counts_exactly_those_that_pass() {
    const COME: usize = 3;
    let barrier = Barrier::new(COME);
    let (passed, led) = (AtomicUsize::new(0), AtomicUsize::new(0));
    storm(1_500, |stream| {
        if let Some(result) = stream.briefly(|| barrier.wait()) {
            passed.fetch_add(1, SeqCst);
            led.fetch_add(usize::from(result.is_leader()), SeqCst);
        }
    });
    // A wait that is cut short has not counted, and a wait that has counted is not cut short.
    assert_eq!(passed.into_inner(), COME * led.into_inner());
    // No earlier wait is still counted, so as many are needed as before.
    let leaders = std::thread::scope(|threads| {
        let come = || patiently(|| barrier.wait()).is_leader();
        let others: Vec<_> = (1..COME).map(|_| threads.spawn(come)).collect();
        let others = others.into_iter().map(|other| usize::from(other.join().unwrap()));
        usize::from(come()) + others.sum::<usize>()
    });
    assert_eq!(leaders, 1);
}

/// Counts when it is dropped: its owner's work is done, or will not be.
struct Work(Arc<AtomicUsize>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What a member has to do. The fields are dropped in this order: the work is done before the member leaves, also if its
/// stream is cut short. So a part stays whole until then.
struct Part {
    work: Work,
    member: WaitGroup,
}

impl Part {
    /// Does the work, and returns the member.
    fn work(self) -> WaitGroup {
        drop(self.work);
        self.member
    }
}

#[test]
fn a_group_is_waited_for_until_all_its_members_have_done_their_work() {
    const PARTS: usize = 2;
    let parts = std::sync::Mutex::new(Vec::<Part>::new());
    let take = || parts.lock().unwrap().pop();
    storm(1_500, |stream| {
        let (group, done) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        let part = || Part { work: Work(Arc::clone(&done)), member: group.clone() };
        parts.lock().unwrap().extend([part(), part()]);
        for _ in 0..PARTS {
            let Some(part) = take() else { break };
            stream.linger();
            let done = Arc::clone(&part.work.0);
            let member = part.work();
            // Some wait for the others; one that is cut short then has done its work all the same.
            if stream.choices.once_in(4) && stream.briefly(|| member.wait()).is_some() {
                assert_eq!(done.load(SeqCst), PARTS);
            }
        }
        if stream.briefly(|| group.wait()).is_some() {
            assert_eq!(done.load(SeqCst), PARTS);
        }
    });
}
