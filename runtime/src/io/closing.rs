//! Closing what may take its time: a TCP stream with linger set, of which close(2) waits for the peer to have acknowledged
//! everything, whatever mode it is in.

use std::os::fd::AsFd;

use socket2::SockRef;

use crate::blocking;

/// Closes a descriptor. If it `may_linger`, and does, a thread of the blocking pool closes it, and the fiber waits for that,
/// as it would with std's.
pub(super) fn close<T: AsFd>(inner: T, may_linger: bool) {
    let lingers =
        || SockRef::from(&inner).linger().is_ok_and(|linger| linger.is_some_and(|time| !time.is_zero()));
    if !may_linger || !blocking::has_pool() || !lingers() {
        return;
    }
    // A close is quick as long as there is another descriptor of the socket; and that one is nobody's but ours.
    match inner.as_fd().try_clone_to_owned() {
        Ok(last) => {
            drop(inner);
            blocking::run_aside(move || drop(last));
        }
        // Without a descriptor for it, what is unsent is sent in the background, and nobody waits for it.
        Err(_) => drop(SockRef::from(&inner).set_linger(None)),
    }
}
