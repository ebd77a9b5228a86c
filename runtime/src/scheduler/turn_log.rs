//! The log of turns: the flight recorder as it is by default. One record at the end of each turn, eight instructions, and none of time; and
//! one for each wake-up, but for those by the poller, which are what is left: a fiber that waited and runs again was woken by the poller,
//! unless a record says by whom. `turn_record.rs` has the form of records.
//!
//! The order of the records is that of what happened. The time is noted where a clock is read anyway, after a sleep and at the end of
//! a tick, and there once in a [`STEP`]; and beside what happens seldom. What lies between follows when somebody reads the log
//! (`observe/flight/coarse.rs`).
//!
//! The stack is kept of one turn in so many, with the time: that is done where the ring stops its writer, so the other turns do not even ask
//! whether it is due.
//!
//! A fiber's end is recorded before its cell is free. So from one end of an address to the next one, in one worker's log, it is one
//! fiber's; roaming fibers have forms of their own.

use std::cell::Cell;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::Cause;
use super::moved::{moved, with_moved};
use super::shared::Shared;
use super::stack_samples::StackSamples;
use super::turn_record::{CAUSE_BITS, Entry, FORM, Form};
use super::worker::Worker;
use crate::cell::{Flags, Header};
use crate::os::{clock, ticks::Ticks};
use crate::queue::TurnRing;

/// The time is noted once in so many ticks of `os::clock`: some three milliseconds, elsewhere eight. More often, it would be seen among an
/// echo's instructions under valgrind, which takes a quarter of a millisecond for one on a busy machine.
pub(crate) const STEP: u64 = 1 << 23;

/// A sleep that may have been as long as this has a record of its begin. More than a step, which passes while a worker is busy as well.
const LONG_SLEEP: u64 = STEP + STEP / 2;

/// The most bytes of a text, eight of which are a record.
const TEXT: usize = 64;

/// How many stacks are kept of a worker, if they are of one turn in so many.
fn samples(one_in: u32) -> usize {
    if one_in < 128 { 128 } else { 32 }
}

/// A worker's log. Other threads may copy the ring and the stacks, and read since when the worker sleeps.
pub(crate) struct TurnLog {
    pub(crate) ring: TurnRing,
    /// From when on the time is noted, on `os::clock`: never if there is no recorder, and always if it is the full one.
    clock_due: Cell<u64>,
    /// When the time was last noted, on the recorder's clock.
    noted: Cell<u64>,
    /// When the last sleep began, on the runtime's clock.
    slept_ns: AtomicU64,
    /// Whether the recorder's clock is `os::clock`.
    is_same_clock: Cell<bool>,
    stacks: OnceLock<StackSamples>,
    /// What the thread had moved when a fiber last ended.
    moved_at_end: Cell<u64>,
    /// Who wakes the fibers that are woken now: for the full recorder as well.
    pub(super) cause: Cell<Cause>,
}

impl TurnLog {
    /// A log that nothing is written into.
    pub(super) fn new() -> Self {
        Self {
            ring: TurnRing::new(),
            clock_due: Cell::new(u64::MAX),
            noted: Cell::new(0),
            slept_ns: AtomicU64::new(0),
            is_same_clock: Cell::new(false),
            stacks: OnceLock::new(),
            moved_at_end: Cell::new(0),
            cause: Cell::default(),
        }
    }

    /// The stacks on which turns ended. From any thread.
    pub(crate) fn stacks(&self) -> Option<&StackSamples> {
        self.stacks.get()
    }

    /// Whether the time is to be noted, when it is this on `os::clock`.
    #[inline(always)]
    pub(super) fn is_clock_due(&self, now: u64) -> bool {
        now >= self.clock_due.get()
    }

    /// Makes the time due always: for the full recorder.
    pub(super) fn always_take_time(&self) {
        self.clock_due.set(0);
    }

    /// Notes when the sleep begins that is about to.
    #[inline(always)]
    pub(super) fn begin_sleep(&self, now_ns: u64) {
        // Relaxed: a number.
        self.slept_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the last sleep began, on the runtime's clock. From any thread.
    pub(crate) fn slept_ns(&self) -> u64 {
        self.slept_ns.load(Ordering::Relaxed)
    }

    /// Writes a record, if there is memory.
    #[inline]
    fn write(&self, record: [u64; 2]) {
        if !self.ring.push(record) {
            self.write_at_stop(record);
        }
    }

    /// A stop is for the end of a turn: what is none puts it off.
    #[cold]
    #[inline(never)]
    fn write_at_stop(&self, record: [u64; 2]) {
        if self.ring.go_on(1) {
            let is_written = self.ring.push(record);
            debug_assert!(is_written, "a stop is a record later");
        }
    }

    #[inline]
    fn note(&self, entry: Entry, number: u64, word: u64) {
        self.write([Form::Entry as u64 | (entry as u64) << FORM.count_ones() | number << 8, word]);
    }
}

#[inline(always)]
fn word_of(fiber: &Header, form: Form) -> u64 {
    ptr::from_ref(fiber).addr() as u64 | form as u64
}

#[inline(always)]
fn end_of(fiber: &Header, form: Form) -> [u64; 2] {
    [word_of(fiber, form), ptr::from_ref(fiber.spawn_site()).expose_provenance() as u64]
}

/// After how many records the next stop is, at which a stack is due.
fn next_stop(stacks: Option<&StackSamples>) -> usize {
    stacks.and_then(StackSamples::gap).map_or(usize::MAX, |gap| gap as usize - 1)
}

/// The second word of a turn's end.
fn why(fiber: &Header) -> u64 {
    fiber.wait().0 as u64 + moved()
}

/// Gives each worker of the runtime a log of so many records, and of one stack in some `stacks` turns. Before its threads start.
pub(super) fn provide(shared: &Shared, records: usize, stacks: u32, ticks: &Ticks) {
    for worker in &shared.workers {
        worker.log.ring.provide(records);
        let stacks = worker.log.stacks.get_or_init(|| StackSamples::new(stacks, samples(stacks)));
        worker.log.ring.stop_after(next_stop(Some(stacks)));
        worker.log.is_same_clock.set(cfg!(target_arch = "x86_64") && ticks.has_counter());
        worker.log.clock_due.set(0);
    }
}

impl Worker {
    /// Notes that the fiber, which has the flag [`LOGGED`](Flags::LOGGED) or [`RECORDED`](Flags::RECORDED), stops running: with
    /// the full recorder in its ring. The fiber is the caller.
    #[inline(always)]
    pub(super) fn log_turn(&self, fiber: &Header) {
        let record = || [word_of(fiber, Form::Turn), with_moved(fiber.wait().0 as u8)];
        if !self.log.ring.push_with(record) {
            self.log_turn_at_stop(fiber);
        }
    }

    #[cold]
    #[inline(never)]
    fn log_turn_at_stop(&self, fiber: &Header) {
        if self.log.ring.is_there() {
            self.log_sampled_turn(fiber, Form::Turn);
        } else {
            self.record_park(fiber);
        }
    }

    /// Notes a turn's end with the time and the stack.
    fn log_sampled_turn(&self, fiber: &Header, form: Form) {
        let log = &self.log;
        let now = self.log_time();
        log.note(Entry::TurnEnds, 0, now);
        log.write([word_of(fiber, form), why(fiber)]);
        let stacks = log.stacks();
        stacks.inspect(|stacks| stacks.keep(fiber, now));
        // So each copy of a whole lap has a moment: the end is a stop.
        log.ring.stop_after(next_stop(stacks));
    }

    /// [`log_turn`](Self::log_turn) of a fiber that may roam, and may have no log.
    pub(super) fn log_turn_slow(&self, fiber: &Header) {
        if fiber.has(Flags::LOGGED) {
            let form = if fiber.has(Flags::ROAMING) { Form::RoamingTurn } else { Form::Turn };
            if !self.log.ring.push([word_of(fiber, form), why(fiber)]) {
                self.log_sampled_turn(fiber, form);
            }
        }
    }

    /// Notes that this fiber of the worker, which has the flag [`LOGGED`](Flags::LOGGED) and does not roam, has been woken.
    #[inline(always)]
    pub(super) fn log_wake(&self, fiber: &Header) {
        self.log.write([word_of(fiber, Form::Wake), self.log.cause.get() as u64]);
    }

    /// [`log_wake`](Self::log_wake) of a fiber that may roam, and may have no log.
    pub(super) fn log_wake_slow(&self, fiber: &Header) {
        if fiber.has(Flags::LOGGED) {
            let roams = u64::from(fiber.has(Flags::ROAMING)) << CAUSE_BITS;
            self.log.write([word_of(fiber, Form::Wake), self.log.cause.get() as u64 | roams]);
        }
    }

    /// Notes that this worker's thread sends the fiber, which has been woken, to another worker.
    pub(super) fn log_send(&self, fiber: &Header) {
        if self.log.ring.is_there() {
            let word = self.log_time() << CAUSE_BITS | self.log.cause.get() as u64;
            self.log.write([word_of(fiber, Form::Send), word]);
        }
    }

    /// Notes that the inbox is emptied, whose fibers are woken next: within a fiber's turn or not.
    #[cold]
    #[inline(never)]
    pub(super) fn log_inbox(&self, is_in_turn: bool) {
        if self.log.ring.is_there() {
            self.log.note(Entry::Inbox, is_in_turn.into(), self.log_time());
        }
    }

    /// Notes that the running fiber has spawned this one.
    #[inline]
    pub(super) fn log_spawn(&self, fiber: &Header) {
        if self.log.ring.is_there() {
            self.log.note(Entry::Spawn, 0, ptr::from_ref(fiber).addr() as u64);
        }
    }

    /// Notes that the worker has come to the calling thread.
    pub(super) fn log_thread(&self) {
        self.log.note(Entry::Base, 0, moved());
    }

    /// Notes that the fiber, which has the flag [`LOGGED`](Flags::LOGGED), has ended. Before its cell may be freed.
    #[inline(always)]
    pub(super) fn log_end(&self, fiber: &Header) {
        let has_moved = moved() != self.log.moved_at_end.get();
        if has_moved || fiber.has(Flags::ROAMING) || fiber.peek_identity().is_some() {
            return self.log_end_slow(fiber);
        }
        self.log.write(end_of(fiber, Form::End));
    }

    #[cold]
    #[inline(never)]
    fn log_end_slow(&self, fiber: &Header) {
        if let Some(name) = fiber.peek_identity().and_then(|identity| identity.name.as_deref()) {
            self.log_text(Entry::Name, &[name]);
        }
        let moved = moved();
        if self.log.moved_at_end.replace(moved) != moved {
            self.log.note(Entry::Moved, 0, moved);
        }
        let form = if fiber.has(Flags::ROAMING) { Form::RoamingEnd } else { Form::End };
        self.log.write(end_of(fiber, form));
    }

    /// Notes that the worker has left the fiber, which goes on on its thread.
    #[cfg(feature = "own-tls")]
    pub(super) fn log_left(&self, fiber: &Header) {
        if self.log.ring.is_there() {
            self.log.write([word_of(fiber, Form::Left), self.log_time()]);
        }
    }

    /// Notes that this worker, in its hub, has taken so many fibers from another one.
    pub(super) fn log_steal(&self, victim: usize, fibers: usize) {
        if self.log.ring.is_there() {
            self.log.note(Entry::Steal, victim as u64 | (fibers as u64) << 16, self.log_time());
        }
    }

    /// Notes a text of the calling fiber, in parts. What is beyond [`TEXT`] bytes is left out.
    pub(super) fn log_text(&self, entry: Entry, parts: &[&str]) {
        if !self.log.ring.is_there() {
            return;
        }
        let (mut word, mut count) = ([0; 8], 0);
        for byte in parts.iter().flat_map(|part| part.bytes()).take(TEXT) {
            word[count] = byte;
            count += 1;
            if count == word.len() {
                self.log.note(Entry::Text, count as u64, u64::from_le_bytes(word));
                count = 0;
            }
        }
        if count > 0 {
            self.log.note(Entry::Text, count as u64, u64::from_le_bytes(word));
        }
        self.log.note(entry, 0, self.log_time());
    }

    /// Notes the time, which is this on `os::clock`, in the hub.
    #[cold]
    #[inline(never)]
    pub(super) fn log_clock(&self, now: u64) {
        if self.log.ring.is_there() {
            self.note_clock(now, self.log_time_at(now));
        }
    }

    /// Notes that the worker, which has a log, has slept, when it is this time on `os::clock`.
    #[inline]
    pub(super) fn log_sleep(&self, now: u64) {
        let time = self.log_time_at(now);
        // Only a gap can have been a long sleep.
        if time.wrapping_sub(self.log.noted.get()) >= LONG_SLEEP {
            self.log_long_sleep(time);
        }
        self.note_clock(now, time);
    }

    /// Notes when the sleep began that ends now, if it was long.
    #[cold]
    #[inline(never)]
    fn log_long_sleep(&self, time: u64) {
        let slept_ns = self.shared().now_ns().saturating_sub(self.log.slept_ns());
        let slept = self.log_ticks().map_or(0, |ticks| ticks.count_of(slept_ns, ticks.scale()));
        if slept >= LONG_SLEEP / 2 {
            self.log.note(Entry::Sleep, 0, time.saturating_sub(slept));
        }
    }

    #[inline]
    fn note_clock(&self, now: u64, time: u64) {
        self.log.note(Entry::Clock, 0, time);
        self.log.noted.set(time);
        self.log.clock_due.set(now + STEP);
    }

    /// The time on the recorder's clock, when it is this on `os::clock`.
    #[inline]
    fn log_time_at(&self, now: u64) -> u64 {
        if self.log.is_same_clock.get() { now } else { self.log_time() }
    }

    fn log_ticks(&self) -> Option<Ticks> {
        self.shared().recorder.get().map(|recorder| recorder.ticks)
    }

    /// This moment, on the recorder's clock.
    fn log_time(&self) -> u64 {
        self.log_ticks().map_or_else(clock::ticks, |ticks| ticks.now())
    }
}
