//! Any descriptor that epoll can watch, with calls that block the fiber.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::priority::Priority;
use super::{Descriptor, Kind};
use crate::cell::Reason;
use crate::os::epoll::Epoll;
use crate::os::{nowait, socket};
use crate::poller::Way;

/// A descriptor that blocks only its fiber: pipes, eventfds, timerfds, terminals, sockets of other crates; also files that
/// tell of changes, such as those of `/proc/pressure`, `/proc/mounts` and sysfs.
///
/// Making one puts the descriptor into non-blocking mode (`O_NONBLOCK`). That mode belongs to the open file, which
/// other descriptors, and other processes, may share; so they see it for as long as the `Pollable` lives. When it is dropped,
/// or gives its descriptor back, the open file is in the mode that it had before, unless another `Pollable` of it still lives.
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
    /// * `Unsupported` for what epoll refuses to watch, such as a file on a disk, a directory, `/dev/null` and `/dev/zero`: it
    ///   never says that it is ready, and its operations may wait all the same. [`fs::File`](crate::fs::File) is for those.
    /// * What epoll_create(2) and fcntl(2) say, such as that there are no more descriptors.
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
    /// somebody else may be faster; [`read_with`](Self::read_with) does both, and saves a system call.
    ///
    /// # Errors
    ///
    /// What epoll says of a descriptor that it cannot watch.
    pub fn wait_readable(&self) -> io::Result<()> {
        self.0.wait_until_ready(Way::Read)
    }

    /// The same for writing.
    ///
    /// # Errors
    ///
    /// As for [`wait_readable`](Self::wait_readable).
    pub fn wait_writable(&self) -> io::Result<()> {
        self.0.wait_until_ready(Way::Write)
    }

    /// Blocks until something urgent has happened (`EPOLLPRI`), or the descriptor has failed or ended. What that is, poll(2)
    /// and proc(5) say of each kind: urgent data has come to a TCP socket, the mounts have changed, a threshold of
    /// `/proc/pressure` was passed, an attribute of sysfs has another value (read it first), a terminal's packet mode has news.
    ///
    /// Some files forget that it has happened when they are asked; so one such event ends the wait of one caller,
    /// which may be the next one.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors: it takes one more, for as long as the `Pollable` lives.
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

    /// Makes a reading call until it no longer says `WouldBlock`, blocking the fiber in between.
    ///
    /// # Errors
    ///
    /// Those of `call`, except `WouldBlock` and `Interrupted`.
    pub fn read_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.retry(Way::Read, Reason::Read, None, call, |_| false)
    }

    /// The same for a writing call.
    ///
    /// # Errors
    ///
    /// As for [`read_with`](Self::read_with).
    pub fn write_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.retry(Way::Write, Reason::Write, None, call, |_| false)
    }
}

impl<T: AsFd> Read for &Pollable<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(length) = self.0.take_left(buffer) {
            return Ok(length);
        }
        self.read_with(|inner| socket::read(inner.as_fd(), buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if let Some(length) = buffers.iter_mut().find_map(|buffer| self.0.take_left(buffer)) {
            return Ok(length);
        }
        self.read_with(|inner| socket::read_vectored(inner.as_fd(), buffers))
    }
}

impl<T: AsFd> Write for &Pollable<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_with(|inner| socket::write(inner.as_fd(), bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|inner| socket::write_vectored(inner.as_fd(), slices))
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
