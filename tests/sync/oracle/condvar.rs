//! `Condvar` beside std's: the results of waits that end at once, and turns that are passed from one actor to another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use proptest::prelude::*;

use super::{at_once, everywhere, on_threads, quiet_panic};

#[derive(Clone, Copy, Debug)]
enum Step {
    Lock,
    Unlock,
    /// Until a timeout of zero.
    WaitTimeout,
    /// Until a timeout of zero, for a condition that holds or does not.
    WaitTimeoutWhile(bool),
    /// For a condition that holds.
    WaitWhile,
    /// With a condition that panics.
    WaitWhilePanicking,
    NotifyOne,
    NotifyAll,
    Panic,
    Print,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        6 => Just(Lock),
        2 => Just(Unlock),
        3 => Just(WaitTimeout),
        3 => any::<bool>().prop_map(WaitTimeoutWhile),
        2 => Just(WaitWhile),
        1 => Just(WaitWhilePanicking),
        2 => Just(NotifyOne),
        2 => Just(NotifyAll),
        1 => Just(Panic),
        2 => Just(Print),
    ]
}

macro_rules! transcript {
    ($sync:path, $steps:expr) => {{
        use $sync as sync;
        let (mutex, condvar) = (sync::Mutex::new(0), sync::Condvar::new());
        let (mut held, mut said) = (None, Vec::new());
        for step in $steps {
            let what = match (step, held.take()) {
                (Step::Lock, None) => {
                    held = Some(mutex.lock().unwrap_or_else(sync::PoisonError::into_inner));
                    String::new()
                }
                (Step::WaitTimeout, Some(guard)) => {
                    let waited = condvar.wait_timeout(guard, Duration::ZERO);
                    let is_ok = waited.is_ok();
                    let (guard, result) = waited.unwrap_or_else(sync::PoisonError::into_inner);
                    held = Some(guard);
                    format!("{is_ok} {result:?} {}", result.timed_out())
                }
                (Step::WaitTimeoutWhile(is_waiting), Some(guard)) => {
                    let condition = |value: &mut i32| {
                        *value += 1;
                        *is_waiting
                    };
                    let waited = condvar.wait_timeout_while(guard, Duration::ZERO, condition);
                    let is_ok = waited.is_ok();
                    let (guard, result) = waited.unwrap_or_else(sync::PoisonError::into_inner);
                    let said = format!("{is_ok} {result:?} {guard:?}");
                    held = Some(guard);
                    said
                }
                (Step::WaitWhile, Some(guard)) => {
                    let waited = condvar.wait_while(guard, |_| false);
                    let said = format!("{waited:?}");
                    held = Some(waited.unwrap_or_else(sync::PoisonError::into_inner));
                    said
                }
                (Step::WaitWhilePanicking, Some(guard)) => {
                    let wait = || drop(condvar.wait_while(guard, |_| quiet_panic()));
                    format!("{}", catch_unwind(AssertUnwindSafe(wait)).is_err())
                }
                (Step::Panic, guard) => {
                    let panic = || {
                        let _guard = guard;
                        quiet_panic();
                    };
                    format!("{}", catch_unwind(AssertUnwindSafe(panic)).is_err())
                }
                (Step::Unlock, _) => String::new(),
                (other, guard) => {
                    held = guard;
                    match other {
                        Step::NotifyOne => condvar.notify_one(),
                        Step::NotifyAll => condvar.notify_all(),
                        _ => {}
                    }
                    format!("{condvar:?} {mutex:?}")
                }
            };
            said.push(what);
        }
        said
    }};
}

const ACTORS: usize = 3;

/// What the actor whose turn it is does with the mutex.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Speak,
    Panic,
    Heal,
}

fn turns() -> impl Strategy<Value = Vec<(usize, Turn)>> {
    let turn = prop_oneof![5 => Just(Turn::Speak), 2 => Just(Turn::Panic), 1 => Just(Turn::Heal)];
    prop::collection::vec((0..ACTORS, turn), 0..20)
}

/// `$at_once` runs all actors. Each takes its own turns, and waits for the turns of the others.
macro_rules! play {
    ($sync:path, $at_once:path, $turns:expr) => {{
        use $sync as sync;
        let turns: &[(usize, Turn)] = $turns;
        let (log, changed) = (sync::Mutex::new(Vec::new()), sync::Condvar::new());
        $at_once(ACTORS, |me| {
            loop {
                let guard = log.lock().unwrap_or_else(sync::PoisonError::into_inner);
                let is_others =
                    |log: &mut Vec<_>| turns.get(log.len()).is_some_and(|(actor, _)| *actor != me);
                // Poison ends the wait before its condition holds.
                let waited = changed.wait_while(guard, is_others);
                let mut guard = waited.unwrap_or_else(sync::PoisonError::into_inner);
                if is_others(&mut guard) {
                    continue;
                }
                let Some((_, turn)) = turns.get(guard.len()) else { break };
                guard.push(format!("{me} {turn:?} {}", log.is_poisoned()));
                match turn {
                    Turn::Speak => drop(guard),
                    Turn::Heal => log.clear_poison(),
                    Turn::Panic => {
                        let panic = || {
                            let _guard = guard;
                            quiet_panic();
                        };
                        let _ = catch_unwind(AssertUnwindSafe(panic));
                    }
                }
                changed.notify_all();
            }
        });
        let is_poisoned = log.is_poisoned();
        (log.into_inner().unwrap_or_else(sync::PoisonError::into_inner), is_poisoned)
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_condvar_has_stds_results(steps in prop::collection::vec(step(), 0..30)) {
        let ours = everywhere(|| transcript!(abaca::sync, &steps));
        let theirs = transcript!(std::sync, &steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn turns_are_passed_on_as_with_stds(turns in turns()) {
        let ours = play!(abaca::sync, at_once, &turns);
        let theirs = play!(std::sync, on_threads, &turns);
        prop_assert_eq!(ours, theirs);
    }
}
