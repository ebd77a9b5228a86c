//! What a recording says: fibers, their turns on the workers, and who woke whom.

use std::time::Duration;

/// A fiber of a recording. It may have begun before the recording, and have gone on after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fiber {
    /// Its name, if it has one and started during the recording, or was there when that was made.
    pub name: Option<String>,
    /// The file and line where it was spawned, if it started during the recording, or was there when that was made.
    pub spawn_site: Option<String>,
    /// The fiber that spawned it, as an index of [`Recording::fibers`](super::Recording::fibers), if that is known.
    pub spawned_by: Option<usize>,
    /// When it was spawned.
    pub spawned: Option<Duration>,
    /// When it started.
    pub started: Option<Duration>,
    /// When it ended.
    pub ended: Option<Duration>,
    /// What it waited for when the recording was made, in the words of [`Wait::reason`](crate::observe::Wait::reason), and since when: a few
    /// milliseconds more or less if it has waited since before the events that are kept. `None` as well if that was so long ago and
    /// its worker did something else just then.
    pub waits: Option<(&'static str, Duration)>,
    /// The stack on which it waited then, as an index of [`Recording::stacks`](super::Recording::stacks), if that is known.
    pub stack: Option<usize>,
}

/// A turn: a fiber runs on a worker, from a switch to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// The worker's index.
    pub worker: usize,
    /// The index of the fiber.
    pub fiber: usize,
    /// When it began.
    pub begin: Duration,
    /// When it ended, or the recording did.
    pub end: Duration,
    /// What ended it.
    pub outcome: Outcome,
    /// The stack on which it ended, as an index of [`Recording::stacks`](super::Recording::stacks): equal stacks have the same. Known of
    /// one turn in so many, see [`Recorder::stacks`](super::Recorder::stacks); and of the last turns of fibers that waited when the
    /// recording was made, unless the recorder is full.
    pub stack: Option<usize>,
}

/// What ends a [`Turn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The fiber waits, for this reason.
    Parked(&'static str),
    /// The fiber lets others run.
    Yielded,
    /// The fiber has ended.
    Ended,
    /// The worker has left the fiber, which goes on on its thread meanwhile: the next turn begins when it has come home. With
    /// storage of its own (`Builder::own_tls`) only.
    Left,
    /// The recording has ended before the turn.
    Running,
}

/// A wake-up: a fiber that waited can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wakeup {
    /// When it was.
    pub at: Duration,
    /// The index of the fiber that was woken.
    pub fiber: usize,
    /// Who woke it.
    pub by: Waker,
    /// The turn that it led to, as an index of [`Recording::turns`](super::Recording::turns), if the recording has it.
    pub turn: Option<usize>,
}

/// Who wakes a fiber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waker {
    /// The fiber with this index.
    Fiber(usize),
    /// The time.
    Timer,
    /// The kernel: a descriptor is ready.
    Poller,
    /// A thread that runs no fiber.
    Thread,
}

/// Bytes that a fiber has read or written in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// When the turn ended.
    pub at: Duration,
    /// The index of the fiber.
    pub fiber: usize,
    /// Whether the bytes were read; else they were written.
    pub is_read: bool,
    /// How many bytes; of more than 64 MiB the rest.
    pub bytes: u64,
}

/// A text that a fiber has left: a moment ([`mark`](super::mark)), a label ([`set_label`](crate::observe::set_label)), as `name=value`, or a
/// [`span`](super::span) of time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The index of the fiber.
    pub fiber: usize,
    /// The text.
    pub text: String,
    /// When it was, or began.
    pub begin: Duration,
    /// When the span ended, or the recording did; as [`begin`](Self::begin) for a moment.
    pub end: Duration,
}

/// What a worker does between the turns of its fibers, or what happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It slept until this time, some 200 us or more; shorter sleeps are not kept.
    Slept(Duration),
    /// The kernel had events for so many fibers that waited.
    Polled(u64),
    /// It took so many fibers from the worker with the other number.
    Stole(u64, usize),
}

/// A worker's [`Activity`], and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerEvent {
    /// The worker's index.
    pub worker: usize,
    /// When it was, or began.
    pub at: Duration,
    /// What it was.
    pub activity: Activity,
}
