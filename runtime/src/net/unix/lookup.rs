//! Where a path is looked up: on the worker if the kernel remembers all of it, else on a thread of the blocking pool, since a
//! disk, a network, or a program that serves files may take its time.

use std::io;

use socket2::SockAddr;

use super::SocketAddr;
use crate::blocking;
use crate::os::lookup;

/// Whether a call with this address had better not be made on a worker, and the caller is on one.
pub(super) fn may_wait(address: &SockAddr) -> bool {
    address.as_pathname().is_some_and(|path| blocking::has_pool() && !lookup::is_cached(path))
}

/// Makes something at `address`, which takes what a file takes if it is a path.
pub(super) fn make<T: Send + 'static>(
    address: SocketAddr,
    make: impl FnOnce(&SocketAddr) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if address.as_pathname().is_none() {
        return make(&address);
    }
    blocking::run_owned(move || make(&address))
}
