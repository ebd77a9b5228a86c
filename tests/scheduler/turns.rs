//! Fibers that compute and yield in between leave their neighbours turns, however long theirs are.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use abaca::spawn_local;
use abaca_tests::on_one_worker;

/// How many compute.
const BUSY: usize = 10;

/// More turns than a sleeper, or a task, waits for: what is left of the first tick, and a round of all; fewer than the 61 of the longest.
const SOON: usize = 40;

/// Runs `f` beside fibers each of whose turns takes longer than any timer of `f`'s; it is given the count of their turns.
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

/// The end of a tick is also when a task comes before those who are ready.
#[test]
fn a_task_starts_after_a_round_of_slow_neighbours() {
    on_one_worker(|| {
        beside_slow_ones(|turns| {
            // So that somebody waits for a timer, and all have begun.
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

/// And they do not have to wait for all the tasks.
#[test]
fn slow_tasks_leave_a_started_fiber_turns() {
    const TASKS: usize = 200;
    on_one_worker(|| {
        let ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let tasks: Vec<_> = (0..TASKS)
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
        assert!(ended < TASKS / 2, "{ended} of {TASKS} tasks came first");
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}
