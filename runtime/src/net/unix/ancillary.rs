//! What goes beside the bytes of a message: descriptors and credentials.
//!
//! A [`SocketAncillary`] is in one of two states. While it is being filled for sending, its descriptors are borrowed.
//! Once something was received into it, the descriptors in its buffer are its own: whoever takes one leaves
//! [`TAKEN`] in its place, and what is not taken is closed when the buffer is used for something else, or dropped.

#![expect(unsafe_code, reason = "takes over the descriptors that the kernel has put into a buffer")]

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::slice::{ChunksExact, ChunksExactMut};

use socket2::SockAddr;

use super::SocketCred;
use crate::blocking;
use crate::os::message::{self, CREDENTIALS, Entry, RIGHTS, Received, SOCKET_LEVEL};

/// In the place of a descriptor that somebody took.
const TAKEN: RawFd = -1;

/// How many bytes of control data a descriptor takes.
const FD_BYTES: usize = size_of::<RawFd>();

/// Room for what goes beside the bytes of a message. Mirrors `std::os::unix::net::SocketAncillary`, except that
/// descriptors are borrowed and owned, where std's are numbers: those to be sent are borrowed for `'a`, and those
/// received are closed unless they are taken.
///
/// The buffer must have room for a header of two machine words for each addition, and for 4 bytes for each
/// descriptor and 12 for credentials, rounded up to a machine word; 128 bytes do for most purposes.
///
/// ```
/// use std::io::{IoSlice, IoSliceMut, Read, Write};
/// use std::os::fd::AsFd;
/// use abaca::net::UnixStream;
/// use abaca::net::unix::{AncillaryData, SocketAncillary};
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let (ours, theirs) = UnixStream::pair()?;
/// let (reader, mut writer) = std::io::pipe()?;
///
/// let mut buffer = [0; 128];
/// let mut outgoing = SocketAncillary::new(&mut buffer);
/// assert!(outgoing.add_fds(&[reader.as_fd()]));
/// ours.send_vectored_with_ancillary(&[IoSlice::new(b"a pipe")], &mut outgoing)?;
///
/// let (mut text, mut buffer) = ([0; 16], [0; 128]);
/// let mut incoming = SocketAncillary::new(&mut buffer);
/// theirs.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut text)], &mut incoming)?;
/// for message in incoming.messages() {
///     if let Ok(AncillaryData::ScmRights(descriptors)) = message {
///         for descriptor in descriptors {
///             writer.write_all(b"!")?;
///             std::fs::File::from(descriptor).read_exact(&mut [0])?;
///         }
///     }
/// }
/// # Ok(())
/// # })
/// # }
/// ```
pub struct SocketAncillary<'a> {
    buffer: &'a mut [u8],
    /// How much of the buffer is in use.
    length: usize,
    truncated: bool,
    /// The kernel has written what is in the buffer: descriptors there are owned.
    is_received: bool,
}

impl<'a> SocketAncillary<'a> {
    /// An empty one.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0, truncated: false, is_received: false }
    }

    /// The buffer's size in bytes.
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many bytes of the buffer are in use.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there was no room for all that was received. The kernel has closed the descriptors that did not fit.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// What was received. Empty before that, and for what is to be sent.
    pub fn messages(&mut self) -> Messages<'_> {
        let length = if self.is_received { self.length } else { 0 };
        Messages { rest: &mut self.buffer[..length] }
    }

    /// Adds descriptors to be sent; the receiver gets duplicates. Drops what was received before. False if there is
    /// not enough room; then none is added.
    pub fn add_fds(&mut self, fds: &[BorrowedFd<'a>]) -> bool {
        let numbers = fds.iter().map(|fd| fd.as_raw_fd().to_ne_bytes());
        self.add(RIGHTS, numbers)
    }

    /// Adds credentials to be sent, each as a message of its own as the kernel wants it. Drops what was received
    /// before. False if there is not enough room; then none are added.
    pub fn add_creds(&mut self, creds: &[SocketCred]) -> bool {
        self.make_sendable();
        let before = self.length;
        let all = creds.iter().all(|cred| self.add(CREDENTIALS, [cred.to_bytes()].into_iter()));
        if !all {
            self.length = before;
        }
        all
    }

    fn add<const N: usize>(&mut self, kind: i32, items: impl ExactSizeIterator<Item = [u8; N]>) -> bool {
        self.make_sendable();
        let written = Entry::write(&mut self.buffer[self.length..], kind, items);
        self.length += written.unwrap_or(0);
        written.is_some()
    }

    fn make_sendable(&mut self) {
        if self.is_received {
            self.clear();
        }
    }

    /// Empties it, and closes the descriptors that were received and not taken.
    pub fn clear(&mut self) {
        let mut untaken = Vec::new();
        for message in self.messages() {
            if let Ok(AncillaryData::ScmRights(descriptors)) = message {
                untaken.extend(descriptors);
            }
        }
        if !untaken.is_empty() {
            // Whatever they are of: a close can take long.
            blocking::run_aside(move || drop(untaken));
        }
        (self.length, self.truncated, self.is_received) = (0, false, false);
    }

    pub(super) fn receive(
        &mut self,
        fd: BorrowedFd<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> io::Result<Received> {
        self.clear();
        let received = message::receive(fd, buffers, self.buffer)?;
        self.length = received.control;
        self.truncated = received.control_truncated;
        self.is_received = true;
        Ok(received)
    }

    /// What was received is not sent on: its descriptors may have been taken.
    pub(super) fn send(
        &mut self,
        fd: BorrowedFd<'_>,
        slices: &[IoSlice<'_>],
        to: Option<&SockAddr>,
    ) -> io::Result<usize> {
        self.make_sendable();
        message::send(fd, slices, &self.buffer[..self.length], to)
    }
}

impl Drop for SocketAncillary<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for SocketAncillary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketAncillary")
            .field("capacity", &self.capacity())
            .field("length", &self.length)
            .field("truncated", &self.truncated)
            .finish_non_exhaustive()
    }
}

/// What was received beside the bytes, one message after the other. See [`SocketAncillary::messages`].
#[derive(Debug)]
pub struct Messages<'a> {
    rest: &'a mut [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<AncillaryData<'a>, AncillaryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, rest) = Entry::first_of(std::mem::take(&mut self.rest))?;
        self.rest = rest;
        Some(match (entry.level, entry.kind) {
            (SOCKET_LEVEL, RIGHTS) => {
                Ok(AncillaryData::ScmRights(ScmRights { places: entry.body.chunks_exact_mut(FD_BYTES) }))
            }
            (SOCKET_LEVEL, CREDENTIALS) => {
                let places = entry.body.chunks_exact(SocketCred::BYTES);
                Ok(AncillaryData::ScmCredentials(ScmCredentials { places }))
            }
            (cmsg_level, cmsg_type) => Err(AncillaryError::Unknown { cmsg_level, cmsg_type }),
        })
    }
}

/// A message of a known kind. Mirrors `std::os::unix::net::AncillaryData`.
#[derive(Debug)]
pub enum AncillaryData<'a> {
    /// Descriptors.
    ScmRights(ScmRights<'a>),
    /// Credentials of the sender.
    ScmCredentials(ScmCredentials<'a>),
}

/// A message of a kind that is not known. Mirrors `std::os::unix::net::AncillaryError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AncillaryError {
    /// Neither descriptors nor credentials.
    Unknown {
        /// The message's level.
        cmsg_level: i32,
        /// The message's kind.
        cmsg_type: i32,
    },
}

impl fmt::Display for AncillaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unknown { cmsg_level, cmsg_type } = self;
        write!(f, "an ancillary message of level {cmsg_level} and type {cmsg_type} is not known")
    }
}

impl std::error::Error for AncillaryError {}

/// The descriptors of a message, each owned by whoever takes it, and closed on exec.
#[derive(Debug)]
pub struct ScmRights<'a> {
    places: ChunksExactMut<'a, u8>,
}

impl Iterator for ScmRights<'_> {
    type Item = OwnedFd;

    fn next(&mut self) -> Option<OwnedFd> {
        loop {
            let place: &mut [u8; FD_BYTES] = self.places.next()?.try_into().expect("chunks are exact");
            let number = RawFd::from_ne_bytes(std::mem::replace(place, TAKEN.to_ne_bytes()));
            if number != TAKEN {
                // SAFETY: messages are only read from what the kernel has written, which has opened this descriptor
                // for us; with the number gone from the buffer nobody else takes it.
                return Some(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
}

/// The credentials of a message.
#[derive(Debug)]
pub struct ScmCredentials<'a> {
    places: ChunksExact<'a, u8>,
}

impl Iterator for ScmCredentials<'_> {
    type Item = SocketCred;

    fn next(&mut self) -> Option<SocketCred> {
        self.places.next().map(|bytes| SocketCred::from_bytes(bytes.try_into().expect("chunks are exact")))
    }
}
