//! `Once`, `OnceLock` and `LazyLock` beside std's: which call initialises, what a panic poisons, and the messages.

use proptest::prelude::*;

use super::{everywhere, outcome, quiet_panic};

/// A call, and whether its closure panics.
#[derive(Clone, Copy, Debug)]
enum Call {
    Once(bool),
    Force(bool),
    /// Asks within the closure whether the call has completed.
    Ask,
    Wait,
    WaitForce,
    Print,
}

fn call() -> impl Strategy<Value = Call> {
    use Call::*;
    prop_oneof![
        2 => any::<bool>().prop_map(Once),
        3 => any::<bool>().prop_map(Force),
        1 => Just(Ask),
        1 => Just(Wait),
        1 => Just(WaitForce),
        2 => Just(Print),
    ]
}

macro_rules! once_transcript {
    ($sync:path, $steps:expr) => {{
        use $sync as sync;
        let once = sync::Once::new();
        let (mut said, mut is_poisoned) = (Vec::new(), false);
        for step in $steps {
            // A wait for a call that is never made would last for ever.
            let is_ended = once.is_completed();
            let mut ran = false;
            let mut run = |panics| {
                ran = true;
                is_poisoned = panics;
                if panics {
                    quiet_panic();
                }
            };
            let what = match *step {
                Call::Once(panics) => outcome(|| once.call_once(|| run(panics))),
                Call::Force(panics) => {
                    let mut told = String::new();
                    let out = outcome(|| {
                        once.call_once_force(|state| {
                            told = format!("{state:?} {}", state.is_poisoned());
                            run(panics);
                        })
                    });
                    told + &out
                }
                Call::Ask => {
                    let mut told = false;
                    let out = outcome(|| {
                        once.call_once_force(|_| {
                            told = once.is_completed();
                            run(false);
                        })
                    });
                    format!("{told} {out}")
                }
                Call::Wait if is_ended || is_poisoned => outcome(|| once.wait()),
                Call::WaitForce if is_ended => outcome(|| once.wait_force()),
                _ => format!("{once:?}"),
            };
            said.push(format!("{what} {ran} {}", once.is_completed()));
        }
        said
    }};
}

/// A step with a cell.
#[derive(Clone, Copy, Debug)]
enum CellStep {
    Set,
    Init(bool),
    Get,
    GetMut,
    Wait,
    Take,
    Clone,
    From,
}

fn cell() -> impl Strategy<Value = CellStep> {
    use CellStep::*;
    prop_oneof![
        2 => Just(Set),
        3 => any::<bool>().prop_map(Init),
        2 => Just(Get),
        1 => Just(GetMut),
        1 => Just(Wait),
        2 => Just(Take),
        1 => Just(Clone),
        1 => Just(From),
    ]
}

macro_rules! place_transcript {
    ($sync:path, $steps:expr) => {{
        use $sync as sync;
        let mut lock = sync::OnceLock::new();
        let mut said = Vec::new();
        for (n, step) in $steps.iter().enumerate() {
            // The value has a destructor, which must run once: the counts of owners show it.
            let value = sync::Arc::new(n);
            let is_there = lock.get().is_some();
            let what = match *step {
                CellStep::Set => format!("{:?}", lock.set(sync::Arc::clone(&value))),
                CellStep::Init(panics) => outcome(|| {
                    lock.get_or_init(|| {
                        if panics {
                            quiet_panic();
                        }
                        sync::Arc::clone(&value)
                    })
                }),
                CellStep::Get => format!("{:?}", lock.get()),
                CellStep::GetMut => {
                    format!("{:?}", lock.get_mut().map(|kept| *kept = sync::Arc::clone(&value)))
                }
                CellStep::Wait if is_there => format!("{:?}", lock.wait()),
                CellStep::Wait => String::new(),
                CellStep::Take => format!("{:?}", lock.take()),
                CellStep::Clone => {
                    let clone = lock.clone();
                    format!("{} {clone:?}", clone == lock)
                }
                CellStep::From => {
                    let other = sync::OnceLock::from(sync::Arc::clone(&value));
                    let is_same = other == lock;
                    format!("{is_same} {other:?}") + &format!("{:?}", other.into_inner())
                }
            };
            said.push(format!("{what} {lock:?} {:#?} {}", lock.get(), sync::Arc::strong_count(&value)));
        }
        said.push(format!("{:?} {:?}", lock.into_inner(), sync::OnceLock::<u8>::default()));
        said
    }};
}

#[derive(Clone, Copy, Debug)]
enum Lazy {
    Force,
    ForceMut,
    Deref,
    DerefMut,
    Get,
    GetMut,
    Print,
}

fn lazy() -> impl Strategy<Value = Lazy> {
    use Lazy::*;
    prop_oneof![
        1 => Just(Force),
        1 => Just(ForceMut),
        1 => Just(Deref),
        1 => Just(DerefMut),
        2 => Just(Get),
        2 => Just(GetMut),
        3 => Just(Print),
    ]
}

macro_rules! lazy_transcript {
    ($sync:path, $panics:expr, $steps:expr) => {{
        use $sync as sync;
        let made = std::cell::Cell::new(0);
        let mut lazy = sync::LazyLock::new(|| {
            made.set(made.get() + 1);
            if $panics {
                quiet_panic();
            }
            7
        });
        let mut said = Vec::new();
        for step in $steps {
            let what = match step {
                Lazy::Force => outcome(|| *sync::LazyLock::force(&lazy)),
                Lazy::ForceMut => outcome(|| *sync::LazyLock::force_mut(&mut lazy) += 1),
                Lazy::Deref => outcome(|| *lazy + 1),
                Lazy::DerefMut => outcome(|| *lazy += 1),
                Lazy::Get => outcome(|| sync::LazyLock::get(&lazy).copied()),
                Lazy::GetMut => outcome(|| sync::LazyLock::get_mut(&mut lazy).map(|value| *value += 1)),
                Lazy::Print => format!("{lazy:?}"),
            };
            said.push(format!("{what} {}", made.get()));
        }
        said
    }};
}

proptest! {
    // Panics of poisoned values are reported, which takes time.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_once_has_stds_results(steps in prop::collection::vec(call(), 0..8)) {
        let ours = everywhere(|| once_transcript!(abaca::sync, &steps));
        let theirs = once_transcript!(std::sync, &steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_once_lock_has_stds_results(steps in prop::collection::vec(cell(), 0..20)) {
        let ours = everywhere(|| place_transcript!(abaca::sync, &steps));
        let theirs = place_transcript!(std::sync, &steps);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_lazy_value_has_stds_results(panics in any::<bool>(), steps in prop::collection::vec(lazy(), 0..8)) {
        let ours = everywhere(|| lazy_transcript!(abaca::sync, panics, &steps));
        let theirs = lazy_transcript!(std::sync, panics, &steps);
        prop_assert_eq!(ours, theirs);
    }
}
