//! The budget: what a fiber may do without ever blocking before it gives way to its neighbours.
//!
//! Every call of the runtime that may come in a loop [`spend`]s a little of what its thread has left, whether it succeeds
//! or not. The usual case is a subtraction and a branch. When nothing is left the worker reads the clock, and [`Pace`] says
//! what is to come: nothing, a turn for those who are ready, or a **round**, a visit of the hub that also looks at timers,
//! the poller and the oldest task. `README.md` tells why and how much.
//!
//! A call spends before it does its work, or after it has found that it cannot: never with a lock of the runtime's held,
//! and never in a destructor. To give way is no place to obey a cancellation: a call that promises not to wait
//! does not unwind either.

#[cfg(not(loom))]
use std::cell::Cell;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicI32, Ordering};

#[cfg(not(loom))]
use super::worker::current_worker;

/// What a call takes of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Cost {
    /// A call that moves something within the process.
    Call = 1,
    /// A system call that did not block.
    InputOutput = 2,
    /// A call that found nothing and did not wait. In a loop it waits for a neighbour, so those who are ready get their
    /// turn at once when the budget is spent.
    InVain = 4,
    /// A call that makes more tasks than others keep up with. When the budget is spent they get the rest of a tick.
    Surplus = 3,
}

/// The most that is spent before the clock is read. To read it takes as long as two or three calls.
const FULL: i32 = 128;

/// How long a fiber goes on while others are ready.
#[cfg(not(loom))]
const SLICE_NS: u64 = 10_000;

/// How long a worker goes on without a round.
#[cfg(not(loom))]
const ROUND_NS: u64 = 200_000;

/// How far apart the looks at the clock are at the most: where calls are far between, fewer are allowed. No longer than a
/// slice, or those with long calls had longer turns.
#[cfg(not(loom))]
const LOOK_NS: u64 = SLICE_NS;

#[cfg(not(loom))]
thread_local! {
    /// What is left on this thread. Atomic, and no more than that, for the sake of roaming fibers: the compiler may keep
    /// the address of another worker's across a switch (that worker outlives the fiber).
    static LEFT: AtomicI32 = const { AtomicI32::new(FULL) };
}

/// Takes `cost` of the budget; gives way to others when it is used up.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn spend(cost: Cost) {
    let left = LEFT.with(|left| {
        let rest = left.load(Ordering::Relaxed) - cost as i32;
        left.store(rest, Ordering::Relaxed);
        rest
    });
    if left < 0 {
        give_way(cost);
    }
}

/// Models end anyway.
#[cfg(loom)]
#[inline(always)]
pub(crate) fn spend(_cost: Cost) {}

/// The budget is used up.
#[cfg(not(loom))]
#[cold]
#[inline(never)]
fn give_way(cost: Cost) {
    let Some(worker) = current_worker() else {
        // A plain thread, which the kernel interrupts.
        return set_left(i32::MAX);
    };
    let Some(me) = worker.current() else { return set_left(FULL) };
    let now_ns = worker.shared().now_ns();
    let in_haste = matches!(cost, Cost::InVain | Cost::Surplus);
    let verdict = worker.pace.judge(now_ns, worker.turn_of(me), in_haste, || worker.has_others());
    set_left(worker.pace.allowance.get());
    super::give_way(worker, me, verdict, cost == Cost::Surplus);
}

#[cfg(not(loom))]
fn set_left(left: i32) {
    LEFT.with(|mine| mine.store(left, Ordering::Relaxed));
}

/// What comes after a look at the clock.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// Those who are ready get their turn.
    Yield,
    /// The hub looks at everything.
    Round,
}

/// What tells a turn of a fiber from its next one: the fiber's address, and the worker's count of picks.
#[cfg(not(loom))]
pub(super) type Turn = (usize, u32);

/// A worker's looks at the clock.
#[cfg(not(loom))]
#[derive(Debug)]
pub(super) struct Pace {
    /// What is allowed until the next look.
    allowance: Cell<i32>,
    /// When the last look was; 0 if the worker has slept since.
    looked_ns: Cell<u64>,
    /// When the last round was.
    round_ns: Cell<u64>,
    /// Whose turn it was at the last look, and since when at least.
    turn: Cell<(Turn, u64)>,
}

/// Models have no budget.
#[cfg(loom)]
#[derive(Debug, Default)]
pub(super) struct Pace;

#[cfg(loom)]
impl Pace {
    pub(super) fn forget(&self) {}
}

#[cfg(not(loom))]
impl Default for Pace {
    fn default() -> Self {
        Self {
            allowance: Cell::new(FULL),
            looked_ns: Cell::new(0),
            round_ns: Cell::new(0),
            turn: Cell::new(((0, 0), 0)),
        }
    }
}

#[cfg(not(loom))]
impl Pace {
    /// The worker has slept: that was a round, and the time means nothing.
    pub(super) fn forget(&self) {
        self.looked_ns.set(0);
    }

    /// What is to come at `now_ns`, in that turn. One `in_haste` does not go on to the end of its slice.
    fn judge(&self, now_ns: u64, turn: Turn, in_haste: bool, has_others: impl FnOnce() -> bool) -> Verdict {
        match self.looked_ns.replace(now_ns.max(1)) {
            0 => self.round_ns.set(now_ns),
            last => self.adapt(now_ns.saturating_sub(last)),
        }
        let (known, since) = self.turn.get();
        let since = if known == turn { since } else { now_ns };
        self.turn.set((turn, since));
        if now_ns.saturating_sub(self.round_ns.get()) >= ROUND_NS {
            self.round_ns.set(now_ns);
            return Verdict::Round;
        }
        if (in_haste || now_ns.saturating_sub(since) >= SLICE_NS) && has_others() {
            return Verdict::Yield;
        }
        Verdict::GoOn
    }

    /// Keeps the looks about as far apart as they may be, but no further than `FULL` calls.
    fn adapt(&self, took_ns: u64) {
        let allowance = self.allowance.get();
        let fitting = if took_ns > LOOK_NS {
            i64::from(allowance) * LOOK_NS as i64 / took_ns.min(u64::from(u32::MAX)) as i64
        } else if took_ns < LOOK_NS / 2 {
            i64::from(allowance) * 2
        } else {
            i64::from(allowance)
        };
        self.allowance.set(fitting.clamp(1, i64::from(FULL)) as i32);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MINE: Turn = (1, 5);

    /// The verdicts of looks that come `step_ns` apart, all in one turn.
    fn verdicts(step_ns: u64, looks: u64, in_haste: bool, others: bool) -> Vec<Verdict> {
        let pace = Pace::default();
        (1..=looks).map(|look| pace.judge(look * step_ns, MINE, in_haste, || others)).collect()
    }

    fn count(verdicts: &[Verdict], what: Verdict) -> usize {
        verdicts.iter().filter(|verdict| **verdict == what).count()
    }

    #[test]
    fn one_that_is_alone_goes_on_between_rounds() {
        let seen = verdicts(1_000, 1_000, false, false);
        assert_eq!(count(&seen, Verdict::Yield), 0);
        assert_eq!(count(&seen, Verdict::Round) as u64, 999_000 / ROUND_NS);
    }

    #[test]
    fn the_others_get_their_turn_after_a_slice_and_one_in_haste_gives_way_at_once() {
        let seen = verdicts(1_000, 15, false, true);
        assert_eq!(seen.iter().position(|verdict| *verdict == Verdict::Yield), Some(10));
        assert_eq!(verdicts(1_000, 15, true, true), [Verdict::Yield; 15]);
    }

    #[test]
    fn a_turn_that_has_just_begun_has_its_whole_slice() {
        let pace = Pace::default();
        for look in 1..100 {
            // Another fiber, or the same one after a pick.
            assert_eq!(pace.judge(look * 1_000, (1, look as u32), false, || true), Verdict::GoOn);
        }
    }

    #[test]
    fn few_calls_are_allowed_where_they_are_far_between() {
        let pace = Pace::default();
        let mut now = 1;
        // Calls of 100 us each.
        for _ in 0..4 {
            pace.judge(now, MINE, false, || false);
            now += 100_000 * pace.allowance.get() as u64;
        }
        assert_eq!(pace.allowance.get(), 1);
        // Calls of 10 ns each.
        for _ in 0..8 {
            pace.judge(now, MINE, false, || false);
            now += 10 * pace.allowance.get() as u64;
        }
        assert_eq!(pace.allowance.get(), FULL);
    }

    #[test]
    fn a_sleep_is_neither_a_slow_call_nor_a_missed_round() {
        let pace = Pace::default();
        pace.judge(1_000, MINE, false, || false);
        pace.forget();
        assert_eq!(pace.judge(1_000_000_000, MINE, false, || false), Verdict::GoOn);
        assert_eq!(pace.allowance.get(), FULL);
    }
}
