//! Recursion that suspends at the bottom: a walk down and up again. A future of unknown depth must be boxed at every
//! level; a stack just grows.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::{Question, Side, on_fiber};

pub(super) const QUESTIONS: [Question; 1] = [Question {
    title: "What does recursion cost that suspends at the bottom?",
    unit: "ns per level",
    parameter: "recursion depth",
    places: &[10, 100, 1000],
    sides: &[Side { name: "fiber", measure: stack }, Side { name: "boxed future", measure: boxes }],
}];

#[inline(never)]
fn descend(depth: u64) -> u64 {
    if depth == 0 {
        abaca::yield_now();
        return 0;
    }
    std::hint::black_box(descend(depth - 1)) + 1
}

fn stack(depth: u64, times: u64) -> (Duration, u64) {
    on_fiber(move || {
        let began = Instant::now();
        for _ in 0..times {
            assert_eq!(descend(depth), depth);
        }
        (began.elapsed(), times * depth)
    })
}

/// Suspends once.
struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> std::task::Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    }
}

fn ascend(depth: u64) -> Pin<Box<dyn Future<Output = u64>>> {
    Box::pin(async move {
        if depth == 0 {
            Once(false).await;
            return 0;
        }
        std::hint::black_box(ascend(depth - 1).await) + 1
    })
}

fn boxes(depth: u64, times: u64) -> (Duration, u64) {
    let mut context = Context::from_waker(Waker::noop());
    let began = Instant::now();
    for _ in 0..times {
        let mut future = ascend(depth);
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(future.as_mut().poll(&mut context).is_ready());
    }
    (began.elapsed(), times * depth)
}
