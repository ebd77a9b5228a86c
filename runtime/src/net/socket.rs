//! What all sockets have in common, as macros over a `struct X(Descriptor<std's X>)`: each expands to the methods or
//! traits that std gives to every one of its types in the same words.

/// From and into the std twin, whose mode is the one that the user asked for.
macro_rules! std_conversions {
    ($t:ident, $std:ty, $kind:expr) => {
        impl $t {
            /// A socket whose kernel timeouts are not set.
            pub(super) fn fresh(inner: $std) -> Self {
                $crate::park::spend($crate::park::Cost::Making);
                Self(Descriptor::new(inner, $kind))
            }
        }

        /// Timeouts of the std socket are taken over. Calls block the fiber, whatever mode the socket is in; the mode
        /// itself is left alone.
        impl From<$std> for $t {
            fn from(inner: $std) -> Self {
                let timeouts = (inner.read_timeout(), inner.write_timeout());
                let socket = Self::fresh(inner);
                for (way, timeout) in [(Way::Read, timeouts.0), (Way::Write, timeouts.1)] {
                    if let Ok(Some(timeout)) = timeout {
                        socket.0.set_timeout(way, Some(timeout));
                    }
                }
                socket
            }
        }

        /// The socket as std would have it: with its timeouts, and blocking unless `set_nonblocking` was called.
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

/// An end of a copy in the kernel.
macro_rules! copy_end {
    ($t:ty) => {
        impl Sealed for $t {
            fn end(&self) -> End<'_> {
                End::descriptor(&self.0)
            }
        }
    };
}

/// What is particular to a listener: to the kernel it is always in non-blocking mode, since accept4(2) has no flag
/// that asks for it.
macro_rules! listener_conversions {
    ($t:ident, $std:ty) => {
        impl $t {
            /// A second handle to the same socket, which shares the non-blocking mode.
            ///
            /// # Errors
            ///
            /// When the descriptor cannot be duplicated.
            pub fn try_clone(&self) -> io::Result<Self> {
                Ok(Self(self.0.twin(self.0.get().try_clone()?)))
            }

            /// Takes the pending error, if any (`SO_ERROR`).
            ///
            /// # Errors
            ///
            /// What getsockopt(2) says.
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.0.get().take_error()
            }

            /// In non-blocking mode `accept` gives `WouldBlock` instead of waiting.
            ///
            /// To the kernel a listener of this type is always in that mode (`O_NONBLOCK`); this decides between
            /// waiting and giving the error.
            ///
            /// # Errors
            ///
            /// None; the result is std's.
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.0.set_patience(nonblocking);
                Ok(())
            }

            /// The connections, one after the other; never ends by itself.
            ///
            /// Unlike std's, it passes over connections that their clients have given up (`ECONNABORTED` and the like), and
            /// waits while there are no descriptors or no memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), looking again after
            /// 5 ms, and ever more rarely, at least once a second. So an error that it gives is the listener's own. In
            /// non-blocking mode it gives every error, as std's.
            pub fn incoming(&self) -> Incoming<'_> {
                Incoming { listener: self }
            }
        }

        /// See `incoming` of the listener.
        #[derive(Debug)]
        pub struct Incoming<'a> {
            listener: &'a $t,
        }

        impl std::iter::FusedIterator for Incoming<'_> {}

        /// Puts the socket into the kernel's non-blocking mode, which its duplicates share, those of other processes
        /// too; `accept` blocks the fiber. When the last of its clones here is dropped, the socket is in the mode that it had.
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

        /// Puts the socket into blocking mode, unless `set_nonblocking` says otherwise, or it came from std in the other
        /// one. Its duplicates share the mode: do not go on to accept with a clone of this type, which would block
        /// the thread.
        ///
        /// # Panics
        ///
        /// As for the other direction.
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

pub(super) use {copy_end, descriptor_traits, listener_conversions, std_conversions};
