//! The log of turns: the flight recorder as it is by default. One record at the end of each turn, seven instructions, and none of time.
//!
//! A record is two words. The lowest bits of the first are its form. In the record of a turn's end the rest of that word is the
//! address of the fiber's cell, a name that is not followed, and the other word is why the turn ended; or where the fiber was spawned, if
//! it has ended. All other records ([`Entry`]) have a moment in the second word.
//!
//! The order of the records is that of what happened. The time is noted where a clock is read anyway, after a sleep and at the end of
//! a tick, and there once in a [`STEP`]; and beside what happens seldom. What lies between follows when somebody reads the log
//! (`observe/flight/coarse.rs`).
//!
//! A fiber's end is recorded before its cell is free. So from one end of an address to the next one, in one worker's log, it is one
//! fiber's; roaming fibers have forms of their own.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::shared::Shared;
use super::worker::Worker;
use crate::cell::{Flags, Header, Reason};
use crate::os::{clock, ticks::Ticks};
use crate::queue::TurnRing;

/// The time is noted once in so many ticks of `os::clock`: some two milliseconds, elsewhere four. Twice as often, it would be seen among an
/// echo's instructions under valgrind, which takes a quarter of a millisecond for one on a busy machine.
pub(crate) const STEP: u64 = 1 << 22;

/// A sleep that may have been as long as this has a record of its begin.
const LONG_SLEEP: u64 = 2 * STEP;

/// The most bytes of a text, eight of which are a record.
const TEXT: usize = 64;

/// The bits of the first word that are the form. Cells are aligned to more.
const FORM: u64 = 7;

const _: () = assert!(align_of::<Header>() as u64 > FORM, "an address has room for the form");

/// The form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Form {
    Turn,
    End,
    RoamingTurn,
    RoamingEnd,
    Left,
    Entry,
}

/// What a record is about that is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Entry {
    /// The hub is at work.
    Clock,
    /// The worker begins to sleep.
    Sleep,
    /// The worker, in its hub, has taken so many fibers from the one with this index: the number has it in its lowest 16 bits.
    Steal,
    /// A lap of the ring begins.
    Lap,
    /// So many bytes of the next text; the second word has them.
    Text,
    /// The text is the name of the fiber, which ends.
    Name,
    /// The text is a mark, the begin of a span, or a label; and the end of a span.
    Mark,
    Begin,
    Label,
    Finish,
}

impl Entry {
    const ALL: [Self; 10] = [
        Self::Clock,
        Self::Sleep,
        Self::Steal,
        Self::Lap,
        Self::Text,
        Self::Name,
        Self::Mark,
        Self::Begin,
        Self::Label,
        Self::Finish,
    ];
}

/// A record, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    Turn {
        fiber: u64,
        roams: bool,
        reason: Reason,
    },
    /// The fiber ends that was spawned at the `Location` with this address.
    End {
        fiber: u64,
        roams: bool,
        site: u64,
    },
    /// The worker has left the fiber.
    Left {
        fiber: u64,
        at: u64,
    },
    /// The number is what the entry says; the second word is a moment, or a part of a text.
    Entry {
        entry: Entry,
        number: u64,
        word: u64,
    },
}

impl Logged {
    /// `None` if the words are no record.
    pub(crate) fn of([first, second]: [u64; 2]) -> Option<Self> {
        const TURN: u64 = Form::Turn as u64;
        const END: u64 = Form::End as u64;
        const ROAMING_TURN: u64 = Form::RoamingTurn as u64;
        const ROAMING_END: u64 = Form::RoamingEnd as u64;
        const LEFT: u64 = Form::Left as u64;
        const ENTRY: u64 = Form::Entry as u64;
        let (fiber, reason) = (first & !FORM, || Reason::from_number(second as u8));
        Some(match first & FORM {
            TURN => Self::Turn { fiber, roams: false, reason: reason() },
            ROAMING_TURN => Self::Turn { fiber, roams: true, reason: reason() },
            END => Self::End { fiber, roams: false, site: second },
            ROAMING_END => Self::End { fiber, roams: true, site: second },
            LEFT => Self::Left { fiber, at: second },
            ENTRY => {
                let entry = *Entry::ALL.get(usize::from(first as u8 >> FORM.count_ones()))?;
                Self::Entry { entry, number: first >> 8, word: second }
            }
            _ => return None,
        })
    }
}

/// A worker's log. Other threads may copy the ring, and read since when the worker sleeps.
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
        }
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

    /// Writes a record.
    #[inline]
    fn write(&self, record: [u64; 2]) {
        if !self.ring.push(record) && self.ring.begin_lap() {
            let is_written = self.ring.push(record);
            debug_assert!(is_written, "a lap has room");
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

/// Gives each worker of the runtime a log of so many records. Before its threads start.
pub(super) fn provide(shared: &Shared, records: usize, ticks: &Ticks) {
    for worker in &shared.workers {
        worker.log.ring.provide(records);
        worker.log.is_same_clock.set(cfg!(target_arch = "x86_64") && ticks.has_counter());
        worker.log.clock_due.set(0);
    }
}

impl Worker {
    /// Notes that the fiber, which has the flag [`LOGGED`](Flags::LOGGED) or [`RECORDED`](Flags::RECORDED), stops running: with
    /// the full recorder in its ring.
    #[inline(always)]
    pub(super) fn log_turn(&self, fiber: &Header) {
        let (reason, _) = fiber.wait();
        if !self.log.ring.push([ptr::from_ref(fiber).addr() as u64, reason as u64]) {
            self.log_turn_rarely(fiber);
        }
    }

    #[cold]
    #[inline(never)]
    fn log_turn_rarely(&self, fiber: &Header) {
        if self.log.ring.begin_lap() {
            // So each copy of a whole lap has a moment.
            self.log.note(Entry::Lap, 0, self.log_time());
            self.log.write([word_of(fiber, Form::Turn), fiber.wait().0 as u64]);
        } else {
            self.record_park(fiber);
        }
    }

    /// [`log_turn`](Self::log_turn) of a fiber that may roam, and may have no log.
    pub(super) fn log_turn_slow(&self, fiber: &Header) {
        if fiber.has(Flags::LOGGED) {
            let form = if fiber.has(Flags::ROAMING) { Form::RoamingTurn } else { Form::Turn };
            self.log.write([word_of(fiber, form), fiber.wait().0 as u64]);
        }
    }

    /// Notes that the fiber, which has the flag [`LOGGED`](Flags::LOGGED), has ended. Before its cell may be freed.
    #[inline(always)]
    pub(super) fn log_end(&self, fiber: &Header) {
        if fiber.has(Flags::ROAMING) || fiber.peek_identity().is_some() {
            return self.log_end_slow(fiber);
        }
        if !self.log.ring.push(end_of(fiber, Form::End)) {
            self.log_end_slow(fiber);
        }
    }

    #[cold]
    #[inline(never)]
    fn log_end_slow(&self, fiber: &Header) {
        if let Some(name) = fiber.peek_identity().and_then(|identity| identity.name.as_deref()) {
            self.log_text(Entry::Name, &[name]);
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
        if slept >= STEP {
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
