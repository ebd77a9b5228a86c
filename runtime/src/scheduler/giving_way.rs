//! A worker that is never out of work gives way to a sibling that has been woken and does not run.
//!
//! A thread that the poller wakes may find every processor busy, and then stands in the kernel's run queue for the rest of a tick,
//! some milliseconds. Where the clients are on the same machine, such a tick comes to its full length: the client whose processor the thread
//! waits for has the answers of the other workers, and so never sleeps. Nobody but that thread can run the fibers that live
//! there. So a worker that polls looks now and then at siblings that sleep, and whose pollers have events. If one has been in that
//! state for longer than any processor needs to get up, this worker sleeps for a moment itself, and its processor, or that of a client who
//! now waits, is the sibling's.
//!
//! A look is one system call or three, made at most every 75 us, and only while a sibling sleeps. A worker that is out of work sleeps anyway.
//! Where fibers have storage of their own an idle worker runs the sibling instead (`handoff/`).

use std::cell::Cell;
use std::time::Duration;

use super::worker::Worker;
use crate::os::thread;

/// The time between two looks.
const LOOK_NS: u64 = 75_000;

/// How many siblings a look is at, beside the one of the last look: each may be a system call.
const LOOKS: usize = 2;

/// How long a sibling may take to get up: from an idle processor a thread needs 30 to 47 us.
const GETTING_UP_NS: u64 = 150_000;

/// How long a worker gives way, until it looks whether that has helped.
const PAUSE: Duration = Duration::from_micros(50);

/// How often it does so for one sleep of a sibling.
const PAUSES: u32 = 4;

/// How long a worker gives way to nobody after it has done so in vain: the processors are busy with other things.
const IN_VAIN_NS: u64 = 10_000_000;

/// What a worker has seen of its siblings.
#[derive(Debug, Default)]
pub(super) struct GivingWay {
    /// When to look next.
    next_ns: Cell<u64>,
    /// A sibling that slept although there was something to do: its index, its sleep, and when that was seen first.
    seen: Cell<Option<(usize, u64, u64)>>,
}

impl GivingWay {
    /// Notes that a sibling cannot get up from this sleep of its. Returns whether that has lasted for long; then it begins anew.
    fn sees_for_long(&self, sleep: (usize, u64), now_ns: u64) -> bool {
        let since_ns = match self.seen.get() {
            Some((index, number, since_ns)) if (index, number) == sleep => since_ns,
            _ => now_ns,
        };
        let is_long = now_ns - since_ns >= GETTING_UP_NS;
        self.seen.set((!is_long).then_some((sleep.0, sleep.1, since_ns)));
        is_long
    }
}

impl Worker {
    /// Gives way to a sibling if one needs it, before this worker polls. Returns the time.
    #[inline]
    pub(super) fn pause_for_sibling(&self, now_ns: u64) -> u64 {
        if now_ns < self.hub_state.giving_way.next_ns.get() { now_ns } else { self.look_for_waiting(now_ns) }
    }

    #[cold]
    #[inline(never)]
    fn look_for_waiting(&self, now_ns: u64) -> u64 {
        let (shared, state) = (self.shared(), &self.hub_state.giving_way);
        state.next_ns.set(now_ns + LOOK_NS);
        if shared.has_own_tls() || shared.workers.len() == 1 || !shared.sleepers.has_sleepers() {
            return now_ns;
        }
        // The one of the last look first, or a few of all.
        let seen = state.seen.get().map(|(index, ..)| &shared.workers[index]);
        let others = shared.others(self.index, self.next_random()).take(LOOKS);
        let Some(sibling) = seen.into_iter().chain(others).find(|sibling| sibling.cannot_get_up()) else {
            state.seen.set(None);
            return now_ns;
        };
        let sleep = sibling.remote.counters.sleeps.get();
        if !state.sees_for_long((sibling.index, sleep), now_ns) {
            return now_ns;
        }
        for _ in 0..PAUSES {
            thread::pause(PAUSE);
            if !sibling.is_sleeping() || sibling.remote.counters.sleeps.get() != sleep {
                return shared.now_ns();
            }
        }
        let now_ns = shared.now_ns();
        state.next_ns.set(now_ns + IN_VAIN_NS);
        now_ns
    }

    /// Whether this worker, a sibling of the caller's, sleeps and has events to take. It may be getting up right now.
    fn cannot_get_up(&self) -> bool {
        self.is_sleeping()
            && self
                .shared()
                .poller_of(self.index)
                .is_some_and(|poller| poller.registered() != 0 && poller.has_events())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_sleep_of_one_sibling_must_last() {
        let state = GivingWay::default();
        let sees = |index, sleep, us: u64| state.sees_for_long((index, sleep), us * 1_000);
        assert_eq!([sees(1, 7, 0), sees(1, 7, 75), sees(1, 7, 149)], [false; 3]);
        assert!(sees(1, 7, 150));
        // It begins anew, also with the next sleep, and with another sibling.
        assert_eq!([sees(1, 7, 151), sees(1, 8, 302), sees(2, 8, 453), sees(2, 8, 602)], [false; 4]);
        assert!(sees(2, 8, 603));
    }
}
