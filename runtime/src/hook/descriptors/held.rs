//! A file that stays open while a call goes on with it, also when its number is closed.

use std::os::fd::RawFd;
use std::sync::Arc;

use super::table::{Watched, watched};

/// A file that a call goes on with, by whatever number: if that is closed meanwhile, the file stays open, as under a thread's call.
pub struct Held(Arc<Watched>);

impl Held {
    /// Holds the file that has this number.
    #[must_use]
    pub fn of(fd: RawFd) -> Self {
        Self(watched(fd))
    }

    /// Its number now; -1 if the number that it had became another file's behind the runtime's back.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.0.number().unwrap_or(-1)
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Held").field(&self.number()).finish()
    }
}
