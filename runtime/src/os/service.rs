//! Service threads: those that the runtime starts beside its own, which look at fibers or clean up, and wake none. Examples are the
//! server of [`observe_at`](crate::runtime::Builder::observe_at), and the reaper of children.
//!
//! They are counted, since a process whose other threads are all known can be told from one in which somebody else may wake a fiber.
//! Each counts itself while it runs. So one that is counted is there, and one that begins or ends right now counts as a stranger.

use std::io;
use std::thread::JoinHandle;

use super::fork::PerProcess;
use super::thread;

/// The service threads of the process, none of which is in a copy of it.
static SERVICES: PerProcess<Services> = PerProcess::new(Services::default);

/// How many service threads there are, and how often that has changed: if two counts are equal, the same threads ran all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Services {
    pub(crate) running: usize,
    changes: u64,
}

impl Services {
    pub(crate) fn count() -> Self {
        *SERVICES.lock()
    }
}

/// Starts a service thread that runs `body`, which wakes no fiber but one that waits for a descriptor, as long as that is watched.
pub(crate) fn start(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::start(name, move || {
        let _counted = Counted::new();
        body();
    })
}

/// Counts the calling thread until it is dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        let mut services = SERVICES.lock();
        services.running += 1;
        services.changes += 1;
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut services = SERVICES.lock();
        services.running -= 1;
        services.changes += 1;
    }
}
