//! Suspending and resuming under so many live calls, and calling what might suspend but does not.
//!
//! A fiber is resumed where it stopped, however deep. A future is polled from the outside, through every level down to the
//! one that waits, and back. A compiler may merge levels that it can see through; the boxed side shows what is left when it cannot.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use abaca::coroutine::{Coroutine, CoroutineResult, Yielder};

use super::chain::{self, boxed, deep, nested};
use super::{Question, Side};

const DEPTHS: &[u64] = &[1, 4, 16, 64];

pub(super) const QUESTIONS: [Question; 2] = [
    Question {
        title: "What does a suspension cost under nested calls?",
        unit: "ns per suspension and resumption",
        parameter: "call depth",
        places: DEPTHS,
        sides: &[
            Side { name: "fiber", measure: fiber_suspends },
            Side { name: "future", measure: future_suspends },
            Side { name: "boxed future", measure: boxed_suspends },
        ],
    },
    Question {
        title: "What does a call cost that might suspend but does not?",
        unit: "ns per call from the outermost to the innermost level and back",
        parameter: "call depth",
        places: DEPTHS,
        sides: &[
            Side { name: "fiber", measure: fiber_calls },
            Side { name: "future", measure: future_calls },
            Side { name: "boxed future", measure: boxed_calls },
        ],
    },
];

fn fiber_suspends(depth: u64, times: u64) -> (Duration, u64) {
    let mut coroutine = Coroutine::<(), (), ()>::new(move |yielder: &Yielder<(), ()>, ()| {
        deep(depth, &mut || {
            for _ in 0..times {
                yielder.suspend(());
            }
        });
    });
    coroutine.resume(());
    let began = Instant::now();
    while let CoroutineResult::Yield(()) = coroutine.resume(()) {}
    (began.elapsed(), times)
}

fn fiber_calls(depth: u64, times: u64) -> (Duration, u64) {
    let may_suspend = black_box(false);
    let mut coroutine = Coroutine::<(), (), Duration>::new(move |yielder: &Yielder<(), ()>, ()| {
        let began = Instant::now();
        for _ in 0..times {
            deep(depth, &mut || {
                if may_suspend {
                    yielder.suspend(());
                }
            });
        }
        began.elapsed()
    });
    match coroutine.resume(()) {
        CoroutineResult::Return(elapsed) => (elapsed, times),
        CoroutineResult::Yield(()) => unreachable!("it does not suspend"),
    }
}

fn future_suspends(depth: u64, times: u64) -> (Duration, u64) {
    fn run(future: impl Future<Output = u64>) -> Duration {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let began = Instant::now();
        while future.as_mut().poll(&mut context).is_pending() {}
        began.elapsed()
    }
    (nested!(depth, times, run), times)
}

fn future_calls(depth: u64, times: u64) -> (Duration, u64) {
    fn ready(future: impl Future<Output = u64>) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(black_box(pin!(future).poll(&mut context)).is_ready());
    }
    let no_suspensions = black_box(0);
    let began = Instant::now();
    for _ in 0..times {
        nested!(depth, no_suspensions, ready);
    }
    (began.elapsed(), times)
}

fn boxed_suspends(depth: u64, times: u64) -> (Duration, u64) {
    let mut future = boxed(depth, times);
    let mut context = Context::from_waker(Waker::noop());
    let began = Instant::now();
    while future.as_mut().poll(&mut context).is_pending() {}
    (began.elapsed(), times)
}

fn boxed_calls(depth: u64, times: u64) -> (Duration, u64) {
    let mut context = Context::from_waker(Waker::noop());
    let began = Instant::now();
    for _ in 0..times {
        assert!(boxed(depth, 0).as_mut().poll(&mut context).is_ready());
    }
    (began.elapsed(), times)
}
