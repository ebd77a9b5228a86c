//! Resuming and suspending one coroutine, with `DEPTH` live frames above the switch on both sides: a switch that
//! confuses the processor's return predictions pays when they return.

use std::hint::black_box;
use std::time::Instant;

use abaca::coroutine::{Coroutine, CoroutineResult, Yielder};

use super::{Entry, LONG_ENOUGH, Sample, Size, calibrated};
use crate::peer::Peer;

/// The workload at a depth.
#[derive(Clone, Copy, Debug)]
pub struct Switch<const DEPTH: u32>;

impl<const DEPTH: u32> Switch<DEPTH> {
    /// The workload in the list.
    pub const ENTRY: Entry = Entry {
        name: match DEPTH {
            0 => "switch depth 0",
            4 => "switch depth 4",
            _ => "switch depth 8",
        },
        size: Size { quick: 100, start: 100_000, most: u64::MAX, threads: None },
        one_worker: true,
        has_form: |peer| matches!(peer, Peer::Abaca(_) | Peer::Corosensei),
        run: |peer, range| match peer {
            Peer::Abaca(1) => Some(calibrated!(range, n => Self::abaca(n))),
            Peer::Corosensei => Some(calibrated!(range, n => Self::corosensei(n))),
            _ => None,
        },
    };

    fn abaca(amount: u64) -> Sample {
        let mut coroutine = Coroutine::<u64, u64, ()>::new(|yielder: &Yielder<u64, u64>, mut number: u64| {
            while number != 0 {
                number = deep(DEPTH, &mut || yielder.suspend(number));
            }
        });
        let began = Instant::now();
        for number in 1..=amount {
            deep(DEPTH, &mut || match coroutine.resume(number) {
                CoroutineResult::Yield(number) => number,
                CoroutineResult::Return(()) => 0,
            });
        }
        let elapsed = began.elapsed();
        coroutine.resume(0);
        Sample::per_operation(elapsed, amount)
    }

    fn corosensei(amount: u64) -> Sample {
        let mut coroutine = corosensei::Coroutine::<u64, u64, ()>::new(|yielder, mut number| {
            while number != 0 {
                number = deep(DEPTH, &mut || yielder.suspend(number));
            }
        });
        let began = Instant::now();
        for number in 1..=amount {
            deep(DEPTH, &mut || match coroutine.resume(number) {
                corosensei::CoroutineResult::Yield(number) => number,
                corosensei::CoroutineResult::Return(()) => 0,
            });
        }
        let elapsed = began.elapsed();
        coroutine.resume(0);
        Sample::per_operation(elapsed, amount)
    }
}

/// Calls `switch` below `depth` frames that must really return.
#[inline]
fn deep(depth: u32, switch: &mut impl FnMut() -> u64) -> u64 {
    #[inline(never)]
    fn frame(depth: u32, switch: &mut impl FnMut() -> u64) -> u64 {
        black_box(deep(depth - 1, switch))
    }
    if depth == 0 { switch() } else { frame(depth, switch) }
}
