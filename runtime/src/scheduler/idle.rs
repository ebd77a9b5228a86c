//! How a worker waits that has nothing to run: awake for a while, or asleep in its poller.

use std::time::Duration;

use super::hub::{Departure, WATCH};
use super::worker::Worker;
use crate::atomic::spin;
use crate::os::slack;
use crate::queue::Search;

/// A worker that watches its inbox polls once in so many looks, that is, every few microseconds.
const LOOKS_PER_POLL: u32 = 16;

/// If the inbox ends a sleep within this time, the sleep cost more than staying awake.
const SHORT_SLEEP: Duration = Duration::from_micros(100);

/// How late the kernel ends sleeps is measured where it matters: in those that are shorter.
const SOON: Duration = Duration::from_millis(1);

/// How many stacks a worker keeps when it goes to sleep; the rest goes back to the runtime's pool.
const STACKS_KEPT: usize = 256;

impl Worker {
    /// Sleeps until a timer, an event of the poller, or a notification. Takes the search that found nothing, and returns the
    /// search to go on with. It fails if the worker leaves the thread meanwhile.
    pub(super) fn sleep(&self, search: Option<Search>) -> Result<Option<Search>, Departure> {
        let shared = self.shared();
        self.trim_stacks(STACKS_KEPT);
        let mut now = self.scavenge();
        shared.sleepers.announce(self.index, search);
        let work = shared.has_work_for_anyone();
        let may_sleep = !work && !self.must_close() && !self.watch_inbox(&mut now);
        // Before the sleep begins, or a sibling might give way to this worker.
        if let Some(began) = may_sleep.then(|| self.pause_for_sibling(now.unwrap_or_else(|| shared.now_ns())))
            && self.remote.inbox.begin_sleep()
        {
            self.remote.counters.sleeps.add(1);
            self.log.begin_sleep(began);
            let until = [self.wheel.next_wake(), self.scavenger.due_ns()].into_iter().flatten().min();
            let timeout = until.map(|at| Duration::from_nanos(at.saturating_sub(began)));
            let soon = until.filter(|_| timeout < Some(SOON));
            self.await_event(began, timeout)?;
            if let Some(at) = soon {
                self.wheel.note_wake(at, shared.now_ns());
            }
            let slept_ns = || shared.now_ns() - began;
            self.hub_state.expects_items.set(
                shared.poller_of(self.index).is_some()
                    && self.remote.inbox.has_items()
                    && slept_ns() < SHORT_SLEEP.as_nanos() as u64,
            );
            self.tick.reset(slept_ns);
            self.end_sleep();
        }
        let search = self.after_sleep();
        Ok(if work { search.or_else(|| self.start_searching()) } else { search })
    }

    /// Waits in the kernel until there is something to do, and takes the events of the poller.
    pub(super) fn wait_in_kernel(&self, timeout: Option<Duration>) {
        slack::sleep(timeout, |timeout| match self.shared().poller_of(self.index) {
            Some(poller) => _ = self.poll(poller, timeout),
            None => self.wait_in_parker(timeout),
        });
    }

    /// Waits in the kernel while a thread of its own polls. Not inlined: its frame is larger than that of a wait in the poller.
    #[inline(never)]
    fn wait_in_parker(&self, timeout: Option<Duration>) {
        self.remote.parker.park(timeout);
    }

    pub(super) fn end_sleep(&self) {
        self.remote.inbox.end_sleep();
        let now = self.set_coarse_now();
        if self.log.is_clock_due(now) {
            self.record_sleep(now);
        }
        let shared = self.shared();
        shared.put_monitor_off(self, || shared.now_ns());
        shared.unpark_monitor();
    }

    /// Does what comes after a sleep, or in its place. Returns the search that was begun in the worker's name meanwhile.
    pub(super) fn after_sleep(&self) -> Option<Search> {
        let search = self.shared().sleepers.retract(self.index);
        if !self.wheel.is_empty() {
            self.expire_timers(self.shared().now_ns());
        }
        self.renew_tick();
        self.pace.reset();
        search
    }

    /// Spins before sleeping, if the inbox ended the last sleep so soon that it did not pay: two fibers on two workers that
    /// answer each other would otherwise wake a core for each message. Not with a poller thread, which may need this very
    /// core.
    fn watch_inbox(&self, now: &mut Option<u64>) -> bool {
        if !self.hub_state.expects_items.get() || !self.hub_state.spin.should_spin() {
            return false;
        }
        // It is later afterwards.
        *now = None;
        let end = self.shared().now_ns() + WATCH.as_nanos() as u64;
        // Timers and descriptors must not be served later than in a sleep.
        let end = self.wheel.next_deadline().map_or(end, |timer| timer.min(end));
        let mut looks = 0_u32;
        while self.shared().now_ns() < end {
            looks += 1;
            if looks.is_multiple_of(LOOKS_PER_POLL) {
                self.poll_now();
                if !self.ready.is_empty() {
                    return true;
                }
            }
            for _ in 0..4 {
                if self.remote.inbox.has_items() {
                    self.hub_state.spin.succeeded();
                    return true;
                }
                spin(1);
            }
        }
        self.hub_state.spin.failed();
        false
    }
}
