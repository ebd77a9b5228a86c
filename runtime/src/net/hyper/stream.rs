//! A TCP connection that hyper polls.

#![expect(unsafe_code, reason = "hyper's buffers are filled through a cursor that trusts its user")]

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use super::exchange::Exchange;
use crate::io::Registration;
use crate::net::TcpStream;
use crate::os::socket;
use crate::poller::Direction;

/// A [`TcpStream`] that is polled instead of blocking. Both directions may be waited for at once.
///
/// Poll it on fibers, by any executor: on a plain thread a read or write that would have to wait fails with
/// [`Unsupported`](io::ErrorKind::Unsupported). The stream's timeouts do not apply; hyper has its own.
#[derive(Debug)]
pub struct HyperStream {
    /// `Some` until it is taken out.
    stream: Option<TcpStream>,
    registrations: Registrations,
    exchange: Exchange,
}

/// One for each direction; unregistered before the stream is closed.
#[derive(Default)]
struct Registrations {
    read: Registration,
    write: Registration,
}

impl std::fmt::Debug for Registrations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrations").finish_non_exhaustive()
    }
}

impl HyperStream {
    /// A stream for hyper.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream: Some(stream), registrations: Registrations::default(), exchange: Exchange::default() }
    }

    /// The stream, to get or set its options.
    pub fn get_ref(&self) -> &TcpStream {
        self.stream.as_ref().expect("taken out only by `into_inner`")
    }

    /// The stream, for blocking calls again, for example after an upgrade.
    pub fn into_inner(mut self) -> TcpStream {
        self.release().expect("taken out only here")
    }

    fn release(&mut self) -> Option<TcpStream> {
        let stream = self.stream.take()?;
        stream.descriptor().unregister(Direction::Read, &mut self.registrations.read);
        stream.descriptor().unregister(Direction::Write, &mut self.registrations.write);
        Some(stream)
    }

    /// Notes that `length` bytes of `slices` were written.
    fn has_written(&mut self, length: usize, slices: &[IoSlice<'_>]) {
        let stream = self.stream.as_ref().expect("taken out only by `into_inner`");
        let Some(idle) = stream.descriptor().idle() else { return };
        let mut left = length;
        let parts = slices.iter().map(|slice| {
            let part = &slice[..slice.len().min(left)];
            left -= part.len();
            part
        });
        if self.exchange.has_written(parts) {
            idle.has_written();
        } else {
            idle.is_busy();
        }
    }

    /// The stream and its registrations.
    fn parts(&mut self) -> (&TcpStream, &mut Registrations) {
        (self.stream.as_ref().expect("taken out only by `into_inner`"), &mut self.registrations)
    }
}

impl From<TcpStream> for HyperStream {
    fn from(stream: TcpStream) -> Self {
        Self::new(stream)
    }
}

impl Drop for HyperStream {
    fn drop(&mut self) {
        drop(self.release());
    }
}

impl Read for HyperStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (stream, registrations) = this.parts();
        // SAFETY: nothing in it becomes uninitialized. It is not made zero first: most of it is never used, and its memory never touched.
        let free = unsafe { buffer.as_mut() };
        let wanted = free.len();
        let mut call = |inner: &std::net::TcpStream| socket::receive_into(inner.as_fd(), free, socket::TAKE);
        let is_watched = stream.descriptor().idle().is_some();
        let length =
            ready!(stream.descriptor().poll_receive(&mut registrations.read, context, wanted, &mut call))?;
        if is_watched {
            // SAFETY: the kernel has written so many bytes.
            this.exchange.has_read(unsafe { buffer.as_mut()[..length].assume_init_ref() });
        }
        // SAFETY: as above.
        unsafe { buffer.advance(length) };
        Poll::Ready(Ok(()))
    }
}

impl Write for HyperStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (stream, registrations) = self.parts();
        let call = |inner: &std::net::TcpStream| socket::send(inner.as_fd(), bytes);
        let written = ready!(stream.descriptor().poll_transfer(
            Direction::Write,
            &mut registrations.write,
            context,
            bytes.len(),
            call
        ))?;
        self.has_written(written, &[IoSlice::new(bytes)]);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (stream, registrations) = self.parts();
        let wanted = socket::vector_bytes(slices.iter().map(|slice| slice.len()));
        let call = |inner: &std::net::TcpStream| socket::send_vectored(inner.as_fd(), slices);
        let written = ready!(stream.descriptor().poll_transfer(
            Direction::Write,
            &mut registrations.write,
            context,
            wanted,
            call
        ))?;
        self.has_written(written, slices);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.get_ref().shutdown(Shutdown::Write) {
            // The peer was first.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}
