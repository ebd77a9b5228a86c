//! The hub: the part of a worker that runs between fibers. [`Worker::find`] has the policy from top to bottom: ready list,
//! inbox, own unstarted fibers, injector, timers and poller, other workers' unstarted fibers, sleep.
//!
//! The hub runs on the OS thread's own stack, so nothing here costs a fiber a page. `README.md` beside this file tells the
//! idle protocol.

#![expect(unsafe_code, reason = "timers hold addresses of waiters on the stacks of parked fibers")]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::event::Cause;
use super::giving_way::GivingWay;
use super::here;
use super::moved::count_poll;
use super::phase::Phase;
use super::worker::{Request, Stealable, Worker};
use crate::atomic::spin;
use crate::cell::Header;
use crate::poller::Poller;
use crate::queue::{AdaptiveSpin, Search};

/// The length from which a backlog is worth stealing from, and waking a worker for, at once. A shorter one is stolen from
/// only after its worker has been busy with one fiber for `BUSY`: usually the worker would have run the fibers itself
/// before a thief was awake (waking an idle core costs 9 to 18 us to the waker, 30 to 47 us until it runs).
pub(super) const WORTH_WAKING: usize = 8;

/// How long a worker must stay in one fiber before others steal from its short backlog.
const BUSY: Duration = Duration::from_micros(20);

/// How long a worker that sees a short backlog elsewhere watches it before it sleeps. To sleep and be woken costs more.
pub(super) const WATCH: Duration = Duration::from_micros(50);

/// Why a worker's hub ends on its thread.
#[derive(Debug)]
pub(super) enum Departure {
    /// The runtime has been shut down.
    End,
    /// The worker is another thread's. This fiber has gone on without it.
    #[cfg(feature = "own-tls")]
    WithoutFiber(NonNull<Header>),
    /// The worker is another thread's, which has taken it while it slept.
    #[cfg(feature = "own-tls")]
    InItsSleep,
    /// The thread has exchanged the worker for this one.
    #[cfg(feature = "own-tls")]
    For(NonNull<Worker>),
}

/// The hub's state between two passes.
#[derive(Default)]
pub(super) struct HubState {
    /// Whether this worker has done its part of the shutdown.
    closed: Cell<bool>,
    /// Whether it has cancelled the fibers that are threads as well.
    threads_ended: Cell<bool>,
    /// Whether it had no other fibers than threads since.
    settled: Cell<bool>,
    /// Whether the inbox ended the last sleep soon after it began.
    pub(super) expects_items: Cell<bool>,
    /// Whether it pays to watch the inbox then.
    pub(super) spin: AdaptiveSpin<8>,
    random: Cell<u32>,
    /// A fiber that goes on at the end of the tick, after everything that the full check then finds, or when there is
    /// nothing else to run.
    deferred: Cell<Option<NonNull<Header>>>,
    pub(super) giving_way: GivingWay,
    /// The sibling that slept at the last look although there was something for it to do.
    #[cfg(feature = "own-tls")]
    pub(super) suspicion: Cell<super::handoff::Suspicion>,
}

impl Worker {
    /// Runs fibers on the calling thread until the runtime has been shut down, or the worker has left the thread.
    pub(super) fn run(&self) -> Departure {
        here::set_worker(Some(self));
        self.come_to_thread();
        self.log_thread();
        let departure = self.run_fibers();
        here::set_worker(None);
        departure
    }

    fn run_fibers(&self) -> Departure {
        loop {
            let run_next = || {
                let fiber = self.find()?;
                // Relaxed: a count, written by this thread alone.
                self.remote.resumed.store(self.remote.resumed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                self.run_from(self.resume(fiber))?;
                while let Some(request) = self.refuse_next() {
                    self.run_from(Ok(request))?;
                }
                Ok(())
            };
            if let Err(departure) = run_next() {
                return departure;
            }
        }
    }

    /// Handles the request of a fiber that was run, or starts a fiber that got no stack, and so on until a request starts nothing.
    /// It fails if the fiber has gone on without this worker, which is then another thread's.
    fn run_from(
        &self,
        mut outcome: Result<Request, (NonNull<Header>, std::io::Error)>,
    ) -> Result<(), Departure> {
        loop {
            let request = outcome.or_else(|(unstarted, error)| self.refuse(unstarted, error).ok_or(()));
            match request {
                Ok(Request::Start(unstarted)) => {
                    outcome = self.resume(unstarted);
                    continue;
                }
                Ok(Request::Requeue(roaming)) => self.requeue(roaming),
                Ok(Request::Defer(fiber)) => self.defer(fiber),
                Ok(Request::Nothing) | Err(()) => {}
                #[cfg(feature = "own-tls")]
                Ok(Request::Return(absent)) => return Err(Departure::WithoutFiber(absent)),
            }
            return Ok(());
        }
    }

    /// Holds back a fiber that lets others run for the rest of the tick. The fiber deferred before has waited long enough.
    fn defer(&self, fiber: NonNull<Header>) {
        if let Some(earlier) = self.hub_state.deferred.replace(Some(fiber)) {
            // SAFETY: the fiber was running until it entered the hub, so it is in no list.
            unsafe { self.ready.push_back(earlier) };
        }
    }

    /// Queues a roaming fiber that has yielded in the injector. If there is more to run than this fiber, wakes another worker,
    /// since nothing else might.
    fn requeue(&self, roaming: NonNull<Header>) {
        let shared = self.shared();
        let is_alone = shared.injector.is_empty() && self.ready.is_empty();
        shared.injector.push(Stealable(roaming));
        if !is_alone {
            shared.unpark_one();
        }
    }

    /// The next fiber to run; sleeps until there is one. It fails if the worker ends, or leaves the thread.
    pub(super) fn find(&self) -> Result<NonNull<Header>, Departure> {
        // Relaxed: thieves only compare it with what they saw before.
        self.remote.epoch.store(self.remote.epoch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // Here as well as below, since fibers that yield in a loop may give a worker something to run at all times.
        if self.must_close() {
            self.close();
        }
        if self.has_requests() {
            self.serve_requests();
        }
        if self.tick_is_up() {
            self.check_everything();
            if self.tick.may_take_unstarted()
                && let Some(unstarted) = self.oldest_unstarted().or_else(|| self.injected())
            {
                return Ok(unstarted);
            }
        }
        // Here as well as below, for the same reason as above.
        if let Some(returned) = self.take_returned() {
            return Ok(returned);
        }
        // Held by this worker while it searches, and by the thread that chose it while it sleeps; see
        // `queue/sleepers/README.md`.
        let mut search = None;
        loop {
            let at_hand = self.ready.pop_front().or_else(|| self.pick_beyond_ready());
            // What has come back is looked for after the drain, which may have cleared the notification about it.
            let at_hand = at_hand.or_else(|| self.take_returned()).or_else(|| self.hub_state.deferred.take());
            if let Some(fiber) = at_hand.or_else(|| self.injected()) {
                self.end_search(search);
                return Ok(fiber);
            }
            if self.has_requests() {
                self.serve_requests();
                continue;
            }
            if self.shared().phase() == Phase::Closing {
                if self.must_close() {
                    self.close();
                    continue;
                }
                if self.shared().roaming.len() == 0 {
                    if self.live.len() == 0 {
                        self.end_search(search);
                        return Err(Departure::End);
                    }
                    if self.live.has_only_threads() {
                        self.settle();
                    }
                }
            }
            search = search.or_else(|| self.start_searching());
            if search.is_some()
                && let Some(fiber) = self.search_others()
            {
                self.end_search(search);
                return Ok(fiber);
            }
            search = self.sleep(search)?;
        }
    }

    /// Checks inbox, timers and poller, at the end of a tick.
    pub(super) fn check_everything(&self) {
        self.drain_inbox();
        self.tick.end(self.expire_timers_and_poll());
        self.scavenge_now_and_then();
        self.renew_tick();
        if let Some(fiber) = self.hub_state.deferred.take() {
            // SAFETY: the fiber was running until it entered the hub, so it is in no list.
            unsafe { self.ready.push_back(fiber) };
        }
    }

    /// The unstarted fiber that has waited longest here: newest first is fast, but must not starve the others.
    fn oldest_unstarted(&self) -> Option<NonNull<Header>> {
        self.backlog.pop_oldest().map(|fiber| fiber.0)
    }

    fn injected(&self) -> Option<NonNull<Header>> {
        let injector = &self.shared().injector;
        if injector.is_empty() {
            return None;
        }
        loop {
            match injector.steal() {
                crossbeam_deque::Steal::Success(fiber) => return Some(fiber.0),
                crossbeam_deque::Steal::Empty => return None,
                crossbeam_deque::Steal::Retry => {}
            }
        }
    }

    /// Makes every fiber ready whose timer has expired or whose descriptor has an event, without waiting. Returns the time, if it
    /// was read.
    fn expire_timers_and_poll(&self) -> Option<u64> {
        let matters = !self.wheel.is_empty() || self.polls() || self.tick.needs_time();
        let now_ns = matters.then(|| self.shared().now_ns())?;
        let ticks = self.set_coarse_now();
        if self.log.is_clock_due(ticks) {
            self.log_clock(ticks);
        }
        self.expire_timers(now_ns);
        self.pause_for_sibling(now_ns);
        if !self.yields_to_ward(now_ns) {
            self.poll_now();
            self.shared().put_monitor_off(self, || now_ns);
        }
        Some(now_ns)
    }

    /// Whether this worker has to poll.
    fn polls(&self) -> bool {
        self.shared().poller_of(self.index).is_some_and(|poller| poller.registered() != 0)
    }

    /// Collects the poller's events, without waiting.
    pub(super) fn poll_now(&self) {
        if let Some(poller) = self.shared().poller_of(self.index)
            && poller.registered() != 0
            && self.poll(poller, Some(Duration::ZERO)) > 0
        {
            self.record_time();
        }
    }

    /// Waits for the poller's events, and wakes whom they are for. Returns how many there were.
    pub(super) fn poll(&self, poller: &Poller, timeout: Option<Duration>) -> u64 {
        let events = poller.wait(
            timeout,
            #[inline(always)]
            |wakeup| self.wake_polled(wakeup),
        );
        count_poll();
        events
    }

    /// `None` if enough workers search, or there is none to steal from.
    pub(super) fn start_searching(&self) -> Option<Search> {
        if self.shared().workers.len() == 1 { None } else { self.shared().sleepers.start_searching() }
    }

    /// Ends the search of this worker, which has something to run. If it was the last to search, it wakes the next worker for
    /// the work that is left over.
    pub(super) fn end_search(&self, search: Option<Search>) {
        let shared = self.shared();
        if search.is_some_and(|search| shared.sleepers.stop_searching(search)) && shared.has_work_for_anyone()
        {
            shared.unpark_one();
        }
    }

    /// Steals an unstarted fiber from another worker: at once from a long backlog, after a while from a short one.
    fn search_others(&self) -> Option<NonNull<Header>> {
        let shared = self.shared();
        let mut began = None;
        let mut snapshot = None;
        loop {
            let mut promising = None;
            for victim in shared.others(self.index, self.next_random()) {
                match victim.stealable() {
                    0 => {}
                    few if few < WORTH_WAKING => promising = Some(victim),
                    _ => {
                        if let Some(fiber) = self.steal_half(victim) {
                            return Some(fiber);
                        }
                    }
                }
            }
            // If no worker has anything, or work of our own has come, the search ends.
            let victim = promising?;
            if self.remote.inbox.has_items() || !shared.injector.is_empty() {
                return None;
            }
            let now = shared.now_ns();
            let began = *began.get_or_insert(now);
            let current = (victim.index, victim.remote.epoch.load(Ordering::Relaxed));
            let is_stalled = snapshot.replace(current) == Some(current);
            if is_stalled
                && now - began >= BUSY.as_nanos() as u64
                && let Some(fiber) = self.steal_half(victim)
            {
                return Some(fiber);
            }
            if now - began >= WATCH.as_nanos() as u64 {
                return None;
            }
            spin(32);
        }
    }

    /// How many of this worker's fibers other workers could take; about, if they are many.
    pub(crate) fn stealable(&self) -> usize {
        self.remote.stealer.len()
    }

    /// Takes the older half of the victim's unstarted fibers, to run here oldest first. Returns the oldest.
    fn steal_half(&self, victim: &Worker) -> Option<NonNull<Header>> {
        let (oldest, count) = victim.remote.stealer.steal_into(&self.backlog)?;
        let counters = &self.remote.counters;
        self.record_steal(victim.index, count);
        counters.steals.add(1);
        counters.stolen.add(count as u64);
        Some(oldest.0)
    }

    pub(super) fn next_random(&self) -> usize {
        // A linear congruential step (Numerical Recipes): it only has to spread the thieves.
        let next = self
            .hub_state
            .random
            .get()
            .wrapping_add(self.index as u32)
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        self.hub_state.random.set(next);
        (next >> 16) as usize
    }

    /// Does this worker's part of the shutdown, once; and once more if its threads are to end after all.
    #[cold]
    fn close(&self) {
        self.hub_state.closed.set(true);
        self.hub_state.threads_ended.set(self.shared().ends_threads());
        self.wake_for(Cause::Elsewhere, || super::shutdown::cancel_fibers_of(self));
    }

    pub(super) fn must_close(&self) -> bool {
        let state = &self.hub_state;
        self.shared().phase() == Phase::Closing
            && (!state.closed.get() || (self.shared().ends_threads() && !state.threads_ended.get()))
    }

    /// Notes, once, that the end of the runtime need not wait for this worker.
    #[cold]
    pub(super) fn settle(&self) {
        if !self.hub_state.settled.replace(true) {
            self.shared().settle_worker();
        }
    }
}
