//! A descriptor of an open file that others may have as well: pipes, terminals, the standard streams.
//!
//! Its mode is not ours to change (`os/nowait.rs` says why), so each operation takes the first of four ways that works:
//!
//! 1. It asks the kernel not to block, and parks on the poller until the file is ready: pipes, sockets, `/dev/null`.
//! 2. Where the kernel has no such flag, it opens the pipe or terminal once more, in a mode of its own (`os/reopen.rs`), and
//!    waits for that open file: FIFOs, pipes opened by a name, terminals.
//! 3. If the file cannot be opened again, it waits until the poller reports it ready, and then makes the call on the blocking
//!    pool, since somebody else may be faster. A write is then only as long as surely fits.
//! 4. If the file cannot be polled either, the call goes to the pool at once: regular files.
//!
//! In 1 and 2 a wait is cancelled like any other, and a call moves no more than there is, or has room for. In 3 and 4 the fiber
//! waits for a call that a thread has begun, since the bytes that it moves must not be lost.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use super::{Descriptor, End, Kind};
use crate::blocking;
use crate::os::{copy, nowait, reopen, socket};
use crate::poller::Direction;

/// See the module's documentation. `T` owns the descriptor.
pub(crate) struct SharedFile<T: AsFd> {
    original: Descriptor<T>,
    /// The same pipe or terminal, opened again in a mode of its own by the first operation that needs it. `None` if that fails.
    again: OnceLock<Option<Descriptor<OwnedFd>>>,
}

/// Whether a call may block its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// No: it asks the kernel not to.
    Never,
    /// Yes; or the descriptor's mode keeps it from blocking.
    Freely,
    /// Only if somebody else was faster.
    Briefly,
}

impl<T: AsFd> SharedFile<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { original: Descriptor::new(inner, Kind::Other), again: OnceLock::new() }
    }

    /// Another descriptor of the same open file.
    pub(crate) fn with_shared_settings(&self, inner: T) -> Self {
        Self { original: self.original.with_shared_settings(inner), again: OnceLock::new() }
    }

    pub(crate) fn get(&self) -> &T {
        self.original.get()
    }

    pub(crate) fn into_inner(self) -> T {
        self.original.into_inner()
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            // A device may refuse it, as /dev/full does. The calls with several buffers never ask it.
            return self.on_pool(Block::Freely, |fd, _| socket::write(fd, bytes));
        }
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    pub(crate) fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let left =
            |again: &Descriptor<OwnedFd>| buffers.iter_mut().find_map(|buffer| again.take_left(buffer));
        if let Some(length) = self.again.get().and_then(|again| again.as_ref()).and_then(left) {
            return Ok(length);
        }
        self.transfer(Direction::Read, |fd, block| match block {
            Block::Never => nowait::read(fd, buffers),
            Block::Freely | Block::Briefly => socket::read_vectored(fd, buffers),
        })
    }

    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let fits = || {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            IoSlice::new(&first[..first.len().min(nowait::SURELY_FITS)])
        };
        self.transfer(Direction::Write, |fd, block| match block {
            Block::Never => nowait::write(fd, slices),
            Block::Freely => socket::write_vectored(fd, slices),
            Block::Briefly => socket::write_vectored(fd, &[fits()]),
        })
    }

    fn transfer(
        &self,
        direction: Direction,
        mut call: impl FnMut(BorrowedFd<'_>, Block) -> io::Result<usize> + Send,
    ) -> io::Result<usize> {
        if let Some(Some(again)) = self.again.get() {
            return again.transfer(direction, 0, |inner| call(inner.as_fd(), Block::Freely));
        }
        match self.original.transfer(direction, 0, |inner| call(inner.as_fd(), Block::Never)) {
            Err(error) if nowait::is_unsupported(&error) => {}
            Err(error) if nowait::is_unpollable(&error) => return self.on_pool(Block::Freely, call),
            result => return result,
        }
        if socket::is_regular(self.as_fd())? {
            return self.on_pool(Block::Freely, call);
        }
        if let Some(again) = self.opened_again() {
            return again.transfer(direction, 0, |inner| call(inner.as_fd(), Block::Freely));
        }
        loop {
            match self.original.wait_until_ready(direction) {
                Err(error) if !nowait::is_unpollable(&error) => return Err(error),
                _ => {}
            }
            match self.on_pool(Block::Briefly, &mut call) {
                // Somebody else was faster, and somebody has made the file non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    fn opened_again(&self) -> Option<&Descriptor<OwnedFd>> {
        let again = || reopen::nonblocking(self.as_fd()).ok().map(|fd| Descriptor::new(fd, Kind::Other));
        self.again.get_or_init(again).as_ref()
    }

    fn on_pool(
        &self,
        block: Block,
        mut call: impl FnMut(BorrowedFd<'_>, Block) -> io::Result<usize> + Send,
    ) -> io::Result<usize> {
        let fd = self.get().as_fd();
        loop {
            match blocking::run_and_keep(|| call(fd, block)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl<T: AsFd + Sync> SharedFile<T> {
    /// The end of a copy in the kernel. Only a pipe may be switched to non-blocking mode for that long; a terminal belongs to
    /// others as well.
    pub(crate) fn end(&self) -> End<'_> {
        match copy::kind(self.as_fd()) {
            Ok(copy::Kind::Pipe) => End::descriptor(&self.original),
            _ => self.opened_again().map_or_else(|| End::file(self), End::descriptor),
        }
    }
}

impl<T: AsFd> AsFd for SharedFile<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.original.as_fd()
    }
}

/// The traits of a reading end `struct X(SharedFile<std's X>)`.
macro_rules! reads_shared_file {
    ($t:ty) => {
        impl std::io::Read for $t {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(buffer)
            }

            fn read_vectored(&mut self, buffers: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                self.0.read_vectored(buffers)
            }
        }
    };
}
pub(crate) use reads_shared_file;

/// The traits of a writing end `struct X(SharedFile<std's X>)`.
macro_rules! writes_shared_file {
    ($t:ty) => {
        impl std::io::Write for $t {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.write(bytes)
            }

            fn write_vectored(&mut self, slices: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.0.write_vectored(slices)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}
pub(crate) use writes_shared_file;

/// The conversions and descriptor traits of a `struct X(SharedFile<std's X>)`.
macro_rules! shared_file_traits {
    ($t:ty, $std:ty) => {
        impl std::fmt::Debug for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.get().fmt(f)
            }
        }

        impl From<$std> for $t {
            fn from(inner: $std) -> Self {
                Self(crate::io::SharedFile::new(inner))
            }
        }

        /// The open file is in the mode that it had.
        impl From<$t> for $std {
            fn from(this: $t) -> Self {
                this.0.into_inner()
            }
        }

        impl From<std::os::fd::OwnedFd> for $t {
            fn from(fd: std::os::fd::OwnedFd) -> Self {
                <$std>::from(fd).into()
            }
        }

        impl From<$t> for std::os::fd::OwnedFd {
            fn from(this: $t) -> Self {
                <$std>::from(this).into()
            }
        }

        /// For the standard streams of a [`Command`](crate::process::Command).
        impl From<$t> for std::process::Stdio {
            fn from(this: $t) -> Self {
                <$std>::from(this).into()
            }
        }

        impl crate::io::Sealed for $t {
            fn end(&self) -> crate::io::End<'_> {
                self.0.end()
            }
        }

        impl std::os::fd::AsFd for $t {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $t {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&self.0.as_fd())
            }
        }

        impl std::os::fd::IntoRawFd for $t {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::IntoRawFd::into_raw_fd(<$std>::from(self))
            }
        }
    };
}
pub(crate) use shared_file_traits;
