//! Threads that rest: where the threads of a runtime wait for processors, one fewer of them is awake. `README.md` tells when.
//!
//! A thread that rests has been given a worker, which sleeps and is the ward of another thread, and does not begin with it. So that other thread
//! takes it at any time, by an exchange that wakes nobody, and the two workers have one thread. All that is said here is under the
//! lock of `Spares`.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::spares::State;
use super::{Carrier, Spares};
use crate::scheduler::worker::{Position, Worker};

/// How many threads may rest.
#[derive(Debug)]
pub(super) struct Rest {
    most: AtomicUsize,
    /// Whether it is not by the load.
    is_fixed: bool,
    /// How many were unparked since something waited for their workers.
    unparked: AtomicUsize,
}

impl Rest {
    /// As many as this, or by the load.
    pub(super) fn new(most: Option<usize>) -> Self {
        let unparked = AtomicUsize::new(0);
        Self { most: AtomicUsize::new(most.unwrap_or(0)), is_fixed: most.is_some(), unparked }
    }

    /// Whether one more thread may rest, beside so many.
    pub(super) fn has_room(&self, resting: usize) -> bool {
        // Relaxed: a number, here and below.
        resting < self.most.load(Ordering::Relaxed)
    }
}

impl State {
    /// Makes a thread rest that is about to be given a worker.
    pub(super) fn lay_to_rest(&mut self, carrier: &Carrier) {
        carrier.set_rests(true);
        self.resting += 1;
    }

    /// Has a thread that rests begin with its worker. Returns whether it has rested.
    pub(super) fn unpark(&mut self, carrier: &Carrier) -> bool {
        let rests = carrier.rests();
        if rests {
            carrier.set_rests(false);
            self.resting -= 1;
            carrier.wake();
        }
        rests
    }
}

impl Spares {
    /// How many threads rest.
    pub(crate) fn resting(&self) -> usize {
        self.state().resting
    }

    /// Whether the load decides how many rest.
    pub(super) fn goes_by_load(&self) -> bool {
        !self.is_eager() && !self.rest.is_fixed
    }

    /// Whether a thread that a worker leaves in its sleep would rest now. A hint.
    pub(super) fn lets_rest(&self) -> bool {
        self.rest.most.load(Ordering::Relaxed) != 0
    }

    /// Lets so many threads rest, and unparks all if that is none. From the monitor.
    pub(super) fn let_rest(&self, most: usize) {
        self.rest.most.store(most, Ordering::Relaxed);
        if most == 0 {
            let mut state = self.state();
            if state.resting != 0 {
                let carriers: Vec<_> = state.carriers().to_vec();
                carriers.iter().for_each(|carrier| _ = state.unpark(carrier));
            }
        }
    }

    /// How many threads were unparked since something waited for their workers, since the last call. From the monitor.
    pub(super) fn take_unparked(&self) -> usize {
        self.rest.unparked.swap(0, Ordering::Relaxed)
    }

    /// Has the thread that rests instead of this worker's begin with it, as something waits for it.
    pub(super) fn unpark_for_work(&self, state: &mut State, worker: &Worker) -> bool {
        let was_unparked = worker.try_carrier().is_some_and(|carrier| state.unpark(carrier));
        self.rest.unparked.fetch_add(usize::from(was_unparked), Ordering::Relaxed);
        was_unparked
    }

    /// Has a thread that rests, and whose worker this carrier's thread looks after, begin with that. On that thread, which ends.
    pub(super) fn unpark_ward_of(&self, carrier: &Carrier) {
        let mut state = self.state();
        if let Some(resting) = carrier.ward().get().and_then(Worker::try_carrier) {
            state.unpark(resting);
        }
    }

    /// Gives `worker`, whose thread is stuck, to the thread that rests since the stuck one looks after its worker. Returns whether there is such a
    /// thread.
    pub(super) fn unpark_for(&self, state: &mut State, worker: &Worker, stuck: &Carrier) -> bool {
        let Some(ward) = stuck.ward().get() else { return false };
        let Some(resting) = ward.try_carrier().filter(|carrier| carrier.rests()) else { return false };
        if !resting.withdraw(ward) {
            return false;
        }
        let takes = self.takes_stuck(worker, stuck);
        if takes {
            stuck.ward().set(None);
            self.move_to(ward, stuck);
            resting.ward().set(Some(ward));
            self.move_to(worker, resting);
            state.unpark(resting);
        } else {
            resting.assign_instead(ward);
        }
        takes
    }

    /// Whether the worker was given to a thread that has not begun with it, and does not rest. From the monitor.
    pub(in crate::scheduler) fn must_be_begun(&self, worker: &Worker) -> bool {
        let _state = self.state();
        worker.try_carrier().is_some_and(|carrier| carrier.is_assigned() && !carrier.rests())
    }

    /// Where the worker is whose thread looks after this one, which sleeps. From the monitor.
    pub(in crate::scheduler) fn keeper_of(&self, worker: &Worker) -> Option<Position> {
        let _state = self.state();
        let looks_after = |keeper: &&Worker| {
            let ward = keeper.try_carrier().and_then(|carrier| carrier.ward().get());
            ward.is_some_and(|ward| std::ptr::eq(ward, worker))
        };
        worker.shared().workers.iter().find(looks_after).map(Worker::position)
    }
}
