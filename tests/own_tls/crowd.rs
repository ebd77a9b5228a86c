//! More workers than processors: a thread that only waits for a processor is not left, since another thread would wait as well.

use std::hint::black_box;
use std::thread::available_parallelism;

use crate::runtime;

/// Fibers that take turns of some microseconds, on four workers a processor.
fn crowd(turns: usize) -> (usize, u64) {
    let processors = available_parallelism().map_or(2, usize::from);
    let runtime = runtime(4 * processors);
    runtime.run(|| {
        let fibers: Vec<_> = (0..16 * processors)
            .map(|_| {
                abaca::spawn(move || {
                    for turn in 0..turns {
                        (0..20_000).for_each(|step| _ = black_box(step + turn));
                        abaca::yield_now();
                    }
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    (runtime.spare_threads(), runtime.hand_offs())
}

#[test]
fn threads_that_lack_a_processor_need_no_spares() {
    let processors = available_parallelism().map_or(2, usize::from);
    let (spares, hand_offs) = crowd(200);
    println!("{spares} spares, {hand_offs} hand-offs");
    assert!(spares <= 2 * processors, "{spares} spare threads after {hand_offs} hand-offs");
}
