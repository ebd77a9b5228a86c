//! The settings of the flight recorder.

use std::ffi::OsStr;
use std::path::PathBuf;

/// What a recorder keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Off,
    Coarse,
    Full,
}

/// The settings of a runtime's flight recorder; see [`runtime::Builder::flight_recorder`](crate::runtime::Builder::flight_recorder).
///
/// ```
/// use abaca::observe::flight::Recorder;
///
/// let directory = std::env::temp_dir();
/// let recorder = Recorder::new().events(1 << 14).directory(directory).on_stall(true).on_panic(true);
/// let runtime = abaca::Runtime::builder().flight_recorder(recorder).build().unwrap();
/// assert!(runtime.recording().is_some());
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a runtime is built with them"]
pub struct Recorder {
    pub(crate) level: Level,
    pub(crate) events: usize,
    pub(crate) stacks: u32,
    pub(super) directory: Option<PathBuf>,
    pub(super) on_stall: bool,
    pub(super) on_panic: bool,
    pub(super) on_deadline: bool,
    pub(super) on_signal: bool,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            level: Level::Full,
            events: 1 << 15,
            stacks: 128,
            directory: None,
            on_stall: false,
            on_panic: false,
            on_deadline: false,
            on_signal: false,
        }
    }
}

impl Recorder {
    /// The most events that may be kept of each worker.
    pub(crate) const MAX_EVENTS: usize = 1 << 32;

    /// A full recorder, which keeps 32,768 events a worker and the stack of one turn in 128, and writes no file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The recorder of a runtime that is told nothing: it keeps the last 8,192 turns and wake-ups of each worker, at the price of twelve
    /// instructions each, 128 KiB a worker, and up to as much for stacks; see [what it knows](super#what-is-on-by-default). It writes no
    /// file, unless it gets a [`directory`](Self::directory).
    ///
    /// ```
    /// use abaca::observe::flight::Recorder;
    ///
    /// let recorder = Recorder::coarse().directory(std::env::temp_dir()).on_panic(true);
    /// let runtime = abaca::Runtime::builder().flight_recorder(recorder).build().unwrap();
    /// assert!(runtime.recording().unwrap().is_coarse());
    /// ```
    pub fn coarse() -> Self {
        Self { level: Level::Coarse, events: 1 << 13, stacks: 1024, ..Self::default() }
    }

    /// No recorder. The other settings do nothing then.
    ///
    /// ```
    /// use abaca::observe::flight::Recorder;
    ///
    /// let runtime = abaca::Runtime::builder().flight_recorder(Recorder::off()).build().unwrap();
    /// assert!(runtime.recording().is_none());
    /// ```
    pub fn off() -> Self {
        Self { level: Level::Off, ..Self::default() }
    }

    /// Sets how many events are kept of each worker, up to 2^32; rounded up to a power of two. An event takes 32 bytes. A turn is
    /// one event, and so are a spawn, a start, and a wake-up by another fiber. Default: 32,768, which are 1 MiB a worker.
    ///
    /// An event of a [coarse](Self::coarse) recorder takes 16 bytes, of which nothing is rounded. A turn is one, and so are a spawn, a
    /// wake-up by anybody but the kernel, and each eight bytes of a text. Default: 8,192, which are 128 KiB a worker.
    pub fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Sets that the stack of one turn in `one_in` is kept, as it was when the turn ended: at a park that is where the fiber waits.
    /// 1 is each turn, and 0 none. Which ones it are is left to chance, so that those are seen most that are the most frequent. Default:
    /// 128, and 1,024 of a [coarse](Self::coarse) recorder, which counts wake-ups as well.
    ///
    /// Nothing is walked until somebody asks for the recording: up to 4 KiB are copied, innermost frames first, of the last 128 stacks
    /// of each worker, which take 512 KiB (four times as much in a debug build, whose frames are larger). A coarse recorder keeps the last
    /// 32, unless it is asked for more than one in 128. To copy one takes some hundred nanoseconds in a release build. Stacks of coroutines, and of programs
    /// that are built without the feature `backtrace` or for AddressSanitizer, are left out. See [`Turn::stack`](super::Turn::stack).
    pub fn stacks(mut self, one_in: u32) -> Self {
        self.stacks = one_in;
        self
    }

    /// Sets the directory for recordings that are made without being asked for: when a fiber keeps its worker
    /// ([`on_stall`](Self::on_stall)), panics ([`on_panic`](Self::on_panic)), or misses a deadline
    /// ([`on_deadline`](Self::on_deadline)), and at a signal ([`on_signal`](Self::on_signal)). Default: none, and no such recordings.
    ///
    /// The files are `abaca-PID-NUMBER-WHY.pftrace` and `.html`. At most eight are made of each kind, and none within ten seconds after
    /// the one before; at a signal there is one each time. A thread of its own writes them, for which a panic waits, since it may end the process. A file that cannot be written
    /// is reported on the standard error stream.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets whether a recording is made when a fiber keeps its worker while others wait; see
    /// [`stall_threshold`](crate::runtime::Builder::stall_threshold). Default: no.
    pub fn on_stall(mut self, is_on: bool) -> Self {
        self.on_stall = is_on;
        self
    }

    /// Sets whether a recording is made when a fiber panics. Default: no.
    pub fn on_panic(mut self, is_on: bool) -> Self {
        self.on_panic = is_on;
        self
    }

    /// Sets whether a recording is made when a [`timeout`](fn@crate::time::timeout) has ended its code. Default: no.
    pub fn on_deadline(mut self, is_on: bool) -> Self {
        self.on_deadline = is_on;
        self
    }

    /// Sets whether a recording is made at each SIGQUIT, upon which the program goes on. Default: no, so that the signal ends the process,
    /// unless [`dump_on_sigquit`](crate::runtime::Builder::dump_on_sigquit) is set: then there may be both. The price is a thread that
    /// sleeps. It does nothing without a [`directory`](Self::directory).
    pub fn on_signal(mut self, is_on: bool) -> Self {
        self.on_signal = is_on;
        self
    }

    /// Whether the recorder waits for a signal.
    pub(crate) fn wants_signal(&self) -> bool {
        self.on_signal && self.directory.is_some()
    }

    /// The recorder that the environment asks for: none, or one that makes recordings in this directory at every occasion.
    pub(crate) fn of_environment(value: &OsStr) -> Self {
        if value == "off" {
            return Self::off();
        }
        Self::new().directory(value).on_stall(true).on_panic(true).on_deadline(true).on_signal(true)
    }
}
