//! The full flight recorder's events: what a worker writes into its ring, and where. `turn_log.rs` is the recorder as it is by default.
//!
//! A runtime without a full recorder pays nothing for it in a switch: its fibers do not have the flag `Flags::RECORDED`, which is tested
//! together with flags that are tested anyway. A fiber gets it when it starts.
//!
//! An event is four words. The first has a [`Kind`] in its lowest byte, and above it the time. What follows from other events is not
//! written:
//!
//! * A turn is one event, at its end: the fiber, why it ends, how long it was, and the bytes that were read and written in it
//!   (`moved.rs`).
//! * A worker that leaves a fiber (`handoff/`) ends the fiber's turn there. What the fiber does until it comes home has no events.
//! * A turn begins when the one before ended, unless the worker was in its hub in between: where the hub looks at a clock anyway, after
//!   a sleep and after events of the poller, it notes the time in [`WorkerRecorder::began`].
//! * A fiber that waited for a descriptor was woken by the poller, unless an event says that somebody else woke it.
//! * A worker sleeps between turns. Only a sleep that lasts has an event.
//!
//! `observe/flight/decode.rs` finds these things again.

#![expect(unsafe_code, reason = "a fiber's flag says that its worker has a recorder")]

use std::fmt;
use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::current_worker;
use super::event::{Cause, Kind, TIME};
use super::moved::take_moved;
use super::names::Names;
use super::phase::Marks;
use super::shared::Shared;
use super::stack_samples::StackSamples;
use super::standstills::Standstills;
use super::turn_log;
use super::turn_record::Entry;
use super::worker::Worker;
use crate::cell::Header;
use crate::os::probe;
use crate::os::ticks::Ticks;
use crate::queue::EventRing;

/// Whether any runtime of the process has a recorder: where no fiber and no worker is at hand, this is asked first.
static IS_ANYWHERE: AtomicBool = AtomicBool::new(false);

/// What a snapshot is made for, other than a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Stall,
    Panic,
    Deadline,
    Signal,
}

/// What is done when something has happened.
pub(crate) type OnTrigger = Arc<dyn Fn(&Shared, Trigger) + Send + Sync>;

/// The recorder of a runtime.
pub(crate) struct Recorder {
    pub(crate) ticks: Ticks,
    /// Of a full recorder; a log of turns has its texts within it.
    pub(crate) names: Names,
    /// Of a log of turns.
    pub(crate) standstills: Standstills,
    on_trigger: Option<OnTrigger>,
}

/// A worker's part of the recorder.
pub(crate) struct WorkerRecorder {
    pub(super) ticks: Ticks,
    pub(crate) ring: EventRing<4>,
    pub(crate) stacks: StackSamples,
    /// When the turn began that is under way, or the next one does.
    began: AtomicU64,
}

/// A sleep of at least so many ticks has an event: some 200 us.
const LONG_SLEEP: u64 = 1 << 19;

/// How many stacks are kept of a worker.
const SAMPLES: usize = 128;

impl WorkerRecorder {
    #[inline(always)]
    pub(super) fn push(&self, kind: u64, now: u64, [small, payload, more]: [u64; 3]) {
        let first = now << TIME | kind;
        probe::event(first, small, payload);
        self.ring.push([first, small, payload, more]);
    }

    /// Notes an event at this moment, which is returned.
    #[inline(always)]
    fn record(&self, kind: Kind, small: u64, payload: u64) -> u64 {
        let now = self.ticks.now();
        self.push(kind as u64, now, [small, payload, 0]);
        now
    }

    /// Notes an event after which a turn begins.
    #[inline(always)]
    fn record_before_turn(&self, kind: Kind, small: u64, payload: u64) {
        let now = self.record(kind, small, payload);
        self.begin(now);
    }

    /// Notes the end of the turn that is under way. `kind` has the reason in it.
    #[inline(always)]
    fn end_turn(&self, kind: u64, now: u64, fiber: &Header) {
        let began = self.began();
        self.begin(now);
        self.push(kind, now, [began, ptr::from_ref(fiber).addr() as u64, take_moved()]);
    }

    /// Notes the end of the turn of the calling fiber, and keeps its stack if that is due.
    #[inline(always)]
    fn end_turn_with_stack(&self, now: u64, fiber: &Header) {
        self.end_turn(turn_until(fiber), now, fiber);
        if self.stacks.is_due() {
            self.stacks.keep(fiber, now);
        }
    }

    /// Whether a turn's end takes the time by the processor's counter.
    pub(super) fn has_counter(&self) -> bool {
        self.ticks.has_counter()
    }

    #[inline(always)]
    pub(super) fn begin(&self, now: u64) {
        // Relaxed: a snapshot looks at it after the events, and takes one that is too late for none.
        self.began.store(now, Ordering::Relaxed);
    }

    /// When the turn began that is under way. From any thread.
    #[inline(always)]
    pub(crate) fn began(&self) -> u64 {
        self.began.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Gives the runtime a log of turns that keeps the last `records` of each worker, and the stack of one turn in some `stacks`. Before its
/// threads start.
pub(crate) fn set_turn_log(shared: &Shared, records: usize, stacks: u32, on_trigger: Option<OnTrigger>) {
    let ticks = set(shared, on_trigger);
    turn_log::provide(shared, records, stacks, &ticks);
    shared.mark_fibers(Marks::Log);
}

fn set(shared: &Shared, on_trigger: Option<OnTrigger>) -> Ticks {
    let ticks = Ticks::new();
    let (names, standstills) = (Names::default(), Standstills::default());
    let is_first = shared.recorder.set(Recorder { ticks, names, standstills, on_trigger }).is_ok();
    debug_assert!(is_first, "a runtime is built once");
    IS_ANYWHERE.store(true, Ordering::Relaxed);
    ticks
}

/// Gives the runtime a full recorder that keeps the last `events` of each worker, and the stack of one turn in `stacks`. Before its threads
/// start.
pub(crate) fn set_recorder(shared: &Shared, events: usize, stacks: u32, on_trigger: Option<OnTrigger>) {
    let ticks = set(shared, on_trigger);
    for worker in &shared.workers {
        let recorder = WorkerRecorder {
            ticks,
            ring: EventRing::new(events),
            stacks: StackSamples::new(stacks, SAMPLES),
            began: AtomicU64::new(ticks.now()),
        };
        worker.set_recorder(Box::new(recorder));
        worker.log.always_take_time();
    }
    shared.mark_fibers(Marks::More);
}

#[inline(always)]
fn is_anywhere() -> bool {
    // Relaxed: set before the first fiber that is recorded starts.
    IS_ANYWHERE.load(Ordering::Relaxed)
}

/// Notes a text of the calling fiber.
#[inline]
pub(crate) fn record_text(entry: Entry, text: &str) {
    if is_anywhere() {
        record_parts(entry, &[text]);
    }
}

/// Notes a label of the calling fiber.
pub(crate) fn record_label(name: &str, value: &str) {
    if is_anywhere() {
        record_parts(Entry::Label, &[name, "=", value]);
    }
}

#[cold]
#[inline(never)]
fn record_parts(entry: Entry, parts: &[&str]) {
    let Some(worker) = super::here::present() else { return };
    worker.log_text(entry, parts);
    if let (Some(mine), Some(whole)) = (worker.recorder(), worker.shared().recorder.get()) {
        mine.record(Kind::of_text(entry), 0, whole.names.number(&parts.concat()));
    }
}

/// Notes that this has happened to the calling fiber, and does what its runtime does then.
pub(crate) fn trigger(trigger: Trigger) {
    match trigger {
        Trigger::Panic => record_text(Entry::Mark, "panic"),
        Trigger::Deadline => record_text(Entry::Mark, "missed deadline"),
        Trigger::Stall | Trigger::Signal => {}
    }
    if is_anywhere()
        && let Some(worker) = current_worker()
    {
        worker.shared().trigger(trigger);
    }
}

impl Shared {
    /// Does what the runtime does if something of this kind has happened.
    pub(crate) fn trigger(&self, trigger: Trigger) {
        if let Some(on_trigger) = self.recorder.get().and_then(|recorder| recorder.on_trigger.as_ref()) {
            on_trigger(self, trigger);
        }
    }
}

/// The number of the end of this fiber's turn.
#[inline(always)]
fn turn_until(fiber: &Header) -> u64 {
    let (reason, _) = fiber.wait();
    Kind::Turn as u64 + reason as u64
}

impl Worker {
    /// The addresses of all that a recorder keeps of this worker.
    pub(crate) fn recorded_addresses(&self) -> [Range<usize>; 4] {
        let [events, stacks] = self
            .recorder()
            .map_or([0..0, 0..0], |recorder| [recorder.ring.addresses(), recorder.stacks.addresses()]);
        let log_stacks = self.log.stacks().map_or(0..0, StackSamples::addresses);
        [self.log.ring.addresses(), log_stacks, events, stacks]
    }

    #[inline(always)]
    pub(super) fn record(&self, kind: Kind, small: u64, payload: u64) {
        if let Some(recorder) = self.recorder() {
            recorder.record(kind, small, payload);
        }
    }

    /// Notes that this worker, in its hub, has taken so many fibers from another one.
    pub(super) fn record_steal(&self, victim: usize, fibers: usize) {
        self.log_steal(victim, fibers);
        if let Some(recorder) = self.recorder() {
            recorder.record_before_turn(Kind::Steal, victim as u64, fibers as u64);
        }
    }

    /// Notes that the running fiber has spawned one.
    #[inline(always)]
    pub(super) fn record_spawn(&self, fiber: &Header) {
        self.log_spawn(fiber);
        self.record(Kind::Spawn, 0, ptr::from_ref(fiber).addr() as u64);
    }

    /// Notes that the fiber, which has the flag [`RECORDED`](crate::cell::Flags::RECORDED) and not
    /// [`HOOKED`](crate::cell::Flags::HOOKED), stops running.
    #[inline(never)]
    pub(super) fn record_park(&self, fiber: &Header) {
        debug_assert!(self.recorder().is_some_and(WorkerRecorder::has_counter), "`Worker::mark_starting`");
        // SAFETY: `mark_starting` gives the flag to fibers of a runtime with a recorder, of which each worker has its part from the
        // start.
        let recorder = unsafe { self.recorder().unwrap_unchecked() };
        recorder.end_turn_with_stack(recorder.ticks.by_counter(), fiber);
    }

    /// Notes that a fiber of any runtime stops running.
    pub(super) fn record_park_slow(&self, fiber: &Header) {
        if let Some(recorder) = self.recorder() {
            recorder.end_turn_with_stack(recorder.ticks.now(), fiber);
        }
    }

    /// Notes that the fiber, which has the flag [`RECORDED`](crate::cell::Flags::RECORDED), has ended. Before its cell may be freed.
    #[cold]
    pub(super) fn record_end(&self, fiber: &Header) {
        if let Some(recorder) = self.recorder() {
            recorder.end_turn(Kind::End as u64, recorder.ticks.now(), fiber);
        }
    }

    /// Notes that the hub has looked at the poller, which had events.
    #[inline(always)]
    pub(super) fn record_time(&self) {
        if let Some(recorder) = self.recorder() {
            recorder.begin(recorder.ticks.now());
        }
    }

    /// Notes that the worker has slept, when it is this time on `os::clock`, if the [log](super::turn_log::TurnLog) says that the time is due.
    #[cold]
    #[inline(never)]
    pub(super) fn record_sleep(&self, now: u64) {
        let Some(recorder) = self.recorder() else { return self.log_sleep(now) };
        let is_same_clock = cfg!(target_arch = "x86_64") && recorder.has_counter();
        let now = if is_same_clock { now } else { recorder.ticks.now() };
        // The hub had nothing to do, so the last turn ended a moment before the sleep.
        let since = recorder.began();
        if now.wrapping_sub(since) >= LONG_SLEEP {
            recorder.push(Kind::Sleep as u64, now, [since, 0, 0]);
        }
        recorder.begin(now);
    }

    /// Notes that the fiber has been woken, unless that follows from its wait.
    #[inline(always)]
    pub(super) fn record_wake(&self, fiber: &Header) {
        let Some(recorder) = self.recorder() else { return };
        let cause = self.log.cause.get();
        if cause != Cause::Poller || !fiber.wait().0.is_of_descriptor() {
            self.record_wake_for(recorder, cause, fiber);
        }
    }

    #[inline(never)]
    fn record_wake_for(&self, recorder: &WorkerRecorder, cause: Cause, fiber: &Header) {
        self.record_cause(recorder, Kind::Wake, cause, fiber);
    }

    /// Notes that this worker's thread sends the fiber, which has been woken, to another worker.
    pub(super) fn record_send(&self, fiber: &Header) {
        self.log_send(fiber);
        if let Some(recorder) = self.recorder() {
            self.record_cause(recorder, Kind::Send, self.log.cause.get(), fiber);
        }
    }

    fn record_cause(&self, recorder: &WorkerRecorder, kind: Kind, cause: Cause, fiber: &Header) {
        let address = ptr::from_ref(fiber).addr() as u64;
        match cause {
            // An inbox is emptied in a fiber's turn as well.
            Cause::Fiber | Cause::Elsewhere => _ = recorder.record(kind, cause as u64, address),
            _ => recorder.record_before_turn(kind, cause as u64, address),
        }
    }

    /// Notes that the fiber starts, with what is known of it.
    #[cold]
    pub(super) fn record_start(&self, fiber: &Header) {
        if let (Some(mine), Some(whole)) = (self.recorder(), self.shared().recorder.get()) {
            let name = fiber.peek_identity().and_then(|identity| identity.name.as_deref());
            let name = name.map_or(0, |name| whole.names.number(name));
            let site = ptr::from_ref::<Location<'_>>(fiber.spawn_site()).expose_provenance() as u64;
            let now = mine.ticks.now();
            mine.push(Kind::Start as u64, now, [name, ptr::from_ref(fiber).addr() as u64, site]);
            mine.begin(now);
        }
    }

    /// Calls `wake`, which wakes fibers for this cause.
    #[inline(always)]
    pub(super) fn wake_for<R>(&self, cause: Cause, wake: impl FnOnce() -> R) -> R {
        self.log.cause.set(cause);
        let result = wake();
        self.log.cause.set(Cause::Fiber);
        result
    }
}
