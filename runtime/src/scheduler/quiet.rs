//! Quiet: all workers sleep, and nothing within the runtime will wake one: no timer, no descriptor that somebody waits for, no call in the
//! pool, no fiber whose worker has left it. Then either a thread outside has something in its hands, or the fibers wait for each other for ever.
//!
//! The monitor notices, since it goes to sleep as well when all workers do. It looks once more after a while, and then tells whoever
//! wants to know. If he cannot judge, as a thread that is not the runtime's is there, he is told again after pauses that grow: the thread
//! may end without a word. Once he has judged he is told no more in that quiet period, which ends when a fiber runs. While a fiber
//! sleeps or waits for a descriptor it costs nothing, and a quiet runtime costs a wake-up of the monitor, or one a minute in the end.
//!
//! The monitor looks again by itself only where what was in the way may end without waking a worker:
//!
//! | in the way | how it ends |
//! |---|---|
//! | a timer, an unstarted fiber, a wake-up, a fiber whose worker has left it | a worker wakes |
//! | a fiber that waits for a descriptor | a worker wakes; a descriptor that nobody waits for is not in the way, whoever drops it |
//! | a call in the pool | a worker wakes, but its thread is idle only afterwards; and a fiber that was cancelled may not have waited for it |
//! | a thread, another runtime | without a word |
//!
//! To find that nobody waits for any of many descriptors takes a while. So the first look asks for few of them: those that have been
//! there for longest, which a server listens on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::monitor_parker::NEVER;
use super::phase::Phase;
use super::shared::{Pollers, Shared};
use crate::timer::Wheel;

/// How long it must have been quiet, and the first pause. Each later pause is twice as long, up to the longest.
const SETTLED_NS: u64 = Duration::from_millis(100).as_nanos() as u64;
const LONGEST_PAUSE_NS: u64 = Duration::from_secs(60).as_nanos() as u64;

/// How many descriptors of a poller the first look asks for.
const FEW: usize = 64;

/// Called on the monitor's thread.
pub(crate) type OnQuiet = Box<dyn Fn() -> Verdict + Send + Sync>;

/// What was made of a quiet runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing more is to be told of this quiet period.
    Final,
    /// Something that may end by itself is in the way.
    Open,
}

/// The monitor's memory of quiet periods.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: Option<Period>,
}

/// A quiet period.
#[derive(Debug)]
struct Period {
    /// How many fibers the hubs had resumed when it was first seen quiet.
    resumed: u64,
    /// When it is told of next; `NEVER` after the final verdict.
    next_ns: u64,
    pause_ns: u64,
}

impl Period {
    fn new(resumed: u64, now_ns: u64) -> Self {
        Self { resumed, next_ns: now_ns + SETTLED_NS, pause_ns: SETTLED_NS }
    }

    /// Asks for the verdict if that is due. Returns when to look again.
    fn look(&mut self, now_ns: impl Fn() -> u64, ask: impl FnOnce() -> Verdict) -> u64 {
        if now_ns() < self.next_ns {
            return self.next_ns;
        }
        self.next_ns = match ask() {
            Verdict::Final => NEVER,
            Verdict::Open => {
                let next_ns = now_ns() + self.pause_ns;
                self.pause_ns = LONGEST_PAUSE_NS.min(2 * self.pause_ns);
                next_ns
            }
        };
        self.next_ns
    }
}

impl Quiet {
    /// Until when the monitor may sleep while all workers do.
    pub(super) fn look(&mut self, shared: &Shared) -> u64 {
        let Some(on_quiet) = shared.on_quiet.get() else { return NEVER };
        // The descriptors first: a server's listener is found at once, and to look at a timer wheel is a system call.
        if shared.waits_for_descriptor(FEW) || !shared.has_nothing_due() {
            return NEVER;
        }
        // To look at fibers wakes a worker for a moment, without a fiber having run.
        let resumed = shared.resumed();
        let last = self.last.take().filter(|last| last.resumed == resumed);
        let period = self.last.insert(last.unwrap_or_else(|| Period::new(resumed, shared.now_ns())));
        period.look(|| shared.now_ns(), || shared.without_urgency(on_quiet))
    }
}

impl Shared {
    /// How many fibers the hubs have resumed.
    fn resumed(&self) -> u64 {
        self.workers.iter().map(|worker| worker.remote.resumed.load(Ordering::Relaxed)).sum()
    }

    /// Whether anybody waits for a descriptor, of the `count` that each poller has had for longest.
    fn waits_for_descriptor(&self, count: usize) -> bool {
        match &self.pollers {
            Pollers::Workers(pollers) => pollers.iter().any(|poller| poller.is_waited_for(count)),
            Pollers::Thread(poller) => poller.is_waited_for(count),
        }
    }

    /// Whether all workers sleep, and none of them has a reason to wake. False also if the kernel does not let the process read its own
    /// memory.
    fn has_nothing_due(&self) -> bool {
        let has_no_timer =
            |worker: &super::Worker| Wheel::peek_is_empty(&raw const worker.wheel) == Some(true);
        self.phase() == Phase::Running
            && self.still_alive().1 > 0
            && self.injector.is_empty()
            && !self.has_absent_fiber()
            && self.workers.iter().all(has_no_timer)
            // Last, since what was looked at before may have been about to wake one.
            && self.all_asleep()
            && self.workers.iter().all(|worker| !worker.remote.inbox.has_items())
    }

    /// See the module's documentation.
    pub(crate) fn is_quiet(&self) -> bool {
        let idle_pool = |pool: &crate::pool::Pool| {
            let metrics = pool.metrics();
            metrics.idle == metrics.threads && metrics.queued == 0
        };
        !self.waits_for_descriptor(usize::MAX)
            && idle_pool(&self.blocking)
            && self.blocking.forking().is_none_or(|pool| idle_pool(pool))
            && self.has_nothing_due()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn it_is_told_of_after_growing_pauses_until_the_verdict() {
        let (now_ns, asked) = (Cell::new(0), Cell::new(0));
        let mut period = Period::new(7, 0);
        let mut look = |verdict| {
            let ask = || {
                asked.set(asked.get() + 1);
                verdict
            };
            period.look(|| now_ns.get(), ask)
        };
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let next_ns = look(Verdict::Open);
            pauses.push((next_ns - now_ns.get()) / 1_000_000);
            now_ns.set(next_ns);
        }
        assert_eq!(pauses, [100, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000]);
        assert_eq!(asked.get(), 11);
        assert_eq!([look(Verdict::Final), look(Verdict::Final)], [NEVER; 2]);
        assert_eq!(asked.get(), 12);
    }
}
