//! Takes the place of `parker.rs` under loom, whose threads the kernel does not know. A sleep that nobody ends is a deadlock.

use std::time::Duration;

use loom::sync::Notify;

#[derive(Debug)]
pub(super) struct Parker(Notify);

impl Default for Parker {
    fn default() -> Self {
        Self(Notify::new())
    }
}

impl Parker {
    pub(super) fn park(&self, timeout: Option<Duration>) {
        assert!(timeout.is_none(), "models have no timers");
        self.0.wait();
    }

    pub(super) fn unpark(&self) {
        self.0.notify();
    }
}
