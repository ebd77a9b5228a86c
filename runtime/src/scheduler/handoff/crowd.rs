//! More threads than processors: some of them wait for one, and another thread would wait as well.

use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module's documentation.
pub(super) struct Crowd {
    /// How many threads can run at once.
    processors: usize,
    /// The threads that were started, and have not come: without a processor they come late, and more would come later.
    starting: AtomicUsize,
}

impl Crowd {
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { processors, starting: AtomicUsize::new(0) }
    }

    /// Whether one more thread would come, rather than wait with those that are on their way.
    pub(super) fn wants_another(&self) -> bool {
        // Relaxed: a number, here and below.
        self.starting.load(Ordering::Relaxed) < self.processors
    }

    /// A thread is being started.
    pub(super) fn begins(&self) {
        self.starting.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread that was being started is there, or could not be.
    pub(super) fn has_come(&self) {
        self.starting.fetch_sub(1, Ordering::Relaxed);
    }
}
