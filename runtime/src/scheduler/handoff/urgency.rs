//! How soon the threads that a hand-off waits for get a processor: the monitor, and the spare that the worker is given to.
//!
//! Where many threads compute, one that wakes up waits behind them for its turn, and each hand-off for two such turns. So these
//! threads have the shortest time slice that the kernel knows while they wait: one that wakes up then runs before those whose slices are longer. It is the
//! usual one again before the thread runs anybody else's code, which so competes as on any thread, and whose threads and
//! processes inherit nothing else.

use std::sync::OnceLock;
use std::time::Duration;

use super::Spares;
use crate::os::{thread, time_slice};
use crate::scheduler::shared::Shared;

/// The shortest that the kernel allows.
const SHORTEST: Duration = Duration::from_micros(100);

/// See the module's documentation. One a runtime.
#[derive(Debug, Default)]
pub(super) struct Urgency {
    /// The slice that the process's threads have; `None` if the kernel tells of none.
    usual: OnceLock<Option<Duration>>,
}

impl Urgency {
    /// Makes the calling thread, the monitor with this id, one that is urgent, and those that it starts.
    pub(super) fn begin(&self, thread_id: i32) {
        let usual = *self.usual.get_or_init(|| time_slice::of(thread_id));
        if usual.is_some() {
            time_slice::set(thread_id, SHORTEST);
        }
    }

    fn usual(&self) -> Option<Duration> {
        self.usual.get().copied().flatten()
    }

    /// The slice of the calling thread, which has this id. A spare has inherited the monitor's.
    pub(super) fn of_thread(&self, thread_id: i32) -> Slice<'_> {
        let is_short = self.usual().is_some() && time_slice::of(thread_id) == Some(SHORTEST);
        Slice { urgency: self, thread_id, is_short }
    }
}

impl Spares {
    /// Has the monitor, which calls this, and spares that wait get a processor as soon as they wake up.
    pub(in crate::scheduler) fn hasten(&self) {
        self.urgency.begin(thread::id());
    }

    /// Gives the calling thread, which was started by the monitor, the usual slice.
    pub(in crate::scheduler) fn make_usual(&self) {
        self.urgency.of_thread(thread::id()).make_usual();
    }

    /// Whether those that compute want all processors. Then a worker whose thread waits for one waits for them, and a spare would not.
    pub(in crate::scheduler) fn is_crowded(&self) -> bool {
        self.crowd.is_full() && self.urgency.usual().is_some()
    }
}

impl Shared {
    /// Calls `f`, which may run a user's code, on the monitor, whose slice is the usual one meanwhile.
    pub(in crate::scheduler) fn without_urgency<R>(&self, f: impl FnOnce() -> R) -> R {
        let Some(spares) = self.spares.get() else { return f() };
        spares.make_usual();
        let result = f();
        spares.hasten();
        result
    }
}

/// The time slice of a thread that runs workers.
#[derive(Debug)]
pub(super) struct Slice<'a> {
    urgency: &'a Urgency,
    thread_id: i32,
    is_short: bool,
}

impl Slice<'_> {
    /// The thread is about to wait for a worker.
    pub(super) fn shorten(&mut self) {
        self.become_short(true);
    }

    /// The thread is about to run what is not the runtime's.
    pub(super) fn make_usual(&mut self) {
        self.become_short(false);
    }

    fn become_short(&mut self, is_short: bool) {
        if let Some(usual) = self.urgency.usual()
            && self.is_short != is_short
        {
            self.is_short = is_short;
            time_slice::set(self.thread_id, if is_short { SHORTEST } else { usual });
        }
    }
}
