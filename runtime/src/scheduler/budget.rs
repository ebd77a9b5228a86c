//! The budget: what a fiber may do without ever blocking before it gives way to its neighbours.
//!
//! Every call of the runtime that may come in a loop [`spend`]s a little of what its thread has left, whether it succeeds
//! or not. The usual case is a subtraction and a branch. When nothing is left the worker reads the clock, and [`Pace`] says
//! what is to come: nothing, a turn for those who are ready, or a **round**, a visit of the hub that also looks at timers,
//! the poller and the oldest task. `README.md` tells why and how much.
//!
//! A call spends before it does its work, or after it has found that it cannot: never with a lock of the runtime's held,
//! and never in a destructor. To give way is no place to obey a cancellation: a call that promises not to wait
//! does not unwind either. Under loom, `model_budget.rs` takes the place of this file.

#![expect(unsafe_code, reason = "uses the header of the calling fiber")]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};

use super::Cost;
use super::worker::{Worker, current_worker};
use crate::cell::Header;

/// The most that is spent before the clock is read. To read it takes as long as two or three calls.
const FULL: i32 = 128;

/// How long a worker goes on without a round.
const ROUND_NS: u64 = 200_000;

/// How far apart the looks at the clock are at the most: where calls are far between, fewer are allowed.
const LOOK_NS: u64 = 10_000;

/// How many looks at the clock a turn has while others are ready: some two thousand calls, or 160 us. As many for one that sends
/// as for one that receives, or the queue between them would grow.
const LOOKS: u32 = 16;

/// How much of the budget calls that never wait take in one turn before one of them gives way: as much as those looks are
/// apart at the most. Not counted in looks, which are closer on a busy machine: a few calls under a lock of std's are to be
/// safe, however slow the machine is.
const CALLS: i32 = FULL * LOOKS as i32;

thread_local! {
    /// What is left on this thread. Atomic, and no more than that, for the sake of roaming fibers: the compiler may keep
    /// the address of another worker's across a switch (that worker outlives the fiber).
    static LEFT: AtomicI32 = const { AtomicI32::new(FULL) };
}

/// Takes `cost` of the budget that the calling fiber has for calls; lets others run when it is used up. On a plain thread it
/// does nothing.
///
/// A primitive calls it once for each of its own calls, before it does its work, or after it has found that it cannot. It never
/// calls it with a lock held, nor in a destructor. It costs a subtraction and a branch.
#[inline(always)]
pub fn spend(cost: Cost) {
    spend_units(cost.units(), || cost);
}

/// [`spend`] of one unit; which kind of call it is is asked only when that matters.
#[inline(always)]
pub(crate) fn spend_as(cost: impl FnOnce() -> Cost) {
    spend_units(1, cost);
}

#[inline(always)]
fn spend_units(units: i32, cost: impl FnOnce() -> Cost) {
    let left = LEFT.with(|left| {
        let rest = left.load(Ordering::Relaxed) - units;
        left.store(rest, Ordering::Relaxed);
        rest
    });
    if left < 0 {
        give_way(cost());
    }
}

/// The budget is used up.
#[cold]
#[inline(never)]
fn give_way(cost: Cost) {
    let Some(worker) = current_worker() else {
        // A plain thread, which the kernel interrupts.
        return set_left(i32::MAX);
    };
    let Some(me) = worker.current() else { return set_left(FULL) };
    let now_ns = worker.shared().now_ns();
    let verdict = worker.pace.judge(now_ns, worker.turn_of(me), cost, || worker.has_others());
    set_left(worker.pace.allowance.get());
    let_others(worker, me, verdict, cost == Cost::Surplus);
}

/// The current fiber, whose budget is used up, lets others run. This is no place to obey a cancellation: the caller may have
/// promised not to wait.
fn let_others(worker: &Worker, me: NonNull<Header>, verdict: Verdict, is_crowded: bool) {
    let give_way = || match verdict {
        Verdict::GoOn => {}
        Verdict::Yield if is_crowded => worker.step_aside(me),
        Verdict::Yield => worker.let_others_run(me),
        Verdict::Round => worker.ask_for_round(me),
    };
    if !std::thread::panicking() {
        give_way();
    } else if verdict != Verdict::GoOn {
        // SAFETY: the caller is this fiber.
        worker.suspend_unwinding(unsafe { me.as_ref() }, give_way);
    }
}

fn set_left(left: i32) {
    LEFT.with(|mine| mine.store(left, Ordering::Relaxed));
}

/// What comes after a look at the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// Those who are ready get their turn.
    Yield,
    /// The hub looks at everything.
    Round,
}

/// What tells a turn of a fiber from its next one: the fiber's address, and the worker's count of picks.
pub(super) type Turn = (usize, u32);

/// A worker's looks at the clock.
#[derive(Debug)]
pub(super) struct Pace {
    /// What is allowed until the next look.
    allowance: Cell<i32>,
    /// When the last look was; 0 if the worker has slept since.
    looked_ns: Cell<u64>,
    /// When the last round was.
    round_ns: Cell<u64>,
    /// Whose turn it was at the last look, how many looks it has had, and what was spent in it.
    turn: Cell<(Turn, u32, i32)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            allowance: Cell::new(FULL),
            looked_ns: Cell::new(0),
            round_ns: Cell::new(0),
            turn: Cell::new(((0, 0), 0, 0)),
        }
    }
}

impl Pace {
    /// The worker has slept: that was a round, and the time means nothing.
    pub(super) fn forget(&self) {
        self.looked_ns.set(0);
    }

    /// What is to come at `now_ns`, in that turn and after such a call.
    fn judge(&self, now_ns: u64, turn: Turn, cost: Cost, has_others: impl FnOnce() -> bool) -> Verdict {
        let spent_now = self.allowance.get();
        match self.looked_ns.replace(now_ns.max(1)) {
            0 => self.round_ns.set(now_ns),
            last => self.adapt(now_ns.saturating_sub(last)),
        }
        let (looks, spent) = match self.turn.get() {
            (known, looks, spent) if known == turn => {
                (looks.saturating_add(1), spent.saturating_add(spent_now))
            }
            // What was spent since the last look may have been another's.
            _ => (1, 0),
        };
        self.turn.set((turn, looks, spent));
        let is_over = match cost {
            Cost::Surplus => true,
            Cost::Wait | Cost::InputOutput => looks >= LOOKS,
            Cost::Call | Cost::InVain | Cost::Making if spent >= CALLS => true,
            Cost::Call | Cost::InVain | Cost::Making => return Verdict::GoOn,
        };
        if now_ns.saturating_sub(self.round_ns.get()) >= ROUND_NS {
            self.round_ns.set(now_ns);
            return Verdict::Round;
        }
        if is_over && has_others() { Verdict::Yield } else { Verdict::GoOn }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Turn = (1, 5);

    /// The verdicts of looks that come `step_ns` apart, all in one turn.
    fn verdicts(step_ns: u64, looks: u64, cost: Cost, others: bool) -> Vec<Verdict> {
        let pace = Pace::default();
        (1..=looks).map(|look| pace.judge(look * step_ns, MINE, cost, || others)).collect()
    }

    fn first(verdicts: &[Verdict], what: Verdict) -> Option<usize> {
        verdicts.iter().position(|verdict| *verdict == what)
    }

    #[test]
    fn one_that_is_alone_goes_on_between_rounds() {
        let seen = verdicts(1_000, 1_000, Cost::Wait, false);
        assert_eq!(first(&seen, Verdict::Yield), None);
        let rounds = seen.iter().filter(|verdict| **verdict == Verdict::Round).count();
        assert_eq!(rounds as u64, 999_000 / ROUND_NS);
    }

    #[test]
    fn the_others_get_their_turn_after_some_looks() {
        let looks = LOOKS as usize;
        for (cost, last) in [
            (Cost::Wait, looks - 1),
            (Cost::InputOutput, looks - 1),
            (Cost::Call, looks),
            (Cost::InVain, looks),
            (Cost::Making, looks),
        ] {
            assert_eq!(first(&verdicts(1_000, 50, cost, true), Verdict::Yield), Some(last));
        }
        assert_eq!(verdicts(1_000, 15, Cost::Surplus, true), [Verdict::Yield; 15]);
    }

    #[test]
    fn a_call_that_never_waits_gives_way_only_after_many_however_slow_they_are() {
        let mut spent = 0;
        let pace = Pace::default();
        let slow = |look: u64| pace.judge(look * 1_000_000, MINE, Cost::Call, || true);
        for look in 1.. {
            if slow(look) != Verdict::GoOn {
                break;
            }
            spent += pace.allowance.get();
        }
        assert!(spent >= CALLS, "{spent}");
        assert_eq!(first(&verdicts(1_000_000, 100, Cost::Wait, true), Verdict::Round), Some(1));
    }

    #[test]
    fn a_turn_that_has_just_begun_goes_on() {
        let pace = Pace::default();
        for look in 1..100 {
            // Another fiber, or the same one after a pick.
            assert_eq!(pace.judge(look * 1_000, (1, look as u32), Cost::Wait, || true), Verdict::GoOn);
        }
    }

    #[test]
    fn few_calls_are_allowed_where_they_are_far_between() {
        let pace = Pace::default();
        let mut now = 1;
        // Calls of 100 us each.
        for _ in 0..4 {
            pace.judge(now, MINE, Cost::Wait, || false);
            now += 100_000 * pace.allowance.get() as u64;
        }
        assert_eq!(pace.allowance.get(), 1);
        // Calls of 10 ns each.
        for _ in 0..8 {
            pace.judge(now, MINE, Cost::Wait, || false);
            now += 10 * pace.allowance.get() as u64;
        }
        assert_eq!(pace.allowance.get(), FULL);
    }

    #[test]
    fn a_sleep_is_neither_a_slow_call_nor_a_missed_round() {
        let pace = Pace::default();
        pace.judge(1_000, MINE, Cost::Wait, || false);
        pace.forget();
        assert_eq!(pace.judge(1_000_000_000, MINE, Cost::Wait, || false), Verdict::GoOn);
        assert_eq!(pace.allowance.get(), FULL);
    }
}
