//! What a worker does for the memory of its process when it has nothing better to do: it gives back what was not needed
//! for a while. `README.md` beside this file tells why it is done here and so.
//!
//! A *round* has three parts: the worker's own cache of stacks goes to the runtime's pool; its fibers that wait give back
//! what lies below their frames; the pools give back stacks that nobody has used for a period. It is done in steps of
//! a tenth of a millisecond. Between two of them the worker looks for something to run, and when it finds something it
//! takes the next step only after twenty times as long.

#![expect(unsafe_code, reason = "gives back the unused part of parked fibers' stacks")]

use std::cell::Cell;
use std::sync::atomic::Ordering;

use abaca_asm::stack::{Release, Surplus};

use super::shared::Phase;
use super::stacks::PERIOD;
use super::worker::Worker;

/// How many fibers a step looks at.
const LOOKS: usize = 256;

/// A worker that has been idle for so many rounds gets up for no more, whatever others do to the pools.
const IDLE_ROUNDS: u8 = 4;

/// How much longer than a step, and a round, is the time until the next one.
const PAUSE: u64 = 20;

/// How many ticks a worker that never rests lets pass between two looks at the clock.
const TICKS: u8 = 16;

/// Nothing is planned.
const NEVER: u64 = u64::MAX;

/// What a worker remembers of it.
pub(super) struct Tidying {
    /// When the next step is due, on the runtime's clock.
    due_ns: Cell<u64>,
    is_under_way: Cell<bool>,
    /// Whether another round may find something.
    is_worth_another: Cell<bool>,
    /// What the round has taken so far.
    spent_ns: Cell<u64>,
    /// The worker's epoch to its hub when the round began, or was planned.
    epoch: Cell<u32>,
    /// Its epoch at the last step.
    step_epoch: Cell<u32>,
    /// Rounds in a row before which it ran nothing.
    idle_rounds: Cell<u8>,
    ticks: Cell<u8>,
}

impl Default for Tidying {
    fn default() -> Self {
        Self {
            due_ns: Cell::new(NEVER),
            is_under_way: Cell::new(false),
            is_worth_another: Cell::new(false),
            spent_ns: Cell::new(0),
            epoch: Cell::new(0),
            step_epoch: Cell::new(0),
            idle_rounds: Cell::new(0),
            ticks: Cell::new(0),
        }
    }
}

impl Tidying {
    /// When the worker is to get up for it, if it is.
    pub(super) fn due_ns(&self) -> Option<u64> {
        Some(self.due_ns.get()).filter(|due| *due != NEVER)
    }
}

impl Worker {
    /// One step, if it is due. From the hub, before the worker sleeps.
    pub(super) fn tidy(&self) {
        let shared = self.shared();
        let tidying = &self.tidying;
        let epoch = self.remote.epoch.load(Ordering::Relaxed);
        // Models have neither a clock nor stacks.
        if cfg!(loom) || (tidying.due_ns.get() == NEVER && epoch == tidying.epoch.get()) {
            return;
        }
        let now = shared.now_ns();
        if tidying.due_ns.get() == NEVER {
            // It has run something since the last round, and may have left something.
            tidying.epoch.set(epoch);
            tidying.idle_rounds.set(0);
            tidying.due_ns.set(now.saturating_add(PERIOD.as_nanos() as u64));
            return;
        }
        if now < tidying.due_ns.get() {
            return;
        }
        if shared.phase() == Phase::Closing {
            // All of it goes soon.
            return tidying.due_ns.set(NEVER);
        }
        if !tidying.is_under_way.get() {
            self.begin_round(epoch);
        }
        let is_over = self.take_step(now);
        let took = shared.now_ns().saturating_sub(now);
        tidying.spent_ns.set(tidying.spent_ns.get() + took);
        let is_idle = tidying.step_epoch.replace(epoch) == epoch;
        tidying.due_ns.set(if !is_over {
            if is_idle { now } else { now + took * PAUSE }
        } else if tidying.is_worth_another.get() && tidying.idle_rounds.get() < IDLE_ROUNDS {
            now + (tidying.spent_ns.get() * PAUSE).max(PERIOD.as_nanos() as u64)
        } else {
            NEVER
        });
        tidying.is_under_way.set(!is_over);
    }

    /// [`tidy`](Self::tidy) for a worker that always has something to run: it is called once in a tick.
    pub(super) fn tidy_now_and_then(&self) {
        let ticks = self.tidying.ticks.get().wrapping_add(1);
        self.tidying.ticks.set(ticks);
        if ticks.is_multiple_of(TICKS) {
            self.tidy();
        }
    }

    fn begin_round(&self, epoch: u32) {
        let tidying = &self.tidying;
        let is_idle = tidying.epoch.replace(epoch) == epoch;
        tidying.idle_rounds.set(if is_idle { tidying.idle_rounds.get() + 1 } else { 0 });
        // Of a worker that runs something nobody knows how many stacks it needs: half of them will do, or come back.
        let gave = self.give_stacks(is_idle);
        tidying.is_worth_another.set(gave);
        tidying.spent_ns.set(0);
        self.live.begin_walk();
    }

    /// True if that was the round.
    fn take_step(&self, now: u64) -> bool {
        let mut release = Release::new();
        for _ in 0..LOOKS {
            let Some(fiber) = self.live.walk() else {
                // The batch first, so that a step is not longer than it has to be.
                if !release.is_empty() {
                    return false;
                }
                return self.take_step_at_the_pools(now);
            };
            // SAFETY: a member of the list is alive.
            let header = unsafe { fiber.as_ref() };
            // SAFETY: in the hub none of the worker's fibers runs, and none is resumed before this function has returned;
            // those in this list run nowhere else.
            if unsafe { header.rest(&mut release) } {
                self.tidying.is_worth_another.set(true);
            }
            if release.is_full() {
                break;
            }
        }
        false
    }

    fn take_step_at_the_pools(&self, now: u64) -> bool {
        match self.shared().stacks.sweep(now) {
            Surplus::Now => return false,
            Surplus::Later => self.tidying.is_worth_another.set(true),
            Surplus::None => {}
        }
        true
    }
}
