//! Looks for an order of the calls that explains what they answered.

use std::collections::HashSet;

use crate::history::{Event, System};

/// A search that takes more steps than this is given up.
const STEPS: usize = 400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Explained,
    /// No order explains it.
    Wrong,
    /// Too many orders to try.
    GivenUp,
}

/// Whether some order explains the events, and leaves the model in a state that `may_end` accepts; the calls that were cut
/// short are not among the events.
pub(crate) fn explain<S: System>(events: &[Event<S>], may_end: impl Fn(&S::Model) -> bool) -> Verdict {
    assert!(events.len() <= 128, "a mask has a bit for each");
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, S::Model::default())];
    while let Some((done, model)) = open.pop() {
        let left = || (0..events.len()).filter(|at| done & 1 << at == 0);
        let Some(first_end) = left().map(|at| events[at].ended).min() else {
            if may_end(&model) {
                return Verdict::Explained;
            }
            continue;
        };
        for at in left().filter(|at| events[*at].began < first_end) {
            let Event { stream, op, answer, is_excused, .. } = &events[at];
            let excused = || is_excused.then(|| model.clone());
            let next = S::step(&model, *stream, op, answer).or_else(excused);
            for next in next.into_iter().chain(S::alternative(&model, *stream, op, answer)) {
                let state = (done | 1 << at, next);
                if seen.insert(state.clone()) {
                    open.push(state);
                }
            }
        }
        if seen.len() > STEPS {
            return Verdict::GivenUp;
        }
    }
    Verdict::Wrong
}

struct Counter;

impl System for Counter {
    type Op = ();
    type Answer = u8;
    type Held<'a> = ();
    type Model = u8;
    fn new() -> Self {
        Self
    }
    fn call(&self, _: usize, (): &mut (), (): &()) -> u8 {
        0
    }
    fn step(model: &u8, _: usize, (): &(), answer: &u8) -> Option<u8> {
        (answer == model).then_some(model + 1)
    }
    fn waits(_: &u8, _: usize, (): &()) -> bool {
        false
    }
}

fn event(began: u64, ended: u64, answer: u8) -> Event<Counter> {
    Event { stream: 0, began, ended, op: (), answer, is_excused: false }
}

/// Histories that are wrong are found out: a counter that lost an increment.
#[test]
fn a_history_without_an_order_is_found() {
    let verdict = |events: &[Event<Counter>]| explain(events, |_| true);
    assert_eq!(verdict(&[event(0, 3, 1), event(1, 2, 0)]), Verdict::Explained, "they overlap");
    assert_eq!(verdict(&[event(0, 1, 1), event(2, 3, 0)]), Verdict::Wrong, "the second answer came first");
    assert_eq!(verdict(&[event(0, 2, 0), event(1, 3, 0)]), Verdict::Wrong, "an increment is lost");
}

/// So is an end that cannot be: a call that waits for what is there.
#[test]
fn a_wait_for_nothing_is_found() {
    let counted = [event(0, 1, 0)];
    assert_eq!(explain(&counted, |count| *count == 1), Verdict::Explained);
    assert_eq!(explain(&counted, |count| *count == 2), Verdict::Wrong);
}
