//! The idle protocol on real threads: outside threads push, workers fall asleep between the pushes, nothing hangs.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};

use super::*;
use crate::queue::Inbox;
use crate::queue::item::Item;

const WORKERS: usize = 3;
const PUSHERS: usize = 2;
const TASKS_EACH: usize = 5_000;

struct Workers {
    sleepers: Sleepers,
    inboxes: [Inbox<Item>; WORKERS],
    threads: [OnceLock<Thread>; WORKERS],
    injector: Mutex<VecDeque<usize>>,
    /// Tells whether the injector is empty without its lock, whose fences would hide a missing one of the protocol.
    injected: AtomicUsize,
    stop: AtomicBool,
}

impl Workers {
    fn push(&self, task: usize) {
        self.injector.lock().unwrap().push_back(task);
        self.injected.fetch_add(1, Ordering::Relaxed);
        self.wake_one();
    }

    fn wake_one(&self) {
        if let Some(worker) = self.sleepers.choose() {
            self.notify(worker);
        }
    }

    fn notify(&self, worker: usize) {
        if self.inboxes[worker].notify() {
            self.threads[worker].get().expect("a sleeper has begun").unpark();
        }
    }

    fn has_tasks(&self) -> bool {
        self.injected.load(Ordering::Relaxed) != 0
    }

    fn take(&self) -> Option<usize> {
        if !self.has_tasks() {
            return None;
        }
        let task = self.injector.lock().unwrap().pop_front()?;
        self.injected.fetch_sub(1, Ordering::Relaxed);
        Some(task)
    }

    /// A worker's life; returns the tasks that it ran and how often it slept.
    fn work(&self, me: usize) -> (Vec<usize>, usize) {
        let (mut ran, mut sleeps) = (Vec::new(), 0);
        self.threads[me].set(thread::current()).expect("once");
        let mut search = None;
        loop {
            search = search.or_else(|| self.sleepers.start_searching());
            if let Some(task) = self.take() {
                if search.take().is_some_and(|search| self.sleepers.stop_searching(search))
                    && self.has_tasks()
                {
                    self.wake_one();
                }
                ran.push(task);
                continue;
            }
            self.sleepers.announce(me, search);
            // Before the last look, which then sees all that was pushed before the stop.
            let stop = self.stop.load(Ordering::Acquire);
            if !self.has_tasks() {
                if stop {
                    return (ran, sleeps);
                }
                if self.inboxes[me].begin_sleep() {
                    sleeps += 1;
                    // An early return of `park` is one more wake-up without a reason; a lost notify hangs here.
                    thread::park();
                    self.inboxes[me].end_sleep();
                }
            }
            assert!(self.inboxes[me].drain().pop_front().is_none());
            search = self.sleepers.retract(me);
        }
    }
}

#[test]
fn every_task_is_run_once_by_workers_that_keep_falling_asleep() {
    let seed = RandomState::new().hash_one(0) | 1;
    println!("seed {seed:#x}");
    let workers = Workers {
        sleepers: Sleepers::new(WORKERS),
        inboxes: std::array::from_fn(|_| Inbox::new()),
        threads: std::array::from_fn(|_| OnceLock::new()),
        injector: Mutex::default(),
        injected: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    let (mut ran, mut sleeps) = (Vec::new(), 0);
    thread::scope(|scope| {
        let working: Vec<_> = (0..WORKERS)
            .map(|me| {
                let workers = &workers;
                scope.spawn(move || workers.work(me))
            })
            .collect();
        let pushing: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let workers = &workers;
                scope.spawn(move || {
                    let mut random = seed.rotate_left(pusher as u32);
                    for task in 0..TASKS_EACH {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        // Now and then long enough for a worker to fall asleep, or to be about to.
                        for _ in 0..random % 8 * (random % 64) {
                            std::hint::spin_loop();
                        }
                        workers.push(pusher * TASKS_EACH + task);
                    }
                })
            })
            .collect();
        pushing.into_iter().for_each(|pusher| pusher.join().expect("a pusher"));
        workers.stop.store(true, Ordering::Release);
        // A worker that sleeps, or is about to, is told to stop; the others find out in their last look.
        (0..WORKERS).for_each(|worker| workers.notify(worker));
        for worker in working {
            let (its, slept) = worker.join().expect("a worker");
            ran.extend(its);
            sleeps += slept;
        }
    });
    ran.sort_unstable();
    assert!(ran.into_iter().eq(0..PUSHERS * TASKS_EACH), "each task once");
    println!("{sleeps} sleeps");
}
