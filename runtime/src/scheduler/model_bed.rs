//! What `bed` is under loom, whose threads the kernel does not know. A sleep that nobody ends is a deadlock.

use std::time::Duration;

use loom::sync::Notify;

#[derive(Debug)]
pub(super) struct Bed(Notify);

impl Default for Bed {
    fn default() -> Self {
        Self(Notify::new())
    }
}

impl Bed {
    pub(super) fn lie_down(&self, timeout: Option<Duration>) {
        assert!(timeout.is_none(), "models have no timers");
        self.0.wait();
    }

    pub(super) fn get_up(&self) {
        self.0.notify();
    }
}
