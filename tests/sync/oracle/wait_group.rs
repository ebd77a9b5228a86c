//! `WaitGroup` beside crossbeam's: its members are counted, and the waits end with the last of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;

use super::{at_once, everywhere, on_threads};

#[derive(Clone, Copy, Debug)]
enum Step {
    New,
    Clone,
    /// Drops the member of that number, modulo their number.
    Drop(usize),
    /// Waits as the last member; otherwise the wait would last for ever.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![1 => Just(New), 4 => Just(Clone), 4 => (0..8_usize).prop_map(Drop), 2 => Just(Wait)]
}

macro_rules! transcript {
    ($krate:path, $steps:expr) => {{
        use $krate as krate;
        let mut parts = vec![krate::WaitGroup::new()];
        let mut said = vec![format!("{:?}", krate::WaitGroup::default())];
        for step in $steps {
            match *step {
                Step::New => parts = vec![krate::WaitGroup::new()],
                Step::Clone => parts.extend(parts.last().cloned()),
                Step::Drop(which) if !parts.is_empty() => drop(parts.swap_remove(which % parts.len())),
                Step::Wait if parts.len() == 1 => parts.drain(..).for_each(krate::WaitGroup::wait),
                _ => {}
            }
            said.push(format!("{:?}", parts.last()));
        }
        said
    }};
}

/// What a member does once its work is done.
#[derive(Clone, Copy, Debug)]
enum End {
    Drop,
    Wait,
    /// Makes a clone and drops it, and waits.
    CloneAndWait,
    /// Panics, with the member on the stack.
    Panic,
}

fn end() -> impl Strategy<Value = End> {
    use End::*;
    prop_oneof![2 => Just(Drop), 3 => Just(Wait), 1 => Just(CloneAndWait), 1 => Just(Panic)]
}

/// `$at_once` runs all members. A member that waits reports how much work is done then.
macro_rules! meeting {
    ($krate:path, $at_once:path, $ends:expr) => {{
        use $krate as krate;
        let ends: &[End] = $ends;
        let group = krate::WaitGroup::new();
        let parts: Vec<_> = ends.iter().map(|_| Mutex::new(Some(group.clone()))).collect();
        drop(group);
        let worked = AtomicUsize::new(0);
        let said: Vec<_> = ends.iter().map(|_| Mutex::new(None)).collect();
        $at_once(ends.len(), |me| {
            let part = parts[me].lock().unwrap().take().expect("one for each");
            worked.fetch_add(1, SeqCst);
            match ends[me] {
                End::Drop => return,
                End::Panic => {
                    let panic = move || {
                        let _part = part;
                        super::quiet_panic();
                    };
                    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic)).is_err());
                    return;
                }
                End::Wait => part.wait(),
                End::CloneAndWait => {
                    drop(part.clone());
                    part.wait();
                }
            }
            *said[me].lock().unwrap() = Some(worked.load(SeqCst));
        });
        said.into_iter().map(|said| said.into_inner().unwrap()).collect::<Vec<_>>()
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_group_has_crossbeams_results(steps in prop::collection::vec(step(), 0..40)) {
        let ours = everywhere(|| transcript!(abaca::sync, &steps));
        let theirs = transcript!(crossbeam_utils::sync, &steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_group_is_waited_for_as_with_crossbeams(ends in prop::collection::vec(end(), 0..6)) {
        let ours = meeting!(abaca::sync, at_once, &ends);
        let theirs = meeting!(crossbeam_utils::sync, on_threads, &ends);
        prop_assert_eq!(ours, theirs);
    }
}
