//! The monitor: a thread that watches for workers that stay in one fiber for long.
//!
//! While a worker is awake, the monitor periodically compares each worker's position (`Worker::position`) with the one before.
//! If a worker makes no progress for one period, the monitor hands on what that worker is not needed for (`relief.rs`). A
//! worker that makes no progress for the threshold while others wait for it is reported, once per stall. When all workers
//! sleep the monitor sleeps too, until one of them wakes up (`monitor_parker.rs`), after it has looked whether anything ever will
//! wake one (`quiet.rs`).
//!
//! Where fibers have storage of their own, the monitor looks more often, and takes a worker that others wait for from its thread
//! (`handoff/`).

#[cfg(feature = "own-tls")]
use std::sync::atomic::Ordering;
use std::time::Duration;

#[cfg(feature = "own-tls")]
use super::handoff::{HandOff, Load, Spares};
#[cfg(feature = "own-tls")]
use super::monitor_parker::NEVER;
use super::phase::Phase;
use super::quiet::Quiet;
use super::recording::Trigger;
use super::reporting::Reporting;
use super::shared::Shared;
use super::stall::Stall;
use super::worker::{Position, Worker};
#[cfg(feature = "own-tls")]
use crate::os::thread_state::{self, ThreadState};
#[cfg(feature = "own-tls")]
use crate::os::thread_time;

/// How often the monitor looks for fibers that should be stolen, if there is a worker that can steal.
const PERIOD: Duration = Duration::from_millis(10);

/// How often the monitor looks for workers that others wait for, if they can leave their threads. A worker that stands still is
/// seen within twice this time.
const HANDOFF_PERIOD: Duration = Duration::from_micros(500);

/// How soon it looks after a worker was in its hub. What stands still then did not before, so it is seen sooner than after two periods.
#[cfg(feature = "own-tls")]
const PASS_NS: u64 = HANDOFF_PERIOD.as_nanos() as u64 * 3 / 4;

/// How soon it looks again at a worker that has just left a thread: a fiber that blocks its thread seldom comes alone.
const ROW_PERIOD: Duration = Duration::from_micros(150);

/// How many such looks at a worker follow a hand-off.
#[cfg(feature = "own-tls")]
const ROW_LOOKS: u32 = 8;

/// How long a worker that sleeps may have to wait for the thread that it was given to, or for the one that looks after it.
#[cfg(feature = "own-tls")]
const RESCUE: Duration = Duration::from_millis(1);

/// The same if that one runs its own worker's fibers meanwhile.
#[cfg(feature = "own-tls")]
const TURN: Duration = Duration::from_millis(3);

/// How soon the monitor looks again, once, at a worker that cannot leave its thread, if something could be handed on.
const RELIEF_PERIOD: Duration = Duration::from_millis(1);

/// The monitor's record of one worker.
#[derive(Default)]
struct Progress {
    position: Option<Position>,
    stalled_for: Duration,
    is_reported: bool,
    /// When the worker was last seen in another position.
    #[cfg(feature = "own-tls")]
    looked_ns: u64,
    /// Where the worker was, at the last look, whose thread looks after this one.
    #[cfg(feature = "own-tls")]
    keeper: Option<Position>,
    /// Whether it stood still at the last look and nobody waited for it.
    #[cfg(feature = "own-tls")]
    is_alone: bool,
    /// How many more looks come soon.
    soon_looks: u32,
    /// The worker's thread, and how much processor time it had when the worker was last seen in another position.
    #[cfg(feature = "own-tls")]
    had_run: Option<(i32, Duration)>,
}

/// Why a worker stands still.
#[cfg(feature = "own-tls")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its thread has had a processor for long enough, or waits for one behind so many that have that it may as well have had it.
    Computes,
    /// Its thread is in a system call, or waits for a page of memory.
    Blocked,
    /// Its thread waits for a processor. Another thread would wait as well.
    Waits,
}

impl Shared {
    /// The time between two checks, as [`period`], or sooner if workers can leave their threads.
    pub(super) fn check_period(&self) -> Option<Duration> {
        let handoff = self.has_own_tls().then_some(HANDOFF_PERIOD);
        self.period.into_iter().chain(handoff).min()
    }
}

/// How often the monitor looks whether all workers sleep, if it looks for nothing else.
const QUIET_PERIOD: Duration = Duration::from_secs(1);

/// The time between two checks; `None` if there is nothing to check. A stall is seen within one and a half thresholds.
pub(super) fn period(workers: usize, reporting: &Reporting) -> Option<Duration> {
    let stealing = (workers > 1).then_some(PERIOD);
    let stalls = reporting.threshold.map(|threshold| threshold / 2);
    let quiet = reporting.tells_quiet.then_some(QUIET_PERIOD);
    stealing.into_iter().chain(stalls).chain(quiet).min()
}

/// The monitor thread's body.
pub(crate) fn run_monitor(shared: &Shared) {
    let mut progress: Vec<_> = shared.workers.iter().map(|_| Progress::default()).collect();
    let mut checked_at = shared.now_ns();
    let mut quiet = Quiet::default();
    #[cfg(feature = "own-tls")]
    let mut load = Load::default();
    #[cfg(feature = "own-tls")]
    if let Some(spares) = shared.spares.get() {
        spares.hasten();
    }
    let has_handoff = shared.has_own_tls();
    let goes_on = || shared.phase() == Phase::Running || (has_handoff && shared.has_running_workers());
    while goes_on() {
        #[cfg(feature = "backtrace")]
        super::overflow_names::answer();
        // It takes a while, and here nobody waits for it.
        #[cfg(not(loom))]
        crate::os::barrier::register_if_wanted();
        let all_asleep = shared.all_asleep();
        if all_asleep || !keeps_vigil(shared, &progress, goes_on) {
            let until = if all_asleep { quiet.look(shared) } else { next_look(shared, &progress) };
            #[cfg(feature = "own-tls")]
            shared.monitor_parker.let_put_off(latest_look(shared, &progress, until));
            shared.monitor_parker.sleep(until, &[], || goes_on() && (!all_asleep || shared.all_asleep()));
        }
        let now = shared.now_ns();
        // Time in which the process or the machine was stopped does not count.
        let since = Duration::from_nanos(now - checked_at).min(2 * shared.check_period().unwrap_or_default());
        for (worker, progress) in shared.workers.iter().zip(&mut progress) {
            progress.check(shared, worker, since);
        }
        #[cfg(feature = "own-tls")]
        {
            load.look(shared);
            if let Some(spares) = shared.spares.get() {
                spares.note_standing(progress.iter().any(Progress::stands));
            }
        }
        // After the workers were looked at: time that passes before is not known to be a stall's.
        checked_at = shared.now_ns();
    }
}

/// When the monitor must look again while a worker is awake.
fn next_look(shared: &Shared, progress: &[Progress]) -> u64 {
    if progress.iter().any(|progress| progress.soon_looks > 0) {
        let period = if shared.has_own_tls() { ROW_PERIOD } else { RELIEF_PERIOD };
        shared.now_ns() + period.as_nanos() as u64
    } else {
        shared.next_check()
    }
}

/// Until when the next look may be put off by workers that pass through their hubs: not at all if there is something else to look at.
#[cfg(feature = "own-tls")]
fn latest_look(shared: &Shared, progress: &[Progress], until: u64) -> u64 {
    let is_usual = |(worker, progress): (&Worker, &Progress)| {
        progress.soon_looks == 0
            && progress.stalled_for.is_zero()
            && shared.spares.get().is_some_and(|spares| !spares.is_eager() && !spares.must_be_begun(worker))
    };
    if until != NEVER && shared.workers.iter().zip(progress).all(is_usual) {
        until + PERIOD.as_nanos() as u64
    } else {
        0
    }
}

#[cfg(feature = "own-tls")]
impl Shared {
    /// Notes that the worker is in its hub, and puts the monitor off if all that are awake have been in theirs since it looked.
    #[inline]
    pub(super) fn put_monitor_off(&self, worker: &Worker, now_ns: impl FnOnce() -> u64) {
        if !self.has_own_tls() {
            return;
        }
        let now_ns = now_ns();
        // Relaxed: a time, that is compared.
        worker.remote.passed_ns.store(now_ns, Ordering::Relaxed);
        self.monitor_parker.put_off(now_ns, PASS_NS - PASS_NS / 4, || {
            let awake = self.workers.iter().filter(|worker| !worker.remote.inbox.is_sleeping());
            let passed = awake.map(|worker| worker.remote.passed_ns.load(Ordering::Relaxed)).min();
            passed.unwrap_or(now_ns) + PASS_NS
        });
    }
}

#[cfg(not(feature = "own-tls"))]
impl Shared {
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "the other one uses it")]
    pub(super) fn put_monitor_off(&self, _worker: &Worker, _now_ns: impl FnOnce() -> u64) {}

    #[expect(clippy::unused_self, reason = "the other one uses it")]
    pub(super) fn without_urgency<R>(&self, f: impl FnOnce() -> R) -> R {
        f()
    }
}

/// Sleeps until somebody may wait for a worker, if all that are awake stood still at the last look and nobody waited for them.
/// Returns false, at once, if that is not so.
#[cfg(feature = "own-tls")]
fn keeps_vigil(shared: &Shared, progress: &[Progress], goes_on: impl Fn() -> bool) -> bool {
    let Some(spares) = shared.spares.get().filter(|spares| !spares.is_eager()) else { return false };
    let mut standing = Vec::new();
    for (worker, progress) in shared.workers.iter().zip(progress) {
        match progress.position {
            _ if worker.remote.inbox.is_sleeping() && !spares.is_left(worker) => {}
            Some(position) if progress.is_alone => standing.push((worker, position)),
            _ => return false,
        }
    }
    spares.keep_vigil(shared, &standing, goes_on)
}

#[cfg(not(feature = "own-tls"))]
fn keeps_vigil(_shared: &Shared, _progress: &[Progress], _goes_on: impl Fn() -> bool) -> bool {
    false
}

/// The worker's thread, and how much processor time it has had.
#[cfg(feature = "own-tls")]
fn has_run(worker: &Worker) -> Option<(i32, Duration)> {
    let thread_id = worker.thread_id();
    Some((thread_id, thread_time::of(thread_id)?))
}

impl Progress {
    /// Whether the worker stood still in a fiber.
    #[cfg(feature = "own-tls")]
    fn stands(&self) -> bool {
        !self.stalled_for.is_zero() && self.position.is_some_and(|position| position.fiber().is_some())
    }

    fn check(&mut self, shared: &Shared, worker: &Worker, since: Duration) {
        #[cfg(feature = "own-tls")]
        if let Some(spares) = shared.spares.get().filter(|spares| spares.is_eager()) {
            spares.hand_off(worker, Duration::ZERO, false);
        }
        let position = Some(worker.position());
        #[cfg(feature = "own-tls")]
        if let Some(spares) = shared.spares.get()
            && position == self.position
            && spares.must_rescue(worker)
        {
            self.stalled_for += since;
            // Who looks after it, and goes on with what is his, comes to it.
            let keeper = spares.keeper_of(worker);
            let moves = keeper.is_some() && keeper != self.keeper;
            self.keeper = keeper;
            let patience = if moves { TURN } else { RESCUE };
            if self.stalled_for >= patience && self.standing(spares, worker) != Standing::Waits {
                spares.rescue(worker, self.stalled_for);
            }
            return;
        }
        if position != self.position || worker.remote.inbox.is_sleeping() {
            let soon_looks = if shared.has_own_tls() {
                self.soon_looks.saturating_sub(1)
            } else {
                u32::from(self.soon_looks == 0 && shared.workers.len() > 1 && worker.could_be_relieved())
            };
            *self = Self {
                position,
                soon_looks,
                #[cfg(feature = "own-tls")]
                looked_ns: shared.now_ns(),
                #[cfg(feature = "own-tls")]
                had_run: shared.spares.get().and_then(|_| has_run(worker)),
                ..Self::default()
            };
            return;
        }
        self.stalled_for += since;
        if self.position.is_some_and(|position| position.fiber().is_some()) {
            shared.note_standstill(worker, self.stalled_for);
        }
        #[cfg(feature = "own-tls")]
        if let Some(spares) = shared.spares.get()
            && self.hands_off(spares, worker)
        {
            return;
        }
        self.soon_looks = self.soon_looks.saturating_sub(1);
        shared.relieve(worker);
        let Some(threshold) = shared.reporting.threshold else { return };
        if self.stalled_for >= threshold && !self.is_reported {
            let Some(stall) = worker.examine() else { return };
            shared.trigger(Trigger::Stall);
            let stall = Stall { elapsed: self.stalled_for, ..stall };
            self.is_reported = shared.without_urgency(|| shared.reporting.report(stall));
        }
    }

    /// Why the worker stands still.
    #[cfg(feature = "own-tls")]
    fn standing(&mut self, spares: &Spares, worker: &Worker) -> Standing {
        let Some((thread_id, before)) = self.had_run else { return Standing::Computes };
        let Some(now) = has_run(worker) else { return Standing::Computes };
        if now.0 != thread_id {
            self.had_run = Some(now);
            return Standing::Waits;
        }
        match now.1.saturating_sub(before) {
            time if time >= HANDOFF_PERIOD / 2 => Standing::Computes,
            _ if thread_state::of(thread_id) != ThreadState::Running => Standing::Blocked,
            _ if spares.is_crowded() => Standing::Computes,
            _ => Standing::Waits,
        }
    }

    /// Gives a worker that stands still, and that others wait for, to another thread. Returns true if nothing else is to be done with it
    /// now.
    #[cfg(feature = "own-tls")]
    fn hands_off(&mut self, spares: &Spares, worker: &Worker) -> bool {
        let now_ns = worker.shared().now_ns();
        // Not all of the period, as the look before may have been late.
        let stands_for = |period: Duration| now_ns - self.looked_ns >= period.as_nanos() as u64 * 3 / 4;
        // One that computes may only lack a processor, and yet another thread would make that worse.
        let is_blocked = || matches!(thread_state::of(worker.thread_id()), ThreadState::InCall(_));
        let is_due =
            stands_for(HANDOFF_PERIOD) || (self.soon_looks > 0 && stands_for(ROW_PERIOD) && is_blocked());
        if !is_due {
            // Another worker is looked at more often than this one.
            return true;
        }
        if worker.position().fiber().is_none() {
            // It has slept, and does not run yet.
            return false;
        }
        self.is_alone = !worker.is_waited_for();
        if self.is_alone {
            return false;
        }
        let computes = match self.standing(spares, worker) {
            Standing::Waits => return false,
            standing => standing == Standing::Computes,
        };
        match spares.hand_off(worker, self.stalled_for, computes) {
            HandOff::Done => *self = Self { soon_looks: ROW_LOOKS, ..Self::default() },
            HandOff::Soon => self.soon_looks = ROW_LOOKS,
            HandOff::Refused => return false,
        }
        true
    }
}
