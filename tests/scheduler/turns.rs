//! Fibers that compute and yield in between let their neighbours run, however long their time slices are.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use abaca::spawn_local;
use abaca_tests::on_one_worker;

/// The number of fibers that compute.
const BUSY: usize = 10;

/// More time slices than a sleeper or an unstarted fiber waits for (the rest of the first tick, and a round of all), and fewer than
/// the 61 of the longest tick.
const SOON: usize = 40;

/// Runs `f` beside fibers whose time slices each take longer than any timer of `f`. `f` gets the count of their time slices.
fn beside_slow_ones(f: impl FnOnce(&Cell<usize>)) {
    let (turns, is_over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let busy: Vec<_> = (0..BUSY)
        .map(|_| {
            let (turns, is_over) = (Rc::clone(&turns), Rc::clone(&is_over));
            spawn_local(move || {
                while !is_over.get() {
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_millis(4) {}
                    turns.set(turns.get() + 1);
                    abaca::yield_now();
                }
            })
        })
        .collect();
    f(&turns);
    is_over.set(true);
    busy.into_iter().for_each(|fiber| fiber.join().unwrap());
}

#[test]
fn a_sleeper_is_late_by_a_round_of_slow_neighbours() {
    on_one_worker(|| {
        beside_slow_ones(|turns| {
            for _ in 0..6 {
                let before = turns.get();
                abaca::sleep(Duration::from_millis(1));
                let passed = turns.get() - before;
                assert!(passed < SOON, "{passed} turns passed");
            }
        });
    });
}

/// The end of a tick is also when an unstarted fiber comes before the ready ones.
#[test]
fn an_unstarted_fiber_starts_after_a_round_of_slow_neighbours() {
    on_one_worker(|| {
        beside_slow_ones(|turns| {
            // So that a fiber waits for a timer, and all have begun.
            abaca::sleep(Duration::from_millis(1));
            let sleeper = spawn_local(|| abaca::sleep(Duration::from_secs(3600)));
            for _ in 0..3 {
                let before = turns.get();
                abaca::spawn(|| ()).join().unwrap();
                let passed = turns.get() - before;
                assert!(passed < SOON, "{passed} turns passed");
            }
            sleeper.cancel();
            assert!(sleeper.join().is_err());
        });
    });
}

/// Ready fibers do not have to wait for all unstarted ones.
#[test]
fn slow_new_fibers_let_a_started_fiber_run() {
    const FIBERS: usize = 200;
    on_one_worker(|| {
        let ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let fibers: Vec<_> = (0..FIBERS)
            .map(|_| {
                let ended = std::sync::Arc::clone(&ended);
                abaca::spawn(move || {
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_millis(2) {}
                    ended.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                })
            })
            .collect();
        for _ in 0..4 {
            abaca::sleep(Duration::from_millis(1));
        }
        let ended = ended.load(std::sync::atomic::Ordering::Relaxed);
        assert!(ended < FIBERS / 2, "{ended} of {FIBERS} fibers came first");
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}
