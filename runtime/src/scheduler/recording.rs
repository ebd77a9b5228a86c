//! The flight recorder's events: what a worker writes into its ring, and where.
//!
//! A runtime without a recorder pays nothing for it in a switch: its fibers do not have the flag `Flags::RECORDED`, which is tested
//! together with flags that are tested anyway. A fiber gets it when it starts.
//!
//! An event is two words: the time, and from the lowest byte up a [`Kind`], a small number, and 48 bits for an address or a
//! number. Who runs is not written at each switch: the fiber whose [`Kind::Park`] ends a turn has had it since the one before, or since
//! the hub began it with [`Kind::Run`]. `observe/recording/` reads the events.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::current_worker;
use super::shared::Shared;
use super::worker::Worker;
use crate::cell::Header;
use crate::os::probe;
use crate::os::ticks::Ticks;
use crate::queue::{Event, EventRing};

/// The kind of an event, and what its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The running fiber has spawned this one.
    Spawn = 1,
    /// This fiber starts.
    Start,
    /// The spawn site of the fiber that has just been named: the address of a `Location`.
    Site,
    /// The name of the fiber that has just been named, as a number of [`Names`].
    Name,
    /// This fiber has ended.
    End,
    /// This fiber stops running; the small number is its reason, none if it yields.
    Park,
    /// The hub continues or starts this fiber.
    Run,
    /// This fiber of the worker is woken; the small number is a [`Cause`].
    Wake,
    /// A fiber of another worker is woken.
    Send,
    /// The poller had so many events.
    Poll,
    /// So many fibers are taken from the worker with the small number.
    Steal,
    /// So many bytes were read, or written.
    Read,
    Write,
    /// The worker falls asleep, or is awake again.
    Sleep,
    Awake,
    /// A mark of the running fiber, by its number in [`Names`]: a moment, and the begin and the end of a span.
    Mark,
    Begin,
    Finish,
    /// Labels of the running fiber, by their number in [`Names`].
    Label,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::Spawn,
        Self::Start,
        Self::Site,
        Self::Name,
        Self::End,
        Self::Park,
        Self::Run,
        Self::Wake,
        Self::Send,
        Self::Poll,
        Self::Steal,
        Self::Read,
        Self::Write,
        Self::Sleep,
        Self::Awake,
        Self::Mark,
        Self::Begin,
        Self::Finish,
        Self::Label,
    ];
}

/// Who woke a fiber, as far as its worker knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    /// The fiber that runs.
    #[default]
    Fiber,
    Timer,
    Poller,
    /// Another thread.
    Elsewhere,
    /// The fiber that has just ended on this worker.
    Ended,
}

impl Cause {
    pub(crate) fn from_number(number: u8) -> Self {
        let all = [Self::Fiber, Self::Timer, Self::Poller, Self::Elsewhere, Self::Ended];
        all.get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// The payload of an event takes the bits from this one up.
const PAYLOAD: u32 = 16;

/// An event, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) ticks: u64,
    pub(crate) kind: Kind,
    pub(crate) small: u8,
    pub(crate) payload: u64,
}

impl Decoded {
    /// `None` if the words are no event.
    pub(crate) fn of([ticks, word]: Event) -> Option<Self> {
        let kind = *Kind::ALL.get(usize::from(word as u8).checked_sub(1)?)?;
        Some(Self { ticks, kind, small: (word >> 8) as u8, payload: word >> PAYLOAD })
    }
}

/// Whether any runtime of the process has a recorder: where no fiber and no worker is at hand, this is asked first.
static IS_ANYWHERE: AtomicBool = AtomicBool::new(false);

/// What a snapshot is made for, other than a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Stall,
    Panic,
    Deadline,
}

/// What is done when something has happened.
pub(crate) type OnTrigger = Arc<dyn Fn(&Shared, Trigger) + Send + Sync>;

/// The recorder of a runtime.
pub(crate) struct Recorder {
    pub(crate) ticks: Ticks,
    pub(crate) names: Names,
    on_trigger: Option<OnTrigger>,
}

/// A worker's part of the recorder.
pub(crate) struct WorkerRecorder {
    ticks: Ticks,
    pub(crate) ring: EventRing,
    /// Who wakes the fibers that are woken now.
    cause: Cell<Cause>,
}

impl WorkerRecorder {
    #[inline(always)]
    fn record(&self, kind: Kind, small: u8, payload: u64) {
        probe::event(kind as u64, small.into(), payload);
        self.ring.push([self.ticks.now(), payload << PAYLOAD | u64::from(small) << 8 | kind as u64]);
    }
}

/// The texts that events name by a number. There are few different ones in most programs; beyond [`MOST`] they have none.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<Box<str>, u32>>);

/// The most texts that are kept.
const MOST: usize = 8192;

impl Names {
    /// The number of this text, from 1; 0 if there are too many.
    fn number(&self, text: &str) -> u64 {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = names.get(text) {
            return u64::from(*number);
        }
        if names.len() == MOST {
            return 0;
        }
        let number = names.len() as u32 + 1;
        names.insert(text.into(), number);
        number.into()
    }

    /// All texts, by their numbers; that of number 0 is empty.
    pub(crate) fn all(&self) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = vec![String::new(); names.len() + 1];
        for (name, number) in &*names {
            all[*number as usize] = name.to_string();
        }
        all
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Gives the runtime a recorder that keeps the last `events` of each worker. Before its threads start.
pub(crate) fn set_recorder(shared: &Shared, events: usize, on_trigger: Option<OnTrigger>) {
    let ticks = Ticks::new();
    let is_first = shared.recorder.set(Recorder { ticks, names: Names::default(), on_trigger }).is_ok();
    debug_assert!(is_first, "a runtime is built once");
    for worker in &shared.workers {
        let recorder = WorkerRecorder { ticks, ring: EventRing::new(events), cause: Cell::default() };
        worker.set_recorder(Box::new(recorder));
    }
    shared.record_fibers();
    IS_ANYWHERE.store(true, Ordering::Relaxed);
}

/// Calls `record` with the calling thread's worker and the texts of its runtime, if it has a recorder.
#[cold]
#[inline(never)]
fn with_recorder(record: impl FnOnce(&WorkerRecorder, &Names)) {
    if let Some(worker) = super::here::present()
        && let (Some(mine), Some(whole)) = (worker.recorder(), worker.shared().recorder.get())
    {
        record(mine, &whole.names);
    }
}

#[inline(always)]
fn is_anywhere() -> bool {
    // Relaxed: set before the first fiber that is recorded starts.
    IS_ANYWHERE.load(Ordering::Relaxed)
}

/// Notes that the calling fiber has read so many bytes, or written them.
#[inline(always)]
pub(crate) fn record_bytes(is_read: bool, bytes: usize) {
    if is_anywhere() {
        record_bytes_here(if is_read { Kind::Read } else { Kind::Write }, bytes);
    }
}

#[inline(never)]
fn record_bytes_here(kind: Kind, bytes: usize) {
    if let Some(worker) = super::here::present() {
        worker.record(kind, 0, bytes as u64);
    }
}

/// Notes a text of the calling fiber.
#[inline]
pub(crate) fn record_text(kind: Kind, text: &str) {
    if is_anywhere() {
        with_recorder(|recorder, names| recorder.record(kind, 0, names.number(text)));
    }
}

/// Notes a label of the calling fiber.
pub(crate) fn record_label(name: &str, value: &str) {
    if is_anywhere() {
        record_text(Kind::Label, &format!("{name}={value}"));
    }
}

/// Does what the calling fiber's runtime does if something of this kind has happened.
pub(crate) fn trigger(trigger: Trigger) {
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

impl Worker {
    #[inline(always)]
    pub(super) fn record(&self, kind: Kind, small: u8, payload: u64) {
        if let Some(recorder) = self.recorder() {
            recorder.record(kind, small, payload);
        }
    }

    /// Notes an event of a fiber.
    #[inline(always)]
    pub(super) fn record_fiber(&self, kind: Kind, fiber: &Header) {
        self.record(kind, 0, ptr::from_ref(fiber).addr() as u64);
    }

    /// Notes that the fiber stops running.
    #[inline(never)]
    pub(super) fn record_park(&self, fiber: &Header) {
        let (reason, _) = fiber.wait();
        self.record(Kind::Park, reason as u8, ptr::from_ref(fiber).addr() as u64);
    }

    /// Notes that the fiber has been woken.
    #[inline(always)]
    pub(super) fn record_wake(&self, fiber: &Header) {
        if let Some(recorder) = self.recorder() {
            let cause = match recorder.cause.get() {
                // A fiber's last step wakes whoever joins it.
                Cause::Fiber if self.current().is_none() => Cause::Ended,
                cause => cause,
            };
            recorder.record(Kind::Wake, cause as u8, ptr::from_ref(fiber).addr() as u64);
        }
    }

    /// Notes that the fiber starts, with what is known of it.
    #[cold]
    pub(super) fn record_start(&self, fiber: &Header) {
        self.record_fiber(Kind::Start, fiber);
        self.record(
            Kind::Site,
            0,
            ptr::from_ref::<Location<'_>>(fiber.spawn_site()).expose_provenance() as u64,
        );
        if let Some(name) = fiber.peek_identity().and_then(|identity| identity.name.as_deref())
            && let Some(recorder) = self.shared().recorder.get()
        {
            self.record(Kind::Name, 0, recorder.names.number(name));
        }
    }

    /// Calls `wake`, which wakes fibers for this cause.
    #[inline(always)]
    pub(super) fn wake_for<R>(&self, cause: Cause, wake: impl FnOnce() -> R) -> R {
        let Some(recorder) = self.recorder() else { return wake() };
        recorder.cause.set(cause);
        let result = wake();
        recorder.cause.set(Cause::Fiber);
        result
    }
}
