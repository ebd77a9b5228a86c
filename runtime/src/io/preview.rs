//! A reader's bytes, looked at before they are taken: how a copy through a buffer loses nothing, whatever ends it.
//!
//! What was read from a socket or pipe cannot be put back, and a writer says only when it is asked how much it takes. So a
//! step of a copy asks for the bytes without taking them, writes them, and then takes as many as were written:
//!
//! | reader | looks with | takes with |
//! |---|---|---|
//! | socket | recv(2), `MSG_PEEK` | recv(2), `MSG_TRUNC`: TCP copies nothing |
//! | pipe | tee(2) into a pipe of our own | read(2) |
//! | file | read(2) | lseek(2) back over what was not written |
//! | anything else | read(2), and what was not written is kept in the descriptor, for its next read or copy | |
//!
//! A step never waits, and nothing can come in between its calls: waits are outside of it, and there nothing is in our
//! hands. Copies from one descriptor take their steps one after the other; who reads beside a copy, in another thread, can
//! get in between a look and the taking.
//!
//! Rejected: *two splices with a pipe of our own between them*, which is what this replaces. When the writer takes no more,
//! up to 64 KiB lie in that pipe. *To splice only what the writer has room for*: the kernel counts the memory of its
//! buffers, not bytes, so nobody can tell. *To read, and keep the rest in the stream for its next read*: whoever goes on
//! with the bare descriptor, in std's hands, misses it; so that is only for what cannot be looked at.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::os::copy::{self, Kind};
use crate::os::socket;

/// See the module's documentation.
pub(super) struct Preview {
    buffer: Vec<u8>,
    reader: Looking,
    to_socket: bool,
}

enum Looking {
    Socket,
    Pipe { output: PipeReader, input: PipeWriter },
    File,
    Blind,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A number of bytes; none at the end.
    Moved {
        length: usize,
        /// All that was there; the next step would be told to wait.
        is_all: bool,
    },
    ReaderBlocks,
    WriterBlocks,
}

impl Preview {
    /// For steps of at most `bytes` between what these are.
    ///
    /// # Errors
    ///
    /// What fstat(2) says; and for a pipe, when there are no more descriptors.
    pub(super) fn new(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let reader = match copy::kind(from)? {
            Kind::Socket => Looking::Socket,
            Kind::Pipe => {
                let (output, input) = io::pipe()?;
                Looking::Pipe { output, input }
            }
            Kind::Regular => Looking::File,
            Kind::Other => Looking::Blind,
        };
        Ok(Self { buffer: vec![0; bytes], reader, to_socket: copy::kind(to)? == Kind::Socket })
    }

    /// Moves what there is and what the writer takes. `left` is what an earlier step has read and nobody has written.
    ///
    /// # Errors
    ///
    /// Those of either end. Nothing was taken then, or what was written could not be.
    pub(super) fn step(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        left: &mut Vec<u8>,
    ) -> io::Result<Step> {
        if !left.is_empty() {
            return match self.write(to, left) {
                Ok(length) => {
                    left.drain(..length);
                    Ok(Step::Moved { length, is_all: false })
                }
                Err(error) => blocked(error, Step::WriterBlocks),
            };
        }
        let seen = match self.look(from) {
            Ok(0) => return Ok(Step::Moved { length: 0, is_all: true }),
            Ok(seen) => seen,
            Err(error) => return blocked(error, Step::ReaderBlocks),
        };
        let written = self.write(to, &self.buffer[..seen]);
        let length = *written.as_ref().unwrap_or(&0);
        self.settle(from, seen, length, left)?;
        match written {
            Ok(_) => Ok(Step::Moved { length, is_all: length == seen && seen < self.buffer.len() }),
            Err(error) => blocked(error, Step::WriterBlocks),
        }
    }

    /// Fills the buffer's beginning with what comes next.
    fn look(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        match &mut self.reader {
            Looking::Socket => socket::receive(from, &mut self.buffer, socket::PEEK),
            Looking::Pipe { output, input } => {
                let seen = copy::tee(from, input.as_fd(), self.buffer.len())?;
                output.read_exact(&mut self.buffer[..seen])?;
                Ok(seen)
            }
            Looking::File | Looking::Blind => socket::read(from, &mut self.buffer),
        }
    }

    fn write(&self, to: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        let result = if self.to_socket { socket::send(to, bytes) } else { socket::write(to, bytes) };
        match result {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            result => result,
        }
    }

    /// Takes `length` of the `seen` bytes out of the reader, and leaves the others there.
    fn settle(
        &mut self,
        from: BorrowedFd<'_>,
        seen: usize,
        length: usize,
        left: &mut Vec<u8>,
    ) -> io::Result<()> {
        match self.reader {
            Looking::Socket => {
                let take = |buffer: &mut [u8]| socket::receive(from, buffer, socket::DISCARD);
                self.take(length, take)?;
            }
            Looking::Pipe { .. } => self.take(length, |buffer| socket::read(from, buffer))?,
            // Of what has no position, as some files of procfs, this fails.
            Looking::File if length == seen || copy::step_back(from, seen - length).is_ok() => {}
            Looking::File | Looking::Blind => left.extend_from_slice(&self.buffer[length..seen]),
        }
        Ok(())
    }

    /// What was looked at is there, unless somebody else reads too. Who goes on after another error would see the same again.
    fn take(
        &mut self,
        length: usize,
        mut take: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let mut taken = 0;
        while taken < length {
            match take(&mut self.buffer[taken..length]) {
                Ok(0) => break,
                Ok(more) => taken += more,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => break,
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}

/// That it would block is no error.
fn blocked(error: io::Error, who: Step) -> io::Result<Step> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(who) } else { Err(error) }
}
