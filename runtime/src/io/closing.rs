//! Closing a descriptor whose close(2) may block. On a TCP stream with `SO_LINGER` set, close(2) waits until the peer has
//! acknowledged everything, even in non-blocking mode.

use std::os::fd::AsFd;

use socket2::SockRef;

use crate::blocking;

/// Closes a descriptor. If it `may_linger`, and `SO_LINGER` is set, a thread of the blocking pool closes it while the fiber
/// waits, as a thread would wait with std's socket.
pub(super) fn close<T: AsFd>(inner: T, may_linger: bool) {
    let lingers =
        || SockRef::from(&inner).linger().is_ok_and(|linger| linger.is_some_and(|time| !time.is_zero()));
    if !may_linger || !blocking::has_pool() || !lingers() {
        return;
    }
    // Closing one of two descriptors of a socket is quick. Nobody else has the second one.
    match inner.as_fd().try_clone_to_owned() {
        Ok(last) => {
            drop(inner);
            blocking::run_aside(move || drop(last));
        }
        // No descriptor is left for the second one: the kernel sends the rest in the background, and nobody waits.
        Err(_) => drop(SockRef::from(&inner).set_linger(None)),
    }
}
