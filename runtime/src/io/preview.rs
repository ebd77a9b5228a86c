//! Peeking at a reader's bytes before taking them, so that a copy through a buffer loses nothing, whatever ends it.
//!
//! Bytes that were read from a socket or pipe cannot be put back, and only a write tells how much the writer takes. So a
//! step of a copy peeks at the bytes, writes them, and then takes as many as were written:
//!
//! | reader | peeks with | takes with |
//! |---|---|---|
//! | socket | recv(2), `MSG_PEEK` | recv(2), `MSG_TRUNC`: TCP copies nothing |
//! | pipe | tee(2) into a pipe of our own | read(2) |
//! | file | read(2) | lseek(2) back over what was not written |
//! | anything else | read(2), and what was not written is kept in the descriptor, for its next read or copy | |
//!
//! A step never waits, so no cancellation comes between its calls. The copy waits between steps, when it holds no bytes.
//! Copies from one descriptor take their steps one after the other. A plain read in another thread can come between the
//! peek and the taking.
//!
//! Rejected: *two splices with a pipe of our own between them*, which is what this replaces. When the writer takes no more,
//! up to 64 KiB lie in that pipe. *To splice only what the writer has room for*: the kernel counts the memory of its
//! buffers, not bytes, so nobody can tell. *To read, and keep the rest in the stream for its next read*: code that goes on
//! with the bare descriptor through std misses those bytes, so this is only for readers that cannot be peeked at.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::os::copy::{self, Kind};
use crate::os::socket;

/// See the module's documentation.
pub(super) struct Preview {
    buffer: Vec<u8>,
    reader: Peek,
    to_socket: bool,
}

/// How the reader is peeked at.
enum Peek {
    Socket,
    Pipe { output: PipeReader, input: PipeWriter },
    File,
    Blind,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A number of bytes; none at the end.
    Moved {
        length: usize,
        /// Whether that was all there was: the next step would block.
        is_all: bool,
    },
    ReaderBlocks,
    WriterBlocks,
}

impl Preview {
    /// Prepares steps of at most `bytes` between two descriptors of these kinds.
    ///
    /// # Errors
    ///
    /// For a pipe, `EMFILE` or `ENFILE`: no descriptor is left.
    pub(super) fn new(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let reader = match copy::kind(from)? {
            Kind::Socket => Peek::Socket,
            Kind::Pipe => {
                let (output, input) = io::pipe()?;
                Peek::Pipe { output, input }
            }
            Kind::Regular => Peek::File,
            Kind::Other => Peek::Blind,
        };
        Ok(Self { buffer: vec![0; bytes], reader, to_socket: copy::kind(to)? == Kind::Socket })
    }

    /// Moves as much as there is and the writer takes. `left` holds what an earlier step has read and not written.
    ///
    /// # Errors
    ///
    /// Those of either end. Then nothing was taken, or taking what was written has failed.
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
        let peeked = match self.peek(from) {
            Ok(0) => return Ok(Step::Moved { length: 0, is_all: true }),
            Ok(peeked) => peeked,
            Err(error) => return blocked(error, Step::ReaderBlocks),
        };
        let written = self.write(to, &self.buffer[..peeked]);
        let length = *written.as_ref().unwrap_or(&0);
        self.consume(from, peeked, length, left)?;
        match written {
            Ok(_) => Ok(Step::Moved { length, is_all: length == peeked && peeked < self.buffer.len() }),
            Err(error) => blocked(error, Step::WriterBlocks),
        }
    }

    /// Fills the beginning of the buffer with the reader's next bytes.
    fn peek(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        match &mut self.reader {
            Peek::Socket => socket::receive(from, &mut self.buffer, socket::PEEK),
            Peek::Pipe { output, input } => {
                let peeked = copy::tee(from, input.as_fd(), self.buffer.len())?;
                output.read_exact(&mut self.buffer[..peeked])?;
                Ok(peeked)
            }
            Peek::File | Peek::Blind => socket::read(from, &mut self.buffer),
        }
    }

    fn write(&self, to: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        let result = if self.to_socket { socket::send(to, bytes) } else { socket::write(to, bytes) };
        match result {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            result => result,
        }
    }

    /// Takes `length` of the `peeked` bytes out of the reader, and leaves the others there.
    fn consume(
        &mut self,
        from: BorrowedFd<'_>,
        peeked: usize,
        length: usize,
        left: &mut Vec<u8>,
    ) -> io::Result<()> {
        match self.reader {
            Peek::Socket => {
                let take = |buffer: &mut [u8]| socket::receive(from, buffer, socket::DISCARD);
                self.take(length, take)?;
            }
            Peek::Pipe { .. } => self.take(length, |buffer| socket::read(from, buffer))?,
            // This fails for files without a position, such as some of procfs.
            Peek::File if length == peeked || copy::step_back(from, peeked - length).is_ok() => {}
            Peek::File | Peek::Blind => left.extend_from_slice(&self.buffer[length..peeked]),
        }
        Ok(())
    }

    /// Takes `length` bytes. They are there, unless somebody else reads too. Another error is returned: a copy that went on
    /// would write the same bytes again.
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

/// Turns `WouldBlock` into the step's result.
fn blocked(error: io::Error, who: Step) -> io::Result<Step> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(who) } else { Err(error) }
}
