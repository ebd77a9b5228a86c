//! Suspending and resuming under so many live calls, and calling what might suspend but does not.
//!
//! A fiber is resumed where it stopped, however deep. A future is polled from the outside, through every level down to the
//! one that waits, and back. A compiler may merge levels that it can see through; the boxed side shows what is left when it cannot.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use abaca::coroutine::{Coroutine, CoroutineResult, Yielder};

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

/// Calls itself `depth` times and then `f`; a compiler cannot tell how often.
#[inline(never)]
fn deep(depth: u64, f: &mut dyn FnMut()) -> u64 {
    if depth == 0 {
        f();
        return 0;
    }
    black_box(deep(depth - 1, f)) + 1
}

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

/// Suspends so many times.
struct Suspend(u64);

impl Future for Suspend {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<u64> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Pending
            }
            None => Poll::Ready(0),
        }
    }
}

/// One level of calls around another future.
async fn level(inner: impl Future<Output = u64>) -> u64 {
    black_box(inner.await) + 1
}

/// Four levels.
fn levels(inner: impl Future<Output = u64>) -> impl Future<Output = u64> {
    level(level(level(level(inner))))
}

/// Sixteen levels.
fn many_levels(inner: impl Future<Output = u64>) -> impl Future<Output = u64> {
    levels(levels(levels(levels(inner))))
}

/// Calls `run` with a future of that many levels around one that suspends so often.
macro_rules! nested {
    ($depth:expr, $times:expr, $run:expr) => {
        match $depth {
            1 => $run(level(Suspend($times))),
            4 => $run(levels(Suspend($times))),
            16 => $run(many_levels(Suspend($times))),
            _ => $run(many_levels(many_levels(many_levels(many_levels(Suspend($times)))))),
        }
    };
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

type Boxed = Pin<Box<dyn Future<Output = u64>>>;

fn boxed(depth: u64, suspensions: u64) -> Boxed {
    (0..depth).fold(Box::pin(Suspend(suspensions)) as Boxed, |inner, _| Box::pin(level(inner)))
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
