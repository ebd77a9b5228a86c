//! Conversions from and into std's file, and the traits of the owner of a descriptor.

#![expect(unsafe_code, reason = "the descriptor traits have an unsafe constructor")]

use std::fmt;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::process::Stdio;
use std::sync::Arc;

use super::{File, Opened};
use crate::io::{End, Sealed};

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        Self::new(Opened::unknown(file))
    }
}

/// If a call that a cancelled fiber has left behind still uses the file, the result is a duplicate of its descriptor.
///
/// # Panics
///
/// If there is such a call, and the process has no more descriptors.
impl From<File> for fs::File {
    fn from(file: File) -> Self {
        let File { opened, special } = file;
        drop(special);
        match Arc::try_unwrap(opened) {
            Ok(opened) => opened.into_inner(),
            Err(shared) => shared.get().try_clone().expect("a descriptor for what others still use"),
        }
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        fs::File::from(fd).into()
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> Self {
        fs::File::from(file).into()
    }
}

/// For the standard streams of a [`Command`](crate::process::Command).
impl From<File> for Stdio {
    fn from(file: File) -> Self {
        fs::File::from(file).into()
    }
}

/// An end of [`copy_fd`](crate::io::copy_fd).
impl Sealed for File {
    fn end(&self) -> End<'_> {
        match self.special() {
            Some(special) => special.end(),
            None => End::file(self),
        }
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get().as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.get().as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        fs::File::from(self).into_raw_fd()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the trait's contract.
        unsafe { fs::File::from_raw_fd(fd) }.into()
    }
}
