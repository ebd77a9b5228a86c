//! Any descriptor that epoll can watch, with calls that block the fiber.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::priority::Priority;
use super::{Descriptor, Kind};
use crate::cell::Reason;
use crate::os::epoll::Epoll;
use crate::os::{nowait, socket};
use crate::poller::Direction;
use crate::scheduler;

/// A descriptor whose calls block only the fiber: a pipe, an eventfd, a timerfd, a terminal, a socket of another crate, or a
/// file that reports changes, such as those of `/proc/pressure`, `/proc/mounts` and sysfs.
///
/// [`new`](Self::new) puts the descriptor into non-blocking mode (`O_NONBLOCK`). That mode belongs to the open file, which
/// other descriptors and other processes may share; they see it for as long as the `Pollable` lives. When the `Pollable` is
/// dropped, or gives its descriptor back, the open file has its old mode again, unless another `Pollable` of it still lives. So it has
/// at the exit of the process, and in a program that [`Command::exec`](crate::process::Command::exec) puts in its place; not after a
/// signal that kills the process.
///
/// ```
/// use std::io::{Read, Write};
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// let (reader, writer) = std::io::pipe()?;
/// let mut reader = abaca::io::Pollable::new(reader)?;
/// let mut writer = abaca::io::Pollable::new(writer)?;
/// let greeter = abaca::spawn(move || writer.write_all(b"hello"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// greeter.join().unwrap()
/// # })
/// # }
/// ```
pub struct Pollable<T: AsFd>(Descriptor<T>, Priority);

impl<T: AsFd> Pollable<T> {
    /// Takes the descriptor over and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// * [`Unsupported`](io::ErrorKind::Unsupported): epoll refuses to watch it, as it does files on a disk, directories,
    ///   `/dev/null` and `/dev/zero`. They never report that they are ready, and their calls may block all the same. Use
    ///   [`fs::File`](crate::fs::File) for those.
    /// * `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left for the check with epoll.
    pub fn new(inner: T) -> io::Result<Self> {
        match Epoll::new()?.add(inner.as_fd(), 0) {
            Err(error) if nowait::is_unpollable(&error) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "epoll refuses to watch it (EPERM), as it does files, directories, disks and devices that are \
                     always ready: use a thread, or `fs::File`, for it",
                ));
            }
            result => result?,
        }
        Descriptor::in_nonblocking_mode(inner, Kind::Other)
            .map(|descriptor| Self(descriptor, Priority::default()))
    }

    /// The descriptor's owner.
    pub fn get_ref(&self) -> &T {
        self.0.get()
    }

    pub(super) fn descriptor(&self) -> &Descriptor<T> {
        &self.0
    }

    /// Gives the descriptor back, in the mode that it had.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// Blocks until the descriptor is readable, or has failed or ended. Follow it with a non-blocking call, since
    /// somebody else may be faster. [`read_with`](Self::read_with) does both, and saves a system call.
    ///
    /// # Errors
    ///
    /// None in normal use: [`new`](Self::new) has checked that epoll can watch the descriptor. A fiber that is cancelled while
    /// it waits unwinds.
    pub fn wait_readable(&self) -> io::Result<()> {
        self.0.wait_until_ready(Direction::Read)
    }

    /// Blocks until the descriptor is writable, or has failed; see [`wait_readable`](Self::wait_readable).
    ///
    /// # Errors
    ///
    /// As for [`wait_readable`](Self::wait_readable).
    pub fn wait_writable(&self) -> io::Result<()> {
        self.0.wait_until_ready(Direction::Write)
    }

    /// Blocks until something urgent has happened (`EPOLLPRI`), or the descriptor has failed or ended. For each kind of
    /// descriptor poll(2) and proc(5) say what that is: urgent data has come to a TCP socket, the mounts have changed, a threshold
    /// of `/proc/pressure` was passed, an attribute of sysfs has another value (read it first), a terminal in packet mode has
    /// changed its state.
    ///
    /// Some files report such an event once. So one event ends the wait of one caller: one that waits, or the next to call.
    ///
    /// # Errors
    ///
    /// * `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: the first call needs one more descriptor, for as long as
    ///   the `Pollable` lives.
    ///
    /// A fiber that is cancelled while it waits unwinds.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # abaca::run(|| {
    /// use std::time::Duration;
    /// let mounts = abaca::io::Pollable::new(std::fs::File::open("/proc/mounts")?)?;
    /// // Nobody mounts anything.
    /// assert!(abaca::time::timeout(Duration::from_millis(1), || mounts.wait_priority()).is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn wait_priority(&self) -> io::Result<()> {
        self.1.wait(self.0.as_fd())
    }

    /// Repeats `call`, which reads, until it no longer returns `WouldBlock`. Blocks the fiber in between.
    ///
    /// # Errors
    ///
    /// Those of `call`, except `WouldBlock` and `Interrupted`. A fiber that is cancelled while it waits unwinds.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// # fn main() -> std::io::Result<()> {
    /// # abaca::run(|| {
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let reader = abaca::io::Pollable::new(reader)?;
    /// abaca::spawn(move || writer.write_all(b"!").unwrap());
    /// let mut byte = [0];
    /// assert_eq!(reader.read_with(|mut pipe| pipe.read(&mut byte))?, 1);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn read_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.retry(Direction::Read, Reason::Read, None, call, |_| false)
    }

    /// Repeats `call`, which writes, until it no longer returns `WouldBlock`; see [`read_with`](Self::read_with).
    ///
    /// # Errors
    ///
    /// As for [`read_with`](Self::read_with).
    pub fn write_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.retry(Direction::Write, Reason::Write, None, call, |_| false)
    }
}

impl<T: AsFd> Read for &Pollable<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(length) = self.0.take_left(buffer) {
            return Ok(length);
        }
        self.read_with(|inner| socket::read(inner.as_fd(), buffer))
            .inspect(|bytes| scheduler::record_bytes(true, *bytes))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if let Some(length) = buffers.iter_mut().find_map(|buffer| self.0.take_left(buffer)) {
            return Ok(length);
        }
        self.read_with(|inner| socket::read_vectored(inner.as_fd(), buffers))
            .inspect(|bytes| scheduler::record_bytes(true, *bytes))
    }
}

impl<T: AsFd> Write for &Pollable<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_with(|inner| socket::write(inner.as_fd(), bytes))
            .inspect(|bytes| scheduler::record_bytes(false, *bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|inner| socket::write_vectored(inner.as_fd(), slices))
            .inspect(|bytes| scheduler::record_bytes(false, *bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: AsFd> Read for Pollable<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl<T: AsFd> Write for Pollable<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: AsFd> AsFd for Pollable<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T: AsFd> AsRawFd for Pollable<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Pollable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pollable").field(self.get_ref()).finish()
    }
}
