//! Anonymous pipes.

#![expect(unsafe_code, reason = "the descriptor traits have an unsafe constructor")]

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use super::SharedFile;
use super::shared_file::{reads_shared_file, shared_file_traits, writes_shared_file};
use crate::park::{self, Cost};

/// A new pipe. Mirrors [`std::io::pipe`].
///
/// # Errors
///
/// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
///
/// ```
/// use std::io::{Read, Write};
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let (mut reader, mut writer) = abaca::io::pipe()?;
/// let greeter = abaca::spawn(move || writer.write_all(b"hello"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// greeter.join().unwrap()
/// # })
/// # }
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    park::spend(Cost::Making);
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}

/// The reading end of a [`pipe`]. Mirrors [`std::io::PipeReader`]: a read that finds it empty blocks the fiber, and ends
/// with 0 when all writing ends are closed.
///
/// Its open file stays in blocking mode, so it can be handed to a child process.
pub struct PipeReader(SharedFile<io::PipeReader>);

/// The writing end of a [`pipe`]. Mirrors [`std::io::PipeWriter`]: a write that finds it full blocks the fiber, and fails
/// with `BrokenPipe` when all reading ends are closed.
///
/// Its open file stays in blocking mode, so it can be handed to a child process.
pub struct PipeWriter(SharedFile<io::PipeWriter>);

impl PipeReader {
    /// A second descriptor of the same end.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.get().try_clone().map(|end| Self(self.0.with_shared_settings(end)))
    }
}

impl PipeWriter {
    /// A second descriptor of the same end.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the system.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.get().try_clone().map(|end| Self(self.0.with_shared_settings(end)))
    }
}

reads_shared_file!(PipeReader);
reads_shared_file!(&PipeReader);
shared_file_traits!(PipeReader, io::PipeReader);
writes_shared_file!(PipeWriter);
writes_shared_file!(&PipeWriter);
shared_file_traits!(PipeWriter, io::PipeWriter);

impl FromRawFd for PipeReader {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the trait's contract.
        unsafe { OwnedFd::from_raw_fd(fd) }.into()
    }
}

impl FromRawFd for PipeWriter {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the trait's contract.
        unsafe { OwnedFd::from_raw_fd(fd) }.into()
    }
}
