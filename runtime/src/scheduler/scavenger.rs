//! The scavenger: a worker with nothing better to do gives memory back to the kernel that was unused for a while. `README.md`
//! beside this file tells why the workers do it, and why in this way.
//!
//! A *round* has three parts: the worker's own cache of stacks goes to the runtime's pool; its waiting fibers give back the
//! pages below their frames; the pools give back stacks that were unused for a period. A round is done in steps of a tenth of
//! a millisecond. Between two steps the worker looks for something to run. If it finds something, it takes the next step only
//! after twenty times as long as the last one took.

#![expect(unsafe_code, reason = "gives back the unused part of parked fibers' stacks")]

use std::cell::Cell;
use std::sync::atomic::Ordering;

use abaca_asm::coroutine;
use abaca_asm::stack::{Release, Surplus};

use super::cold;
use super::phase::Phase;
use super::stacks::PERIOD;
use super::worker::Worker;
use crate::os::clock;

/// How many fibers a step looks at.
const FIBERS_PER_STEP: usize = 256;

/// How many stacks a step compacts: each takes some 5 to 15 microseconds.
const STACKS_PER_STEP: usize = 16;

/// After this many idle rounds a worker no longer wakes up for another, whatever others do to the pools.
const IDLE_ROUNDS: u8 = 4;

/// The time until the next step or round, as a multiple of how long the last one took.
const PAUSE: u64 = 20;

/// How many ticks a worker that never rests lets pass between two clock reads.
const TICKS: u8 = 16;

/// The due time if nothing is planned.
const NEVER: u64 = u64::MAX;

/// A worker's state of scavenging.
pub(super) struct Scavenger {
    /// When the next step is due, on the runtime's clock.
    due_ns: Cell<u64>,
    is_under_way: Cell<bool>,
    /// Whether somebody else uses the walk over the live fibers.
    is_walk_taken: Cell<bool>,
    /// Whether another round may find something.
    is_worth_another: Cell<bool>,
    /// Whether a fiber's frames are to be kept elsewhere once it has waited long enough.
    awaits_cold: Cell<bool>,
    /// Whether the last step has kept frames elsewhere.
    has_compacted: Cell<bool>,
    /// How long the round has taken so far.
    spent_ns: Cell<u64>,
    /// The worker's epoch when the round began, or was planned.
    epoch: Cell<u32>,
    /// The worker's epoch at the last step.
    step_epoch: Cell<u32>,
    /// The number of rounds in a row before which the worker ran nothing.
    idle_rounds: Cell<u8>,
    ticks: Cell<u8>,
}

impl Default for Scavenger {
    fn default() -> Self {
        Self {
            due_ns: Cell::new(NEVER),
            is_under_way: Cell::new(false),
            is_walk_taken: Cell::new(false),
            is_worth_another: Cell::new(false),
            awaits_cold: Cell::new(false),
            has_compacted: Cell::new(false),
            spent_ns: Cell::new(0),
            epoch: Cell::new(0),
            step_epoch: Cell::new(0),
            idle_rounds: Cell::new(0),
            ticks: Cell::new(0),
        }
    }
}

impl Scavenger {
    /// When the worker must wake up for the next step. `None` if none is planned.
    pub(super) fn due_ns(&self) -> Option<u64> {
        Some(self.due_ns.get()).filter(|due| *due != NEVER)
    }

    /// Takes the walk over the live fibers away, or gives it back. A round that is under way begins again afterwards.
    pub(super) fn set_walk_taken(&self, is_taken: bool) {
        self.is_walk_taken.set(is_taken);
        self.is_under_way.set(false);
    }
}

impl Worker {
    /// Takes a step if one is due. From the hub, before the worker sleeps. Returns the time, if it was read for nothing else.
    #[inline]
    pub(super) fn scavenge(&self) -> Option<u64> {
        let due_ns = self.scavenger.due_ns.get();
        // Models have neither a clock nor stacks.
        if cfg!(loom)
            || (due_ns == NEVER && self.remote.epoch.load(Ordering::Relaxed) == self.scavenger.epoch.get())
        {
            return None;
        }
        let now = self.shared().now_ns();
        if due_ns != NEVER && now < due_ns { Some(now) } else { self.scavenge_at(now) }
    }

    /// [`scavenge`](Self::scavenge) when a step is due, or none is planned although the worker has run something.
    #[inline(never)]
    fn scavenge_at(&self, now: u64) -> Option<u64> {
        let shared = self.shared();
        let scavenger = &self.scavenger;
        let epoch = self.remote.epoch.load(Ordering::Relaxed);
        if scavenger.due_ns.get() == NEVER {
            // The worker has run something since the last round, and may have left unused memory.
            scavenger.epoch.set(epoch);
            scavenger.idle_rounds.set(0);
            scavenger.due_ns.set(now.saturating_add(PERIOD.as_nanos() as u64));
            return Some(now);
        }
        if scavenger.is_walk_taken.get() {
            return Some(now);
        }
        if shared.phase() == Phase::Closing {
            // All memory is freed soon.
            scavenger.due_ns.set(NEVER);
            return Some(now);
        }
        if !scavenger.is_under_way.get() {
            self.begin_round(epoch);
        }
        let is_over = self.take_step(now);
        let took = shared.now_ns().saturating_sub(now);
        // What is done once for each long wait puts the next round off no further.
        if !scavenger.has_compacted.take() {
            scavenger.spent_ns.set(scavenger.spent_ns.get() + took);
        }
        let is_idle = scavenger.step_epoch.replace(epoch) == epoch;
        scavenger.due_ns.set(if !is_over {
            if is_idle { now } else { now + took * PAUSE }
        } else if scavenger.is_worth_another.get() && scavenger.idle_rounds.get() < IDLE_ROUNDS {
            now + (scavenger.spent_ns.get() * PAUSE).max(PERIOD.as_nanos() as u64)
        } else if scavenger.awaits_cold.get()
            && let Some(after) = shared.compact_after.get()
        {
            now.saturating_add(
                u64::try_from(after.as_nanos()).unwrap_or(NEVER - 1).max(PERIOD.as_nanos() as u64),
            )
        } else {
            NEVER
        });
        scavenger.is_under_way.set(!is_over);
        None
    }

    /// [`scavenge`](Self::scavenge) for a worker that always has something to run: it is called once in a tick.
    pub(super) fn scavenge_now_and_then(&self) {
        let ticks = self.scavenger.ticks.get().wrapping_add(1);
        self.scavenger.ticks.set(ticks);
        if ticks.is_multiple_of(TICKS) {
            self.scavenge();
        }
    }

    fn begin_round(&self, epoch: u32) {
        let scavenger = &self.scavenger;
        let is_idle = scavenger.epoch.replace(epoch) == epoch;
        scavenger.idle_rounds.set(if is_idle { scavenger.idle_rounds.get() + 1 } else { 0 });
        // How many stacks a worker needs that runs something is unknown: half of them will do, or come back.
        let gave = self.give_stacks(is_idle);
        let gave_cells = is_idle && self.cells().give_all();
        if is_idle {
            self.wheel.give_memory_back();
        }
        if is_idle {
            // Gives the pool the stack that this thread keeps for its next coroutine, beside which a slab would stay.
            let _pool = coroutine::default_pool();
        }
        scavenger.is_worth_another.set(gave || gave_cells);
        scavenger.awaits_cold.set(false);
        scavenger.spent_ns.set(0);
        self.live.begin_walk();
    }

    /// Takes a step. Returns true if that completes the round.
    fn take_step(&self, now: u64) -> bool {
        let mut release = Release::new();
        let compact_after = self.shared().compact_after.get().map(|after| clock::ticks_of(*after));
        let mut compacted = 0;
        for _ in 0..FIBERS_PER_STEP {
            let Some(fiber) = self.live.walk() else {
                // The batch is released first, so that no step is longer than necessary.
                if !release.is_empty() {
                    return false;
                }
                return self.sweep_pools(now);
            };
            // SAFETY: a member of the list is alive.
            let header = unsafe { fiber.as_ref() };
            // SAFETY: in the hub none of the worker's fibers runs, and none is resumed before this function has returned.
            // The fibers in this list run nowhere else, but for absent ones.
            if !header.is_absent() && unsafe { header.release_unused_stack(&mut release) } {
                self.scavenger.is_worth_another.set(true);
            }
            if let Some(after) = compact_after {
                // SAFETY: as above, here and in the closure.
                let is_later = unsafe {
                    header.compact_stack(clock::ticks(), after, |guard, frames| {
                        compacted += 1;
                        self.scavenger.has_compacted.set(true);
                        cold::compact(guard, frames);
                    })
                };
                if is_later {
                    self.scavenger.awaits_cold.set(true);
                }
            }
            if release.is_full() || compacted == STACKS_PER_STEP {
                break;
            }
        }
        false
    }

    fn sweep_pools(&self, now: u64) -> bool {
        let shared = self.shared();
        match shared.stacks.sweep(now).max(shared.cells.sweep(now, PERIOD)) {
            Surplus::Now => return false,
            Surplus::Later => self.scavenger.is_worth_another.set(true),
            Surplus::None => {}
        }
        true
    }
}
