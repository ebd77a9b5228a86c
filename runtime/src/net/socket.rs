//! The methods and traits that all sockets share, as macros over a `struct X(Descriptor<std's X>)`. std writes them out for
//! each of its types in the same words.

use std::io;

use crate::park::{self, Cost};

/// The conversions from and into std's type. The socket's mode is the one that the user asked for.
macro_rules! std_conversions {
    ($t:ident, $std:ty, $kind:expr) => {
        impl $t {
            /// A new socket, which has no timeouts.
            pub(super) fn fresh(inner: $std) -> Self {
                Self::of_kind(inner, $kind)
            }

            fn of_kind(inner: $std, kind: Kind) -> Self {
                $crate::park::spend($crate::park::Cost::Making);
                Self(Descriptor::new(inner, kind))
            }
        }

        /// Takes the timeouts over. Calls block the fiber, whatever mode the socket is in; the mode itself stays as it is.
        impl From<$std> for $t {
            fn from(inner: $std) -> Self {
                let timeouts = (inner.read_timeout(), inner.write_timeout());
                // A descriptor of another socket than the type's may be in it.
                let is_tcp = $crate::os::socket::is_tcp_stream(inner.as_fd());
                let socket = Self::of_kind(inner, if is_tcp { Kind::Stream } else { Kind::Foreign });
                for (direction, timeout) in [(Direction::Read, timeouts.0), (Direction::Write, timeouts.1)] {
                    if let Ok(Some(timeout)) = timeout {
                        socket.0.set_timeout(direction, Some(timeout));
                    }
                }
                socket
            }
        }

        /// The socket keeps its timeouts, and blocks the thread unless `set_nonblocking` was called.
        impl From<$t> for $std {
            fn from(socket: $t) -> Self {
                socket.0.into_inner()
            }
        }

        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.get().fmt(f)
            }
        }
    };
}

/// The timeouts of a socket whose calls `$reads` and `$writes`, its pending error and its mode.
macro_rules! socket_settings {
    ($t:ident, $reads:literal, $writes:literal) => {
        impl $t {
            #[doc = concat!("Limits how long each call that ", $reads, " waits; `None`, the default, is for ever. The call then fails with `WouldBlock`,")]
            /// as std's does on Linux.
            ///
            /// It holds from the next call on. [`time::timeout`](crate::time::timeout) limits several calls together.
            ///
            /// # Errors
            ///
            /// * `InvalidInput`: the timeout is zero.
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.get().set_read_timeout(timeout)?;
                self.0.set_timeout(Direction::Read, timeout);
                Ok(())
            }

            #[doc = concat!("Limits how long each call that ", $writes, " waits, as [`set_read_timeout`](Self::set_read_timeout).")]
            ///
            /// # Errors
            ///
            /// * `InvalidInput`: the timeout is zero.
            pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.get().set_write_timeout(timeout)?;
                self.0.set_timeout(Direction::Write, timeout);
                Ok(())
            }

            /// The read timeout, rounded to the kernel's resolution of some milliseconds. Calls keep to the exact one.
            ///
            /// # Errors
            ///
            /// None for an open socket; the return type is that of std.
            pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
                self.0.get().read_timeout()
            }

            /// The write timeout, as [`read_timeout`](Self::read_timeout).
            ///
            /// # Errors
            ///
            /// None for an open socket; the return type is that of std.
            pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
                self.0.get().write_timeout()
            }

            /// Takes the error that the socket has pending, if there is one (`SO_ERROR`); the next call does not see it then.
            ///
            /// # Errors
            ///
            /// None for an open socket; the return type is that of std.
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                $crate::park::spend($crate::park::Cost::SystemCall);
                self.0.get().take_error()
            }

            /// In non-blocking mode a call that would wait fails with `WouldBlock`.
            ///
            /// Fibers have no use for it: in the blocking mode, which is the default, a call blocks its fiber and nobody else.
            ///
            /// # Errors
            ///
            /// None for an open socket; the return type is that of std.
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.0.set_nonblocking(nonblocking)
            }
        }
    };
}

/// Makes the socket an end of a copy in the kernel.
macro_rules! copy_end {
    ($t:ty) => {
        impl Sealed for $t {
            fn end(&self) -> End<'_> {
                End::descriptor(&self.0)
            }
        }
    };
}

/// The methods and conversions of a listener. It is always in the kernel's non-blocking mode, since accept4(2) has no flag
/// that keeps one call from blocking.
macro_rules! listener_conversions {
    ($t:ident, $std:ty) => {
        impl $t {
            /// A second handle to the same socket, which shares the non-blocking mode.
            ///
            /// # Errors
            ///
            /// `EMFILE` or `ENFILE`, for which [`io::ErrorKind`] has no name: no descriptor is left, in the process or the
            /// system.
            pub fn try_clone(&self) -> io::Result<Self> {
                Ok(Self(self.0.with_shared_settings(self.0.get().try_clone()?)))
            }

            /// Takes the pending error, if any (`SO_ERROR`).
            ///
            /// # Errors
            ///
            /// None for an open socket; the return type is that of std.
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                $crate::park::spend($crate::park::Cost::SystemCall);
                self.0.get().take_error()
            }

            /// In non-blocking mode `accept` gives `WouldBlock` instead of waiting.
            ///
            /// To the kernel a listener of this type is always in that mode (`O_NONBLOCK`). This setting decides whether
            /// `accept` waits or returns the error.
            ///
            /// # Errors
            ///
            /// None; the return type is that of std.
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.0.set_nonblocking_flag(nonblocking);
                Ok(())
            }

            /// An iterator over the connections. It never ends by itself.
            ///
            /// Unlike std's, it skips a connection that its client has given up (`ECONNABORTED` and the like). While no
            /// descriptor or no memory is left (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), it waits: at first 5 ms between two
            /// attempts, then twice as long each time, at most a second. So an error that it returns is the listener's own. In
            /// non-blocking mode it returns every error, as std's does.
            pub fn incoming(&self) -> Incoming<'_> {
                Incoming { listener: self }
            }
        }

        /// The iterator of the listener's `incoming`.
        #[derive(Debug)]
        pub struct Incoming<'a> {
            listener: &'a $t,
        }

        impl std::iter::FusedIterator for Incoming<'_> {}

        /// Puts the socket into the kernel's non-blocking mode, which its duplicates share, also those of other processes.
        /// `accept` blocks the fiber. When the last clone of this type is dropped, the socket has its old mode again.
        ///
        /// # Panics
        ///
        /// If the kernel refuses that, which it does not for an open socket.
        impl From<$std> for $t {
            fn from(inner: $std) -> Self {
                let descriptor = Descriptor::in_nonblocking_mode(inner, Kind::Other);
                Self(descriptor.expect("an open socket can be made non-blocking"))
            }
        }

        /// Puts the socket into blocking mode, unless `set_nonblocking(true)` was called or it came from std in non-blocking
        /// mode. Its duplicates share the mode: do not accept with a clone of this type afterwards, which would block the
        /// thread.
        ///
        /// # Panics
        ///
        /// If the kernel refuses that, which it does not for an open socket.
        impl From<$t> for $std {
            fn from(listener: $t) -> Self {
                let nonblocking = listener.0.is_nonblocking() || listener.0.was_nonblocking();
                let inner = listener.0.into_inner();
                inner.set_nonblocking(nonblocking).expect("the mode of an open socket can be set");
                inner
            }
        }

        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.get().fmt(f)
            }
        }
    };
}

/// The traits of a descriptor's owner.
macro_rules! descriptor_traits {
    ($t:ty, $std:ty) => {
        impl AsFd for $t {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $t {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_fd().as_raw_fd()
            }
        }

        impl IntoRawFd for $t {
            fn into_raw_fd(self) -> RawFd {
                <$std>::from(self).into_raw_fd()
            }
        }

        impl From<OwnedFd> for $t {
            fn from(fd: OwnedFd) -> Self {
                <$std>::from(fd).into()
            }
        }

        impl From<$t> for OwnedFd {
            fn from(socket: $t) -> Self {
                <$std>::from(socket).into()
            }
        }

        #[expect(
            unsafe_code,
            reason = "the trait's method is unsafe: the caller hands over an open descriptor"
        )]
        impl FromRawFd for $t {
            unsafe fn from_raw_fd(fd: RawFd) -> Self {
                // SAFETY: the trait's contract.
                unsafe { OwnedFd::from_raw_fd(fd) }.into()
            }
        }
    };
}

/// The result of readv(2) and writev(2) if all buffers are empty: they ask neither the socket nor its peer. Unlike read(2), which waits.
pub(super) fn moved_nothing() -> io::Result<usize> {
    park::spend(Cost::SystemCall);
    Ok(0)
}

pub(super) use {copy_end, descriptor_traits, listener_conversions, socket_settings, std_conversions};
