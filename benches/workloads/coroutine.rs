//! A coroutine that is made, resumed once and at its end, on a stack that was used before.

use std::hint::black_box;
use std::time::Instant;

use abaca::coroutine::{Coroutine, CoroutineResult};

use super::{Entry, LONG_ENOUGH, Sample, Size, calibrated};
use crate::peer::Peer;

/// The workload in the list.
pub(super) const ENTRY: Entry = Entry {
    name: "create_reuse",
    size: Size { quick: 100, start: 10_000, most: u64::MAX, threads: None },
    one_worker: true,
    has_form: |peer| matches!(peer, Peer::Abaca(_) | Peer::Corosensei),
    run: |peer, range| match peer {
        Peer::Abaca(1) => Some(calibrated!(range, n => abaca(n))),
        Peer::Corosensei => Some(calibrated!(range, n => corosensei(n))),
        _ => None,
    },
};

fn abaca(amount: u64) -> Sample {
    let began = Instant::now();
    for number in 0..amount {
        let mut coroutine = Coroutine::<u64, (), u64>::new(|_, number| number + 1);
        let result = coroutine.resume(black_box(number));
        assert!(matches!(result, CoroutineResult::Return(next) if next == number + 1));
    }
    Sample::per_operation(began.elapsed(), amount)
}

/// Its stacks are the caller's to keep.
fn corosensei(amount: u64) -> Sample {
    let mut stack = corosensei::stack::DefaultStack::default();
    let began = Instant::now();
    for number in 0..amount {
        let mut coroutine =
            corosensei::Coroutine::<u64, (), u64>::with_stack(stack, |_, number: u64| number + 1);
        let result = coroutine.resume(black_box(number));
        assert!(matches!(result, corosensei::CoroutineResult::Return(next) if next == number + 1));
        stack = coroutine.into_stack();
    }
    Sample::per_operation(began.elapsed(), amount)
}
