//! The open file itself, and how it is closed.
//!
//! Closing can take long. A file on a network sends what was written; a terminal waits until its output is displayed; a file
//! without a name frees its blocks. So unless the close is known to be quick, it is a job of the blocking pool. The fiber waits
//! for that job, since programs rely on the effects of a close: its locks are free, the file can be executed. Only the close of
//! a file without a name is not waited for, since nobody can rely on it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::blocking;
use crate::os::identity;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::fs) struct Opened {
    /// `None` once it is taken out.
    file: Option<fs::File>,
    /// The close is known to be quick, as long as the file has a name.
    closes_at_once: bool,
}

impl Opened {
    /// A file that was just opened. It is called on a thread that may block.
    pub(in crate::fs) fn new(file: fs::File) -> Self {
        let closes_at_once = identity::closes_at_once(file.as_fd());
        Self { file: Some(file), closes_at_once }
    }

    /// A file of which nothing is known. To ask might take long.
    pub(super) fn unknown(file: fs::File) -> Self {
        Self { file: Some(file), closes_at_once: false }
    }

    pub(super) fn get(&self) -> &fs::File {
        self.file.as_ref().expect("taken out only by `into_inner`")
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let file = self.get().try_clone()?;
        Ok(Self { file: Some(file), closes_at_once: self.closes_at_once })
    }

    pub(super) fn into_inner(mut self) -> fs::File {
        self.file.take().expect("taken out only here")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if !self.closes_at_once {
            blocking::run_aside(move || drop(file));
        } else if identity::has_no_name(file.as_fd()) {
            blocking::run_later(move || drop(file));
        }
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get().as_fd()
    }
}
