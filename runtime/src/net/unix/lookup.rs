//! Where a path is looked up: on the worker if the kernel has all of it in its cache, otherwise on a thread of the blocking pool,
//! since a disk, a network, or a program that serves files may take its time.

use std::io;

use socket2::SockAddr;

use super::SocketAddr;
use crate::blocking;
use crate::os::lookup;

/// Whether the caller is on a worker, and a call with this address may block it.
pub(super) fn may_wait(address: &SockAddr) -> bool {
    address.as_pathname().is_some_and(|path| blocking::has_pool() && !lookup::is_cached(path))
}

/// Calls `make` with `address`: on the blocking pool if it is a path.
pub(super) fn make<T: Send + 'static>(
    address: SocketAddr,
    make: impl FnOnce(&SocketAddr) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if address.as_pathname().is_none() {
        return make(&address);
    }
    blocking::run_owned(move || make(&address))
}
