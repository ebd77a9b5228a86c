//! Any descriptor that epoll can watch, with calls that block the fiber.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::{Descriptor, Kind};
use crate::fiber::Reason;
use crate::os::socket;
use crate::poller::Way;

/// A descriptor that blocks only its fiber: pipes, eventfds, timerfds, terminals, sockets of other crates.
///
/// Making one puts the descriptor into non-blocking mode (`O_NONBLOCK`). That mode belongs to the open file, which
/// other descriptors, and other processes, may share; [`into_inner`](Self::into_inner) leaves it on.
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
pub struct Pollable<T: AsFd>(Descriptor<T>);

impl<T: AsFd> Pollable<T> {
    /// Takes the descriptor over and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// * `Unsupported` for what epoll cannot watch, such as a regular file, a directory or a disk: its operations never
    ///   wait for readiness, so use a thread for them.
    /// * What fcntl(2) says.
    pub fn new(inner: T) -> io::Result<Self> {
        if socket::is_regular(inner.as_fd())? {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a file, directory or disk cannot be polled: it is always ready, and still blocks; use a thread for it",
            ));
        }
        socket::set_nonblocking(inner.as_fd(), true)?;
        Ok(Self(Descriptor::new(inner, Kind::Other)))
    }

    /// The descriptor's owner.
    pub fn get_ref(&self) -> &T {
        self.0.get()
    }

    pub(super) fn descriptor(&self) -> &Descriptor<T> {
        &self.0
    }

    /// Gives the descriptor back, still in non-blocking mode.
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
        self.read_with(|inner| socket::read(inner.as_fd(), buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
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
