//! The open file itself, and how it is closed.
//!
//! A close can take long: of a file of a network it sends what was written, of a terminal it waits for what is
//! still to be displayed, of a file without a name it gives its blocks back. So where a close is not known to be quick it is a
//! job of the blocking pool. The fiber waits for that job, since programs rely on what a close does (its locks
//! are free, the file can be executed); only nobody can rely on the close of a file without a name.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::blocking;
use crate::os::identity;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::fs) struct Opened {
    /// `Some` until it is taken out.
    file: Option<fs::File>,
    /// Known not to take long, as long as the file has a name.
    closes_at_once: bool,
}

impl Opened {
    /// A file that was just opened, on a thread that may wait.
    pub(in crate::fs) fn new(file: fs::File) -> Self {
        let closes_at_once = identity::closes_at_once(file.as_fd());
        Self { file: Some(file), closes_at_once }
    }

    /// A file of which nothing is known, and to ask might take long.
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
