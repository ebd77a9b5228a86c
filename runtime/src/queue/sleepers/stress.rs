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
const ITEMS_EACH: usize = 5_000;

struct Workers {
    sleepers: Sleepers,
    inboxes: [Inbox<Item>; WORKERS],
    threads: [OnceLock<Thread>; WORKERS],
    injector: Mutex<VecDeque<usize>>,
    /// Tells whether the injector is empty without its lock, whose fences would hide a missing fence of the protocol.
    injected: AtomicUsize,
    stop: AtomicBool,
}

impl Workers {
    fn push(&self, item: usize) {
        self.injector.lock().unwrap().push_back(item);
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

    fn has_items(&self) -> bool {
        self.injected.load(Ordering::Relaxed) != 0
    }

    fn take(&self) -> Option<usize> {
        if !self.has_items() {
            return None;
        }
        let item = self.injector.lock().unwrap().pop_front()?;
        self.injected.fetch_sub(1, Ordering::Relaxed);
        Some(item)
    }

    /// Runs a worker until the stop. Returns the items that it ran and how often it slept.
    fn work(&self, me: usize) -> (Vec<usize>, usize) {
        let (mut ran, mut sleeps) = (Vec::new(), 0);
        self.threads[me].set(thread::current()).expect("once");
        let mut search = None;
        loop {
            search = search.or_else(|| self.sleepers.start_searching());
            if let Some(item) = self.take() {
                if search.take().is_some_and(|search| self.sleepers.stop_searching(search))
                    && self.has_items()
                {
                    self.wake_one();
                }
                ran.push(item);
                continue;
            }
            self.sleepers.announce(me, search);
            // Read before the last look, which then sees all that was pushed before the stop.
            let stop = self.stop.load(Ordering::Acquire);
            if !self.has_items() {
                if stop {
                    return (ran, sleeps);
                }
                if self.inboxes[me].begin_sleep() {
                    sleeps += 1;
                    // An early return of `park` is one more wake-up without a reason; a lost notification hangs here.
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
fn every_item_is_run_once_by_workers_that_keep_falling_asleep() {
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
                    for item in 0..ITEMS_EACH {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        // Now and then long enough for a worker to fall asleep, or to be about to.
                        for _ in 0..random % 8 * (random % 64) {
                            std::hint::spin_loop();
                        }
                        workers.push(pusher * ITEMS_EACH + item);
                    }
                })
            })
            .collect();
        pushing.into_iter().for_each(|pusher| pusher.join().expect("a pusher"));
        workers.stop.store(true, Ordering::Release);
        // A worker that sleeps, or is about to, is notified of the stop; the others see it in their last look.
        (0..WORKERS).for_each(|worker| workers.notify(worker));
        for worker in working {
            let (its, slept) = worker.join().expect("a worker");
            ran.extend(its);
            sleeps += slept;
        }
    });
    ran.sort_unstable();
    assert!(ran.into_iter().eq(0..PUSHERS * ITEMS_EACH), "each item once");
    println!("{sleeps} sleeps");
}
