//! What a fiber costs in a mode: a yield, a spawn with its join, and the memory of one that waits. One worker.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use abaca_benches::memory;
use abaca_benches::sample::Sample;

use super::variant::Variant;

/// Two fibers that yield to each other.
pub(crate) fn yields(variant: Variant, quick: bool) -> Sample {
    let each = if quick { 100 } else { 10_000_000 };
    run(variant, move || {
        let began = Instant::now();
        let yielding = move || {
            for _ in 0..each {
                abaca::yield_now();
            }
        };
        let fibers = [abaca::spawn(yielding), abaca::spawn(yielding)];
        for fiber in fibers {
            fiber.join().expect("it does not panic");
        }
        Sample::per_operation(began.elapsed(), 2 * each)
    })
}

/// One fiber after the other, each spawned and joined.
pub(crate) fn spawn_and_join(variant: Variant, quick: bool) -> Sample {
    let amount = if quick { 100 } else { 3_000_000 };
    run(variant, move || {
        let began = Instant::now();
        for number in 0..amount {
            black_box(abaca::spawn(move || number).join().expect("it does not panic"));
        }
        Sample::per_operation(began.elapsed(), amount)
    })
}

/// The resident memory of a fiber that waits, without and with its part of the page tables.
pub(crate) fn parked(variant: Variant, quick: bool) -> Sample {
    let amount = if quick { 10 } else { 100_000 };
    run(variant, move || {
        let (gate, closed) = abaca::channel::bounded::<()>(1);
        let begun = Arc::new(AtomicU64::new(0));
        let (began, before) = (Instant::now(), [memory::pages(), memory::resident()]);
        let fibers: Vec<_> = (0..amount)
            .map(|_| {
                let (closed, begun) = (closed.clone(), Arc::clone(&begun));
                abaca::spawn(move || {
                    begun.fetch_add(1, Ordering::Relaxed);
                    closed.recv().is_err()
                })
            })
            .collect();
        while begun.load(Ordering::Relaxed) < amount {
            abaca::yield_now();
        }
        let after = [memory::pages(), memory::resident()];
        let [pages, all] = [0, 1].map(|at| after[at].saturating_sub(before[at]) as f64 / amount as f64);
        drop(gate);
        for fiber in fibers {
            assert!(fiber.join().expect("it does not panic"), "nobody has sent anything");
        }
        let sample = Sample { seconds: began.elapsed().as_secs_f64(), ..Sample::default() };
        sample.with("resident bytes", pages).with("with page tables", all)
    })
}

/// Runs `body` as a fiber of a runtime in this mode.
fn run(variant: Variant, body: impl FnOnce() -> Sample + Send + 'static) -> Sample {
    variant.runtime().expect("only modes of abaca's fibers are asked what they cost").run(body)
}
