//! The flight recorder of a runtime: its setting, and its recordings.

use super::{Builder, Runtime};
use crate::observe::flight::{Level, Recorder, Recording};
use crate::scheduler::{self, Shared};

/// Gives the runtime the recorder that is set, or that the environment asks for. Before its threads start. Returns whether a signal makes
/// a recording.
pub(super) fn start(shared: &Shared, set: Option<&Recorder>) -> bool {
    let directory = || std::env::var_os("ABACA_RECORDER").filter(|directory| !directory.is_empty());
    let of_environment = || Some(Recorder::of_environment(&directory()?));
    let recorder = set.cloned().or_else(of_environment).unwrap_or_else(Recorder::coarse);
    match recorder.level {
        Level::Off => return false,
        Level::Coarse => {
            scheduler::set_turn_log(shared, recorder.events, recorder.stacks, recorder.on_trigger());
        }
        Level::Full => {
            scheduler::set_recorder(shared, recorder.events, recorder.stacks, recorder.on_trigger());
        }
    }
    recorder.wants_signal()
}

impl Builder {
    /// Gives the runtime another flight recorder than it has by default: its workers keep what they did last, for
    /// [`Runtime::recording`]; see [`observe::flight`](crate::observe::flight). Default: the environment variable `ABACA_RECORDER`, else
    /// [`Recorder::coarse`]. The variable is a directory, into which recordings of a [full](Recorder::new) recorder are written when
    /// a fiber keeps its worker, panics or misses a deadline, and at each SIGQUIT; or it is `off`, and there is no recorder.
    ///
    /// With a full recorder, fibers take a slower path at each switch and wake-up. [`Recorder::off`] costs nothing.
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
    /// What the runtime's workers did last. They go on meanwhile. `None` if the runtime's
    /// [flight recorder](Builder::flight_recorder) is off.
    ///
    /// ```
    /// let runtime = abaca::Runtime::new().unwrap();
    /// runtime.run(|| abaca::spawn(|| ()).join().unwrap());
    /// assert_eq!(runtime.recording().unwrap().fibers().len(), 2);
    /// ```
    pub fn recording(&self) -> Option<Recording> {
        Recording::of(&self.shared)
    }
}
