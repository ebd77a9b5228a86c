//! Metrics of what waits in queues, of the pool of blocking calls, and of the stacks of each size.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use abaca::Runtime;
use abaca::observe::StackMetrics;

use super::metrics::on_workers;

#[test]
fn each_wake_up_by_another_thread_is_counted() {
    const ROUNDS: u64 = 50;
    let runtime = on_workers(1);
    let begun = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&begun);
    let fiber = runtime.spawn(move || {
        for _ in 0..ROUNDS {
            theirs.fetch_add(1, SeqCst);
            abaca::park();
        }
    });
    let before = runtime.metrics().workers[0].woken_remote;
    for round in 1..=ROUNDS {
        while begun.load(SeqCst) < round || runtime.metrics().parked != [("park", 1)] {
            std::thread::yield_now();
        }
        fiber.fiber().unpark();
    }
    while runtime.metrics().live > 0 {
        std::thread::yield_now();
    }
    assert_eq!(runtime.metrics().workers[0].woken_remote - before, ROUNDS);
}

#[test]
fn what_comes_from_outside_while_the_worker_is_busy_is_counted() {
    let runtime = on_workers(1);
    let parked = runtime.spawn(abaca::park);
    while runtime.metrics().parked != [("park", 1)] {
        std::thread::yield_now();
    }
    // A question for what fibers wait for is an arrival, too, until the worker has seen it.
    let has_seen_all = || {
        while runtime.metrics().workers[0].has_arrivals {
            std::thread::yield_now();
        }
    };
    has_seen_all();
    let (keeps, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (tells, is_over) = (Arc::clone(&keeps), Arc::clone(&stop));
    let hog = runtime.spawn(move || {
        tells.store(true, SeqCst);
        while !is_over.load(SeqCst) {
            std::hint::spin_loop();
        }
    });
    while !keeps.load(SeqCst) {
        std::thread::yield_now();
    }
    let spawned: Vec<_> = (0..7).map(|_| runtime.spawn(|| ())).collect();
    parked.fiber().unpark();
    let busy = runtime.metrics();
    assert_eq!((busy.injected, busy.workers[0].has_arrivals), (7, true));
    let text = busy.to_prometheus();
    assert!(text.contains("\nabaca_injected_fibers 7\n"), "{text}");
    stop.store(true, SeqCst);
    for fiber in spawned.into_iter().chain([hog, parked]) {
        fiber.join().unwrap();
    }
    has_seen_all();
    assert_eq!(runtime.metrics().injected, 0);
}

#[test]
fn the_blocking_pool_is_counted() {
    let runtime = Runtime::builder().workers(1).max_blocking_threads(1).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let stop = Arc::clone(&stop);
            runtime.spawn(move || {
                abaca::blocking::run(move || {
                    while !stop.load(SeqCst) {
                        std::thread::yield_now();
                    }
                });
            })
        })
        .collect();
    while runtime.metrics().blocking.queued < 2 {
        std::thread::yield_now();
    }
    let busy = runtime.metrics().blocking;
    assert_eq!((busy.threads, busy.idle, busy.completed, busy.peak), (1, 0, 0, 1));
    stop.store(true, SeqCst);
    calls.into_iter().for_each(|call| call.join().unwrap());
    let after = runtime.metrics();
    assert_eq!((after.blocking.queued, after.blocking.completed, after.blocking.peak), (0, 3, 1));
    assert!(after.to_prometheus().contains("\nabaca_blocking_jobs_total 3\n"), "{}", after.to_prometheus());
}

#[test]
fn the_stacks_of_each_size_are_taken_and_given_back() {
    const FIBERS: usize = 200;
    // Of a size that nobody else asks for.
    const BYTES: usize = 3 << 20;
    let runtime = on_workers(1);
    let of_ours = || -> StackMetrics {
        let all = runtime.metrics().stacks;
        all.into_iter().rfind(|stacks| stacks.bytes >= BYTES).expect("stacks of this size are there")
    };
    runtime.run(|| {
        let build = |_| abaca::Builder::new().stack_size(BYTES).spawn(abaca::park).unwrap();
        let parked: Vec<_> = (0..FIBERS).map(build).collect();
        while abaca::observe::parked() != [("park", FIBERS as u64)] {
            abaca::yield_now();
        }
        let held = of_ours();
        assert!(held.taken >= FIBERS && held.taken + held.free + held.bare <= held.mapped, "{held:?}");
        parked.iter().for_each(|fiber| fiber.fiber().unpark());
        parked.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    let left = of_ours();
    let unused = left.free + left.bare;
    assert!(left.taken < FIBERS && unused > 0, "a worker keeps some at hand, and no more: {left:?}");
    assert!(left.taken + unused >= FIBERS && left.taken + unused <= left.mapped, "{left:?}");
}
