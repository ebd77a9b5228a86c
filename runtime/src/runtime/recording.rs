//! The flight recorder of a runtime: its setting, and its recordings.

use super::{Builder, Runtime};
use crate::observe::flight::{Recorder, Recording};
use crate::scheduler::{self, Shared};

/// Gives the runtime the recorder that is set, or that the environment asks for. Before its threads start. Returns whether a signal makes
/// a recording.
pub(super) fn start(shared: &Shared, set: Option<&Recorder>) -> bool {
    let directory = || std::env::var_os("ABACA_RECORDER").filter(|directory| !directory.is_empty());
    let of_environment = || Some(Recorder::of_everything(directory()?.into()));
    let Some(recorder) = set.cloned().or_else(of_environment) else { return false };
    scheduler::set_recorder(shared, recorder.events, recorder.stacks, recorder.on_trigger());
    recorder.wants_signal()
}

impl Builder {
    /// Gives the runtime a flight recorder: its workers keep what they did last, for [`Runtime::recording`]; see
    /// [`observe::flight`](crate::observe::flight). Default: the environment variable `ABACA_RECORDER`, else none. The variable is a
    /// directory, into which recordings are written when a fiber keeps its worker, panics or misses a deadline, and at each SIGQUIT.
    ///
    /// Its fibers take a slower path at each switch and wake-up. A runtime without a recorder pays nothing for it.
    ///
    /// ```
    /// use abaca::observe::flight::Recorder;
    ///
    /// let runtime = abaca::Runtime::builder().flight_recorder(Recorder::new()).build().unwrap();
    /// runtime.run(|| abaca::spawn(|| ()).join().unwrap());
    /// assert_eq!(runtime.recording().unwrap().fibers().len(), 2);
    /// ```
    pub fn flight_recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }
}

impl Runtime {
    /// What the runtime's workers did last. They go on meanwhile. `None` if the runtime has no
    /// [flight recorder](Builder::flight_recorder).
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// assert!(runtime.recording().is_none());
    /// ```
    pub fn recording(&self) -> Option<Recording> {
        Recording::of(&self.shared)
    }
}
