//! Unstarted fibers move to workers that can run them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca_tests::{kernel_thread, with_workers_on_their_threads};

#[test]
fn an_unstarted_fiber_is_stolen_from_a_worker_that_never_yields() {
    let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        let done = Arc::new(AtomicBool::new(false));
        let handle = abaca::spawn({
            let done = Arc::clone(&done);
            move || done.store(true, SeqCst)
        });
        // This fiber occupies its worker, so another worker must steal the unstarted fiber.
        while !done.load(SeqCst) {
            std::hint::spin_loop();
        }
        handle.join().unwrap();
    });
}

#[test]
fn a_burst_of_spawns_is_shared() {
    let runtime = with_workers_on_their_threads().workers(2).build().unwrap();
    let threads = runtime.run(|| {
        let started = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..64)
            .map(|_| {
                let started = Arc::clone(&started);
                abaca::spawn(move || {
                    started.fetch_add(1, SeqCst);
                    // Each fiber waits, without yielding, until two have started, so two threads must run them.
                    while started.load(SeqCst) < 2 {
                        std::hint::spin_loop();
                    }
                    kernel_thread()
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect::<std::collections::HashSet<_>>()
    });
    assert_eq!(threads.len(), 2);
}

#[abaca::test(workers = 1)]
fn the_oldest_unstarted_fiber_is_not_starved_by_newer_ones() {
    let done = Arc::new(AtomicBool::new(false));
    let oldest = Arc::clone(&done);
    abaca::spawn(move || oldest.store(true, SeqCst));
    fn chain(done: Arc<AtomicBool>) {
        if !done.load(SeqCst) {
            // Two at a time: the older fiber goes to the deque, the newer one runs next.
            let again = Arc::clone(&done);
            abaca::spawn(move || drop(again));
            abaca::spawn(move || chain(done));
        }
    }
    chain(Arc::clone(&done));
    while !done.load(SeqCst) {
        abaca::yield_now();
    }
}

#[abaca::test(workers = 1)]
fn a_yield_loop_does_not_starve_an_unstarted_fiber() {
    let done = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&done);
    abaca::spawn(move || theirs.fetch_add(1, SeqCst));
    while done.load(SeqCst) < 1 {
        abaca::yield_now();
    }
}

#[test]
fn a_million_trivial_fibers_need_few_stacks() {
    let runtime = abaca::Runtime::builder().workers(2).build().unwrap();
    let sum: u64 = runtime.run(|| {
        let handles: Vec<_> = (0..1_000_000_u64).map(|n| abaca::spawn(move || n)).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    });
    assert_eq!(sum, 499_999_500_000);
    // A stack for each would be four gigabytes; the cells and handles of a million fibers are some two hundred megabytes.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 1_000_000, "the peak was {peak} kB");
}

#[test]
fn trees_of_fibers_come_out_right_under_contention() {
    fn node(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let children: Vec<_> = (0..4).map(|_| abaca::spawn(move || node(depth - 1))).collect();
        children.into_iter().map(|child| child.join().unwrap()).sum()
    }
    for workers in [1, 2, 8] {
        let runtime = abaca::Runtime::builder().workers(workers).build().unwrap();
        assert_eq!(runtime.run(|| node(7)), 4_u64.pow(7));
    }
}
