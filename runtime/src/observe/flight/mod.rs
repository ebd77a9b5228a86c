//! The flight recorder: what every worker has done of late, kept in memory at all times, to be looked at when something has gone
//! wrong.
//!
//! Every runtime has one, unless it is [off](Recorder::off). [`recording`] copies what it has while all go on. A [`Recording`] can be
//! asked, and written in two forms: for [Perfetto](https://ui.perfetto.dev) and as a page that needs nothing but a browser.
//!
//! ```
//! use abaca::observe::flight::Outcome;
//!
//! let recording = abaca::run(|| {
//!     let (sender, receiver) = abaca::channel::bounded(1);
//!     let reader = abaca::Builder::new().name("reader".into()).spawn(move || receiver.recv()).unwrap();
//!     sender.send(5).unwrap();
//!     reader.join().unwrap().unwrap();
//!     abaca::observe::flight::recording().unwrap()
//! });
//! let reader = recording.fibers().iter().position(|fiber| fiber.name.as_deref() == Some("reader")).unwrap();
//! let turns = recording.turns().iter().filter(|turn| turn.fiber == reader);
//! let ends: Vec<_> = turns.map(|turn| turn.outcome).collect();
//! assert_eq!(ends.last(), Some(&Outcome::Ended));
//! ```
//!
//! # What is on by default
//!
//! By default the recorder is [coarse](Recorder::coarse): each worker keeps a log of its last turns and wake-ups. All of what follows is kept
//! at all times, not now and then, but for stacks.
//!
//! | | coarse | [full](Recorder::new) |
//! |---|---|---|
//! | turns | which fiber, on which worker, what ended it, in the order in which they were | the same |
//! | their times | estimates: the turns between two moments that are known count as equally long. A worker notes the time once in some three milliseconds, in its hub, where it comes within 61 turns, both ends of a sleep that takes as long, and the end of each turn of which the stack is kept; a turn that the monitor has seen standing still (after some 20 ms; of one worker alone half the `stall_threshold`) is as long as it was seen | exact |
//! | wake-ups | all, with who woke whom: a fiber, a timer, the kernel, a thread. The times of those between workers are exact, of the others estimates: somewhere in the waker's turn, or between two turns | all, exact |
//! | bytes read and written | of each turn, up to 64 MiB | the same |
//! | looks at the poller that brought something | with how many fibers they woke; times are estimates | exact |
//! | fibers | names, spawn sites, ends; starts, and who spawned whom, if the log has the spawn and nobody has stolen the fiber | all of that, starts, and who spawned whom |
//! | stacks | of each fiber that waits when the recording is made (of 4,096 a worker at the most), and of one turn in [1,024](Recorder::stacks) | of one turn in 128 |
//! | marks, spans, labels | with exact times, the first 64 bytes of each text | with exact times |
//! | steals, long sleeps, hand-offs | with exact times | with exact times |
//! | short sleeps | | yes |
//!
//! So a coarse recording tells what the fibers did, in which order, and why. It does not tell which one of some turns within three milliseconds
//! was the long one. Between workers the order is as good as the times. A roaming fiber has neither a start nor, while it lives, a name, and its
//! wake-ups by the kernel are not known. Where fibers have storage of their own, looks at the poller may be shown as one that
//! come one after the other with no other turn in between, and the bytes of roaming fibers are left out.
//!
//! [`runtime::Builder::flight_recorder`](crate::runtime::Builder::flight_recorder) asks for the full one, or the environment variable
//! `ABACA_RECORDER`. Each worker then writes its events into a ring of its own: spawns, starts, waits with their reasons, wake-ups
//! with their causes, ends, events of the kernel, steals, bytes, and of some of the waits the stack.
//!
//! # What it costs
//!
//! A turn takes twelve instructions, a wake-up by anybody but the kernel as many, and a read, a write, or a look at the poller two or three. With the
//! full recorder it is some thirty an event, one of which falls on each turn of a fiber; see the guide on [costs](crate::guide::costs).

#![expect(unsafe_code, reason = "follows the addresses of spawn sites")]

mod coarse;
mod decode;
mod log;
mod model;
mod page;
mod perfetto;
mod present;
mod protobuf;
mod recorder;
mod stacks;
mod sums;
mod times;
mod trigger;

use std::io::{self, Write};
use std::panic::Location;
use std::path::Path;
use std::ptr;
use std::time::Duration;

pub use model::{Activity, Fiber, Note, Outcome, Transfer, Turn, Waker, Wakeup, WorkerEvent};
pub(crate) use recorder::Level;
pub use recorder::Recorder;
pub use stacks::Stack;
pub(crate) use trigger::record_panic;

use crate::os::whole_file;
use crate::scheduler::{self, Decoded, Entry, Shared, WorkerRecorder};
use decode::{Known, Track};
use stacks::Sampled;

/// What a runtime's workers did in the time before it was made.
///
/// Each worker keeps its own last events, so the recording of a worker that does much begins later than that of one that does little.
/// All times are since the runtime was built.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    workers: usize,
    fibers: Vec<Fiber>,
    turns: Vec<Turn>,
    wakeups: Vec<Wakeup>,
    transfers: Vec<Transfer>,
    notes: Vec<Note>,
    events: Vec<WorkerEvent>,
    stacks: Vec<Stack>,
    end: Duration,
    is_coarse: bool,
}

impl Recording {
    pub(crate) fn of(shared: &Shared) -> Option<Self> {
        let recorder = shared.recorder.get()?;
        let is_full = shared.workers.iter().all(|worker| worker.recorder().is_some());
        Some(if is_full { Self::of_events(shared, recorder) } else { Self::of_logs(shared, recorder) })
    }

    fn of_events(shared: &Shared, recorder: &scheduler::Recorder) -> Self {
        let first = recorder.ticks.first();
        let decoded = |event| Decoded::of(event, first);
        let present = present::look(shared, &recorder.ticks);
        // The workers' events are copied one after the other, while they go on: what was after this is left out, of all of them.
        let until = recorder.ticks.now();
        let tracks: Vec<_> = shared
            .workers
            .iter()
            .map(|worker| {
                let (_, events) =
                    worker.recorder().map(|recorder| recorder.ring.snapshot()).unwrap_or_default();
                let current = worker.current().map_or(0, |fiber| fiber.addr().get() as u64);
                let began = worker.recorder().map_or(0, WorkerRecorder::began);
                Track { events: events.into_iter().filter_map(decoded).collect(), current, began }
            })
            .collect();
        let scale = recorder.ticks.scale();
        let time = |ticks| Duration::from_nanos(recorder.ticks.ns(ticks, scale));
        let sampled = Sampled::of(shared);
        let stack = |worker, ticks| sampled.of_turn(worker, ticks);
        let names = recorder.names.all();
        let known =
            Known { names: &names, site: &site_at, present: &present, is_coarse: false, stack: &stack };
        let mut recording = decode::decode(&tracks, &known, time, until);
        recording.stacks = sampled.stacks;
        recording
    }

    fn of_logs(shared: &Shared, recorder: &scheduler::Recorder) -> Self {
        let mut sampled = Sampled::of(shared);
        let (logs, mut present) = present::copy_logs(shared, recorder, &mut sampled);
        let until = recorder.ticks.now();
        let mut names = vec![String::new()];
        let tracks: Vec<_> =
            logs.iter().map(|log| coarse::events_of(log, &mut names, &mut present)).collect();
        let scale = recorder.ticks.scale();
        let time = |ticks| Duration::from_nanos(recorder.ticks.ns(ticks, scale));
        let stack = |worker, ticks| sampled.of_turn(worker, ticks);
        let known =
            Known { names: &names, site: &site_at, present: &present, is_coarse: true, stack: &stack };
        let recording = decode::decode(&tracks, &known, time, until);
        Self { is_coarse: true, stacks: sampled.stacks, ..recording }
    }

    /// Whether the runtime's recorder is [coarse](Recorder::coarse), as it is by default; see [what is known then](self#what-is-on-by-default).
    pub fn is_coarse(&self) -> bool {
        self.is_coarse
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The fibers that did something during the recording, and those that were there when it was made. The other methods name them by their index here.
    pub fn fibers(&self) -> &[Fiber] {
        &self.fibers
    }

    /// The turns, by the time of their begin.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// The wake-ups, in the order in which the woken fibers' workers learnt of them.
    pub fn wakeups(&self) -> &[Wakeup] {
        &self.wakeups
    }

    /// The bytes that were read and written in each turn, in order of time.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// The marks and spans of the program, by the time of their begin.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What the workers did between turns, in no strict order.
    pub fn worker_events(&self) -> &[WorkerEvent] {
        &self.events
    }

    /// The different stacks on which turns ended, as far as they were kept: [`Turn::stack`] names them by their index here. To walk them
    /// is the most that making a recording takes.
    pub fn stacks(&self) -> &[Stack] {
        &self.stacks
    }

    /// When the recording was made.
    pub fn end(&self) -> Duration {
        self.end
    }

    /// How long fibers waited from their wake-ups until they ran, with the fibers' indices.
    pub fn latencies(&self) -> impl Iterator<Item = (usize, Duration)> {
        self.wakeups.iter().filter_map(|wakeup| {
            let turn = &self.turns[wakeup.turn?];
            Some((wakeup.fiber, turn.begin.saturating_sub(wakeup.at)))
        })
    }

    /// A text for a fiber: its name, or its spawn site, with its index.
    pub(super) fn title(&self, fiber: usize) -> String {
        let Fiber { name, spawn_site, .. } = &self.fibers[fiber];
        match (name, spawn_site) {
            (Some(name), _) => format!("{name} #{fiber}"),
            (None, Some(site)) => format!("{} #{fiber}", site.rsplit('/').next().unwrap_or(site)),
            (None, None) => format!("fiber #{fiber}"),
        }
    }

    /// Writes the recording for [Perfetto](https://ui.perfetto.dev): the workers as tracks, the turns as slices, the wake-ups as
    /// flows.
    ///
    /// # Errors
    ///
    /// * Those of `to`.
    pub fn write_perfetto(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&perfetto::trace(self))
    }

    /// Writes the recording as a page of HTML that needs no network: a timeline, the delays of each spawn site, what took longest, and
    /// who woke whom.
    ///
    /// # Errors
    ///
    /// * Those of `to`.
    pub fn write_html(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(page::page(self).as_bytes())
    }

    /// Writes the recording to a file: as a page if its name ends with `.html`, else for Perfetto. A file that exists is replaced when
    /// the whole recording is written; an error leaves it as it was.
    ///
    /// The calling fiber's worker waits for the disk. [`blocking::run`](fn@crate::blocking::run) avoids that.
    ///
    /// # Errors
    ///
    /// * Those of [`std::fs::write`]: the directory does not exist, no file can be made in it, the disk is full.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let is_page = path.extension().is_some_and(|extension| extension == "html");
        let bytes = if is_page { page::page(self).into_bytes() } else { perfetto::trace(self) };
        whole_file::write(path, &bytes)
    }
}

/// The recording of the calling fiber's runtime. `None` on a plain thread, and if the runtime's recorder is off.
/// [`Runtime::recording`](crate::Runtime::recording) is for those who have the runtime.
pub fn recording() -> Option<Recording> {
    scheduler::current_fiber()?;
    Recording::of(scheduler::current_worker()?.shared())
}

/// Notes in the recording that the calling fiber has come here. Without a recorder this costs two instructions. A
/// [coarse](Recorder::coarse) one reads a clock and keeps the first 64 bytes of the text. With a full one, the text is looked up in a table that keeps the first
/// 8,192 different texts.
///
/// ```
/// # abaca::run(|| {
/// abaca::observe::flight::mark("cache miss");
/// # });
/// ```
#[inline]
pub fn mark(text: &str) {
    scheduler::record_text(Entry::Mark, text);
}

/// Notes in the recording that the calling fiber does this until the result is dropped. Spans of a fiber nest. It costs what two
/// [`mark`]s cost.
///
/// ```
/// # abaca::run(|| {
/// let _query = abaca::observe::flight::span("query");
/// // A query that takes long shows among the slowest spans.
/// # });
/// ```
#[inline]
pub fn span(text: &str) -> Span {
    scheduler::record_text(Entry::Begin, text);
    Span(())
}

/// Ends a [`span`] when it is dropped.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct Span(());

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        scheduler::record_text(Entry::Finish, "");
    }
}

/// The file and line at this address of a `Location`.
fn site_at(address: u64) -> Option<String> {
    let location = ptr::with_exposed_provenance::<Location<'static>>(usize::try_from(address).ok()?);
    // SAFETY: an event of this kind has the address of a `Location`, which lives as long as the process, and a copied event is whole.
    let location = unsafe { location.as_ref() }?;
    Some(format!("{}:{}", location.file(), location.line()))
}
