//! Every interleaving of a thread whose worker sleeps with another that exchanges that worker for its own, once or twice, and with a
//! monitor that lends its thread to a worker whose own is stuck, or unparks a thread that rests: each worker is used by one thread at a
//! time, and ends with one.

use std::array;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::assignment::Assignment;
use super::presence::Presence;
use crate::scheduler::parker::Parker;

const SLEEPER: usize = 0;
const IDLE: usize = 1;

/// A worker's private part, and the number of its thread, which is written under the lock.
struct Worker {
    part: UnsafeCell<u32>,
    thread: AtomicUsize,
}

/// A thread: the parts of a carrier.
struct Thread {
    presence: Presence,
    next: Assignment<Worker>,
    /// Read and written under the lock.
    rests: AtomicBool,
    parker: Parker,
}

/// Each thread begins with the worker of its number.
struct Model {
    lock: Mutex<()>,
    workers: [Worker; 2],
    threads: [Thread; 2],
}

impl Model {
    fn new() -> Arc<Self> {
        let model = Self {
            lock: Mutex::new(()),
            workers: array::from_fn(|index| Worker {
                part: UnsafeCell::new(0),
                thread: AtomicUsize::new(index),
            }),
            threads: array::from_fn(|_| Thread {
                presence: Presence::new(),
                next: Assignment::none(),
                rests: AtomicBool::new(false),
                parker: Parker::default(),
            }),
        };
        // It has gone to sleep.
        model.threads[SLEEPER].presence.leave();
        Arc::new(model)
    }

    fn use_worker(worker: &Worker) {
        #[expect(unsafe_code, reason = "loom's cell checks what it holds")]
        // SAFETY: that this is exclusive is what the model checks.
        worker.part.with_mut(|part| unsafe { *part += 1 });
    }

    /// The thread enters, and returns the worker that it has then.
    fn rise(&self, number: usize) -> &Worker {
        let thread = &self.threads[number];
        if thread.presence.enter(|| {}) {
            return &self.workers[number];
        }
        thread.presence.renew();
        let mut lock = self.lock.lock().unwrap();
        while thread.rests.load(Ordering::Relaxed) {
            drop(lock);
            thread.parker.park(None);
            lock = self.lock.lock().unwrap();
        }
        let given = thread.next.take().expect("it was given another when it lost the first");
        #[expect(unsafe_code, reason = "follows the address of a worker of the model")]
        // SAFETY: the model owns its workers.
        unsafe {
            &*given.as_ptr()
        }
    }

    /// The steps of `Spares::exchange`, by the other thread, after which the sleeper may rest. Returns the worker that it has then.
    fn exchange<'a>(&'a self, mine: &'a Worker, other: &'a Worker, rests: bool) -> &'a Worker {
        let _lock = self.lock.lock().unwrap();
        let theirs = other.thread.load(Ordering::Relaxed);
        let thread = &self.threads[theirs];
        if !thread.next.withdraw(other) {
            if !thread.presence.take(|| true) {
                return mine;
            }
            thread.rests.store(rests, Ordering::Relaxed);
        }
        other.thread.store(IDLE, Ordering::Relaxed);
        mine.thread.store(theirs, Ordering::Relaxed);
        thread.next.give(mine);
        other
    }

    /// The steps of `State::unpark`, by any thread.
    fn unpark(&self) {
        let _lock = self.lock.lock().unwrap();
        let sleeper = &self.threads[SLEEPER];
        if sleeper.rests.load(Ordering::Relaxed) {
            sleeper.rests.store(false, Ordering::Relaxed);
            sleeper.parker.unpark();
        }
    }
}

/// A thread that gets up with a worker, and tells whether that is the one with which it went to sleep.
fn begin_sleeper(model: &Arc<Model>) -> thread::JoinHandle<bool> {
    let theirs = Arc::clone(model);
    thread::spawn(move || {
        let worker = theirs.rise(SLEEPER);
        Model::use_worker(worker);
        std::ptr::eq(worker, &raw const theirs.workers[SLEEPER])
    })
}

#[test]
fn model_workers_are_exchanged_and_back() {
    for times in [1, 2] {
        loom::model(move || {
            let model = Model::new();
            let sleeper = begin_sleeper(&model);
            let (mut mine, mut other) = (&model.workers[IDLE], &model.workers[SLEEPER]);
            Model::use_worker(mine);
            for _ in 0..times {
                let now = model.exchange(mine, other, false);
                if !std::ptr::eq(now, mine) {
                    (mine, other) = (now, mine);
                }
                Model::use_worker(mine);
            }
            let has_own = sleeper.join().unwrap();
            assert_eq!(has_own, std::ptr::eq(mine, &raw const model.workers[IDLE]), "each has one");
        });
    }
}

/// A thread that rests has its worker exchanged meanwhile, until the monitor unparks it, or the other thread as it ends.
#[test]
fn model_a_thread_rests_until_it_is_unparked() {
    for has_monitor in [true, false] {
        loom::model(move || {
            let model = Model::new();
            let sleeper = begin_sleeper(&model);
            let monitor = has_monitor.then(|| {
                let theirs = Arc::clone(&model);
                thread::spawn(move || theirs.unpark())
            });
            let (mut mine, mut other) = (&model.workers[IDLE], &model.workers[SLEEPER]);
            for _ in 0..2 {
                let now = model.exchange(mine, other, true);
                if !std::ptr::eq(now, mine) {
                    (mine, other) = (now, mine);
                }
                Model::use_worker(mine);
            }
            model.unpark();
            monitor.into_iter().for_each(|monitor| monitor.join().unwrap());
            let has_own = sleeper.join().unwrap();
            assert_eq!(has_own, std::ptr::eq(mine, &raw const model.workers[IDLE]), "each has one");
        });
    }
}

/// The monitor gives the worker of a thread that is stuck to one that sleeps, whose worker the stuck one gets.
#[test]
fn model_a_thread_that_sleeps_is_lent() {
    loom::model(|| {
        let model = Model::new();
        // The other thread is in a fiber's own code.
        model.threads[IDLE].presence.leave();
        let threads = [SLEEPER, IDLE].map(|number| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let worker = model.rise(number);
                Model::use_worker(worker);
                usize::from(std::ptr::eq(worker, &raw const model.workers[1]))
            })
        });
        let lock = model.lock.lock().unwrap();
        let [lent, stuck] = &model.threads;
        let [idle, worker] = &model.workers;
        if lent.presence.take(|| true) {
            if stuck.presence.take(|| true) {
                Model::use_worker(worker);
                stuck.next.give(idle);
                lent.next.give(worker);
            } else {
                lent.next.give(idle);
            }
        }
        drop(lock);
        let [first, second] = threads.map(|thread| thread.join().unwrap());
        assert_ne!(first, second, "each has one");
    });
}
