//! The budget: how much a fiber may do without blocking before it yields to its neighbours.
//!
//! Every call of the runtime that may come in a loop [`spend`]s some of its thread's budget, whether it succeeds or not. The
//! usual case is a subtraction and a branch. When nothing is left the worker reads the clock, and [`Pace`] decides between
//! going on, a yield to the fibers that are ready, and a **hub pass**, which also looks at timers, the poller and the oldest
//! unstarted fiber. `README.md` tells why and how much.
//!
//! A call spends before it does its work, or after it has found that it cannot do it: never with a lock of the runtime held,
//! and never in a destructor. A call that takes a lock of the user's spends with it held, which is faster, and lets go of it while others run
//! ([`spend_locked`]). Such a yield is not a cancellation point: a call that promises not to wait does not unwind
//! either.
//!
//! Under loom, `model_budget.rs` takes the place of this file.

#![expect(unsafe_code, reason = "uses the header of the calling fiber")]

use std::cell::Cell;
use std::ptr::NonNull;
#[cfg(not(feature = "own-tls"))]
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering;

use super::Cost;
use super::cost::FULL;
#[cfg(feature = "own-tls")]
use super::own_line::with_budget;
use super::worker::Worker;
use super::{come_home, current_worker, fiber_on};
use crate::cell::Header;

/// How long a worker goes on without a hub pass.
const ROUND_NS: u64 = 200_000;

/// The longest time between two clock reads: where calls take longer, fewer are allowed.
const LOOK_NS: u64 = 10_000;

/// How many clock reads a time slice has while others are ready: some two thousand calls, or 160 us. The number is the same for
/// a sender and a receiver, or the queue between them would grow.
const LOOKS: u32 = 16;

/// How much of the budget calls that never wait take in one time slice before one of them yields: as much as those clock reads
/// allow at the most. It is not counted in clock reads, which come sooner on a busy machine: a few calls under a lock of std
/// must be safe, however slow the machine is.
const CALLS: i32 = FULL * LOOKS as i32;

#[cfg(not(feature = "own-tls"))]
thread_local! {
    /// The rest of this thread's budget. It is atomic only for the sake of roaming fibers: the compiler may keep the address of
    /// another worker's budget across a switch (that worker outlives the fiber).
    static LEFT: AtomicI32 = const { AtomicI32::new(FULL) };
}

#[cfg(not(feature = "own-tls"))]
#[inline(always)]
fn with_budget<R>(f: impl FnOnce(&AtomicI32) -> R) -> R {
    LEFT.with(f)
}

/// Takes `cost` off the calling fiber's budget for calls, and lets other fibers run when it is used up. On a plain thread it does
/// nothing.
///
/// A primitive must call it once in each of its own calls, before it does its work, or after it has found that it cannot do it.
/// It must not call it with a lock held, nor in a destructor. The call costs a subtraction and a branch.
#[inline(always)]
pub fn spend(cost: Cost) {
    spend_units(cost.units(), || cost);
}

/// [`spend`] of one unit. `cost` tells the kind of the call; it is called only when that matters.
#[inline(always)]
pub(crate) fn spend_as(cost: impl FnOnce() -> Cost) {
    spend_units(1, cost);
}

/// [`spend`] of a call that has just taken a lock of its caller's, and had not to wait for it: others run while it is not held,
/// between `unlock` and `lock`.
///
/// A locked instruction waits until what was stored before it has reached the cache. To spend before a lock is taken has that wait for the
/// budget; between lock and unlock, where the caller stores as well, it costs nothing more: a lock and an unlock took 15.8 ns
/// for 17.8.
#[inline(always)]
pub(crate) fn spend_locked(cost: Cost, unlock: impl FnOnce(), lock: impl FnOnce()) {
    if take_off(cost.units()) < 0 {
        run_out_locked(cost, unlock, lock);
    }
}

#[inline(always)]
fn spend_units(units: i32, cost: impl FnOnce() -> Cost) {
    if take_off(units) < 0 {
        run_out(cost());
    }
}

/// Takes so much off the budget. Returns what is left.
#[inline(always)]
fn take_off(units: i32) -> i32 {
    with_budget(|left| {
        let rest = left.load(Ordering::Relaxed) - units;
        left.store(rest, Ordering::Relaxed);
        rest
    })
}

/// Reads the clock and lets others run if it is time: the budget is used up.
#[cold]
#[inline(never)]
fn run_out(cost: Cost) {
    let verdict = judge(cost);
    follow(verdict, cost);
}

#[cold]
#[inline(never)]
fn run_out_locked(cost: Cost, unlock: impl FnOnce(), lock: impl FnOnce()) {
    match judge(cost) {
        Verdict::Continue => {}
        verdict => {
            unlock();
            follow(verdict, cost);
            lock();
        }
    }
}

/// Reads the clock, and begins the next budget.
fn judge(cost: Cost) -> Verdict {
    let Some(worker) = current_worker() else {
        // A plain thread, which the kernel preempts.
        set_left(i32::MAX);
        return Verdict::Continue;
    };
    let Some(me) = fiber_on(worker) else {
        set_left(FULL);
        return Verdict::Continue;
    };
    let worker = come_home(worker);
    let now_ns = worker.shared().now_ns();
    let verdict = worker.pace.judge(now_ns, worker.slice_of(me), cost, || worker.has_others());
    set_left(worker.pace.allowance.get());
    verdict
}

/// Lets others run, if the verdict on a call of this cost says so.
fn follow(verdict: Verdict, cost: Cost) {
    if verdict != Verdict::Continue
        && let Some(worker) = current_worker()
        && let Some(me) = fiber_on(worker)
    {
        let_others(&come_home(worker), me, verdict, cost == Cost::Surplus);
    }
}

/// Lets others run as `verdict` says: the current fiber has used up its budget. This is not a cancellation point: the caller
/// may have promised not to wait.
fn let_others(worker: &Worker, me: NonNull<Header>, verdict: Verdict, is_crowded: bool) {
    let let_others_run = || match verdict {
        Verdict::Continue => {}
        Verdict::Yield if is_crowded => worker.defer_self(me),
        Verdict::Yield => worker.let_others_run(me),
        Verdict::HubPass => worker.request_hub_pass(me),
    };
    if !std::thread::panicking() {
        let_others_run();
    } else if verdict != Verdict::Continue {
        // SAFETY: the caller is this fiber.
        worker.suspend_unwinding(unsafe { me.as_ref() }, let_others_run);
    }
}

fn set_left(left: i32) {
    with_budget(|mine| mine.store(left, Ordering::Relaxed));
}

/// The decision after a clock read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Continue,
    /// The fibers that are ready run once.
    Yield,
    /// The hub looks at everything.
    HubPass,
}

/// A fiber's time slice, from one pick to the next: the fiber's address, and the worker's count of picks.
pub(super) type TimeSlice = (usize, u32);

/// A worker's clock reads, and how far apart they are.
#[derive(Debug)]
pub(super) struct Pace {
    /// The budget until the next clock read.
    allowance: Cell<i32>,
    /// When the clock was last read; 0 if the worker has slept since.
    looked_ns: Cell<u64>,
    /// When the last hub pass was.
    round_ns: Cell<u64>,
    /// The time slice at the last clock read, how many reads it has had, and what was spent in it.
    slice: Cell<(TimeSlice, u32, i32)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            allowance: Cell::new(FULL),
            looked_ns: Cell::new(0),
            round_ns: Cell::new(0),
            slice: Cell::new(((0, 0), 0, 0)),
        }
    }
}

impl Pace {
    /// Forgets the last clock read: the worker has slept, which was a hub pass, so the time since means nothing.
    pub(super) fn reset(&self) {
        self.looked_ns.set(0);
    }

    /// Decides what comes at `now_ns`, in this time slice and after a call of this kind.
    fn judge(&self, now_ns: u64, slice: TimeSlice, cost: Cost, has_others: impl FnOnce() -> bool) -> Verdict {
        let spent_now = self.allowance.get();
        match self.looked_ns.replace(now_ns.max(1)) {
            0 => self.round_ns.set(now_ns),
            last => self.adapt(now_ns.saturating_sub(last)),
        }
        let (looks, spent) = match self.slice.get() {
            (known, looks, spent) if known == slice => {
                (looks.saturating_add(1), spent.saturating_add(spent_now))
            }
            // Another fiber may have spent what was spent since the last read.
            _ => (1, 0),
        };
        self.slice.set((slice, looks, spent));
        let is_over = match cost {
            Cost::Surplus => true,
            Cost::Wait | Cost::SystemCall => looks >= LOOKS,
            Cost::Call | Cost::TryFailed | Cost::Making if spent >= CALLS => true,
            Cost::Call | Cost::TryFailed | Cost::Making => return Verdict::Continue,
        };
        if now_ns.saturating_sub(self.round_ns.get()) >= ROUND_NS {
            self.round_ns.set(now_ns);
            return Verdict::HubPass;
        }
        if is_over && has_others() { Verdict::Yield } else { Verdict::Continue }
    }

    /// Keeps the clock reads about as far apart as they may be, but no further than `FULL` calls.
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

    const MINE: TimeSlice = (1, 5);

    /// The verdicts of clock reads that come `step_ns` apart, all in one time slice.
    fn verdicts(step_ns: u64, looks: u64, cost: Cost, others: bool) -> Vec<Verdict> {
        let pace = Pace::default();
        (1..=looks).map(|look| pace.judge(look * step_ns, MINE, cost, || others)).collect()
    }

    fn first(verdicts: &[Verdict], what: Verdict) -> Option<usize> {
        verdicts.iter().position(|verdict| *verdict == what)
    }

    #[test]
    fn a_fiber_that_is_alone_goes_on_between_hub_passes() {
        let seen = verdicts(1_000, 1_000, Cost::Wait, false);
        assert_eq!(first(&seen, Verdict::Yield), None);
        let rounds = seen.iter().filter(|verdict| **verdict == Verdict::HubPass).count();
        assert_eq!(rounds as u64, 999_000 / ROUND_NS);
    }

    #[test]
    fn the_fiber_yields_after_some_clock_reads() {
        let looks = LOOKS as usize;
        for (cost, last) in [
            (Cost::Wait, looks - 1),
            (Cost::SystemCall, looks - 1),
            (Cost::Call, looks),
            (Cost::TryFailed, looks),
            (Cost::Making, looks),
        ] {
            assert_eq!(first(&verdicts(1_000, 50, cost, true), Verdict::Yield), Some(last));
        }
        assert_eq!(verdicts(1_000, 15, Cost::Surplus, true), [Verdict::Yield; 15]);
    }

    #[test]
    fn a_call_that_never_waits_yields_only_after_many_however_slow_they_are() {
        let mut spent = 0;
        let pace = Pace::default();
        let slow = |look: u64| pace.judge(look * 1_000_000, MINE, Cost::Call, || true);
        for look in 1.. {
            if slow(look) != Verdict::Continue {
                break;
            }
            spent += pace.allowance.get();
        }
        assert!(spent >= CALLS, "{spent}");
        assert_eq!(first(&verdicts(1_000_000, 100, Cost::Wait, true), Verdict::HubPass), Some(1));
    }

    #[test]
    fn a_time_slice_that_has_just_begun_goes_on() {
        let pace = Pace::default();
        for look in 1..100 {
            // Another fiber, or the same one after a pick.
            assert_eq!(pace.judge(look * 1_000, (1, look as u32), Cost::Wait, || true), Verdict::Continue);
        }
    }

    #[test]
    fn few_calls_are_allowed_where_they_are_slow() {
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
    fn a_sleep_is_neither_a_slow_call_nor_a_missed_hub_pass() {
        let pace = Pace::default();
        pace.judge(1_000, MINE, Cost::Wait, || false);
        pace.reset();
        assert_eq!(pace.judge(1_000_000_000, MINE, Cost::Wait, || false), Verdict::Continue);
        assert_eq!(pace.allowance.get(), FULL);
    }
}
