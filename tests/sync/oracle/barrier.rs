//! `Barrier` beside std's: who passes, when, and who leads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;

use super::{at_once, everywhere, on_threads};

/// Runs the only participant.
fn alone(count: usize, body: impl Fn(usize)) {
    (0..count).for_each(body);
}

/// `$at_once` runs all participants, each for `rounds` rounds. In each round all results but one are equal.
macro_rules! transcript {
    ($sync:path, $at_once:path, $needed:expr, $rounds:expr) => {{
        use $sync as sync;
        let barrier = sync::Barrier::new($needed);
        // With 0 participants needed, no call waits.
        let come = $needed.max(1);
        let arrived = AtomicUsize::new(0);
        let said: Vec<_> = (0..$rounds).map(|_| Mutex::new(Vec::new())).collect();
        $at_once(come, |_| {
            for (round, said) in said.iter().enumerate() {
                arrived.fetch_add(1, SeqCst);
                let result = barrier.wait();
                let all_have_come = arrived.load(SeqCst) >= (round + 1) * come;
                said.lock().unwrap().push(format!("{result:?} {} {all_have_come}", result.is_leader()));
            }
        });
        let said = said.into_iter().map(|said| {
            let mut said = said.into_inner().unwrap();
            said.sort();
            said
        });
        (format!("{barrier:?}"), said.collect::<Vec<_>>())
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_barrier_has_stds_results(needed in 0..5_usize, rounds in 0..8_usize) {
        let ours = transcript!(abaca::sync, at_once, needed, rounds);
        let theirs = transcript!(std::sync, on_threads, needed, rounds);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_barrier_for_at_most_one_never_waits_as_stds(needed in 0..2_usize, rounds in 0..8_usize) {
        let ours = everywhere(|| transcript!(abaca::sync, alone, needed, rounds));
        let theirs = transcript!(std::sync, alone, needed, rounds);
        prop_assert_eq!(ours, theirs);
    }
}
