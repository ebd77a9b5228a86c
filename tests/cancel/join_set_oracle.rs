//! `JoinSet`, next to tokio's: the order in which its fibers end, and the fibers that are left in it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use proptest::prelude::*;

use abaca::Cancelled;

use super::on_one_worker;

/// Members are counted round, those that have ended among them.
#[derive(Clone, Copy, Debug)]
enum Step {
    Spawn,
    /// Lets a member return.
    Return(usize),
    /// Lets a member panic.
    Panic(usize),
    Cancel(usize),
    TryJoin,
    /// Cancels all, and joins all that have ended.
    CancelAll,
    DetachAll,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let which = || 0..16_usize;
    prop_oneof![
        6 => Just(Spawn),
        4 => which().prop_map(Return),
        2 => which().prop_map(Panic),
        2 => which().prop_map(Cancel),
        5 => Just(TryJoin),
        1 => Just(CancelAll),
        1 => Just(DetachAll),
    ]
}

/// How a member ended, in words. A panic's payload is not looked at: its members know only one.
fn words<E>(result: Option<Result<usize, E>>, is_cancelled: impl Fn(&E) -> bool) -> String {
    match result {
        None => "nothing".to_owned(),
        Some(Ok(number)) => number.to_string(),
        Some(Err(error)) if is_cancelled(&error) => "cancelled".to_owned(),
        Some(Err(_)) => "panicked".to_owned(),
    }
}

/// What a fiber of the set does with the message that it gets.
fn end<E>(number: usize, told: Result<bool, E>) -> usize {
    match told {
        Ok(true) => number,
        _ => resume_unwind(Box::new("quiet")),
    }
}

/// `$cancel` cancels a member, `$cancel_all` all; `$settle` lets all members run until they wait.
macro_rules! transcript {
    ($set:expr, $channel:path, $steps:expr, $spawn:expr, $cancel:expr, $cancel_all:expr, $is_cancelled:expr, $settle:expr) => {{
        use $channel as channel;
        let (mut set, mut gates, mut members) = ($set, Vec::new(), Vec::new());
        let mut said = Vec::new();
        for step in $steps {
            let count = members.len().max(1);
            let mut joined = Vec::new();
            match *step {
                Step::Spawn => {
                    let (gate, told) = channel::channel();
                    let number = members.len();
                    gates.push(Some(gate));
                    members.push($spawn(&mut set, number, told));
                }
                Step::Return(which) | Step::Panic(which) => {
                    let gate = gates.get_mut(which % count).and_then(Option::take);
                    gate.map(|gate| gate.send(matches!(step, Step::Return(_))));
                }
                Step::Cancel(which) => members.get(which % count).into_iter().for_each($cancel),
                Step::TryJoin => joined.push(words(set.try_join_next(), $is_cancelled)),
                Step::CancelAll => {
                    $cancel_all(&mut set);
                    $settle;
                    while let Some(result) = set.try_join_next() {
                        joined.push(words(Some(result), $is_cancelled));
                    }
                    // Their order is a matter of chance.
                    joined.sort();
                }
                Step::DetachAll => set.detach_all(),
            }
            $settle;
            said.push(format!("{joined:?} {} {}", set.len(), set.is_empty()));
        }
        said
    }};
}

fn ours(steps: &[Step]) -> Vec<String> {
    use abaca::{Fiber, JoinSet, channel::oneshot};
    let spawn = |set: &mut JoinSet<usize>, number, told: oneshot::Receiver<bool>| {
        let has_begun = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&has_begun);
        let member = set.spawn(move || {
            theirs.store(true, SeqCst);
            end(number, told.recv())
        });
        // A task of tokio's need not start soon.
        while !has_begun.load(SeqCst) {
            abaca::yield_now();
        }
        member
    };
    on_one_worker(|| {
        transcript!(
            JoinSet::new(),
            abaca::channel::oneshot,
            steps,
            spawn,
            |member: &Fiber| member.cancel(),
            JoinSet::cancel_all,
            |payload| payload.is::<Cancelled>(),
            (0..4).for_each(|_| abaca::yield_now())
        )
    })
}

fn theirs(steps: &[Step]) -> Vec<String> {
    use tokio::sync::oneshot;
    use tokio::task::{AbortHandle, JoinError, JoinSet};
    let spawn = |set: &mut JoinSet<usize>, number, told: oneshot::Receiver<bool>| {
        set.spawn(async move { end(number, told.await) })
    };
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
        transcript!(
            JoinSet::new(),
            tokio::sync::oneshot,
            steps,
            spawn,
            AbortHandle::abort,
            JoinSet::abort_all,
            JoinError::is_cancelled,
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_set_of_fibers_answers_as_tokios_of_tasks(steps in prop::collection::vec(step(), 0..40)) {
        prop_assert_eq!(ours(&steps), theirs(&steps));
    }
}
