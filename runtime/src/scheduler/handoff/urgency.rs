//! How soon the threads that others wait for get a processor: the monitor, the spare that a worker is given to, and a worker's that sleeps while
//! somebody computes.
//!
//! Where threads compute, one that wakes up may wait behind them for its turn, and each hand-off for two such turns. So these
//! threads have the shortest time slice that the kernel knows while they wait: one that wakes up then runs before those whose slices are longer. It is the
//! usual one again before the thread runs anybody else's code, which so competes as on any thread, and whose threads and
//! processes inherit nothing else.

use std::sync::OnceLock;
use std::time::Duration;

use super::{Carrier, Spares};
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
}

impl Spares {
    /// Has the monitor, which calls this, and spares that wait get a processor as soon as they wake up.
    pub(in crate::scheduler) fn hasten(&self) {
        self.urgency.begin(thread::id());
    }

    /// Gives the calling thread, which is the monitor or was started by it, the usual slice.
    pub(in crate::scheduler) fn make_usual(&self) {
        if let Some(usual) = self.urgency.usual() {
            time_slice::set(thread::id(), usual);
        }
    }

    /// The calling thread, whose carrier this is, is about to wait for a worker.
    pub(super) fn shorten_slice(&self, carrier: &Carrier) {
        self.set_slice(carrier, true);
    }

    /// It is about to run what is not the runtime's.
    pub(super) fn make_slice_usual(&self, carrier: &Carrier) {
        self.set_slice(carrier, false);
    }

    /// It is about to sleep with its worker. While somebody computes, it might wake up behind him for as long as his slice takes, and all
    /// fibers of the worker would wait with it.
    pub(super) fn hasten_sleeper(&self, carrier: &Carrier) {
        if self.crowd.is_there() {
            self.shorten_slice(carrier);
        }
    }

    fn set_slice(&self, carrier: &Carrier, is_short: bool) {
        if let Some(usual) = self.urgency.usual()
            && carrier.sets_short(is_short)
        {
            time_slice::set(carrier.thread_id(), if is_short { SHORTEST } else { usual });
        }
    }

    /// Whether a thread stands still in a fiber, and has not been left. From the monitor.
    pub(in crate::scheduler) fn note_standing(&self, stands: bool) {
        self.crowd.note_standing(stands);
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
