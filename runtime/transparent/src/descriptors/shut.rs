//! shutdown(2). Of sockets that are no streams a call that waits for a datagram ends with none, where an attempt that does not wait says EAGAIN
//! as before. Of a Unix socket without room no event tells
//! those who wait for some, on it or on its other end.

#![expect(unsafe_code, reason = "takes the place of a function of libc")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::hook::descriptors::{look_again_at, look_again_everywhere};
use libc::{AF_UNIX, MSG_DONTWAIT, POLLRDHUP, SHUT_RD, SHUT_WR, SO_DOMAIN, SO_TYPE, SOCK_STREAM};

use super::connect::option;
use super::poll::look_at;
use super::wishes::is_nonblocking;
use crate::answer::{errno, failed, set_errno};
use crate::hooks::hooks;
use crate::own::own;

/// Whether anybody has ever shut down such a socket for reads: as long as nobody has, a read need not ask.
static IS_USED: AtomicBool = AtomicBool::new(false);

hooks! {
    /// shutdown(2). An error does not mean that nothing was shut down: UDP's sockets say ENOTCONN.
    fn shutdown(fd: c_int, how: c_int) -> c_int, |_| -> always {
        if how != SHUT_WR && !IS_USED.load(Ordering::Relaxed) && option(fd, SO_TYPE).is_some_and(|kind| kind != SOCK_STREAM) {
            // Before the call, which wakes those who wait. SeqCst, both: they look after they were woken.
            IS_USED.store(true, Ordering::SeqCst);
        }
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn shutdown(c_int, c_int) -> c_int)(fd, how) };
        let errno = errno();
        if how != SHUT_RD {
            look_again_at(fd);
        } else if option(fd, SO_DOMAIN) == Some(AF_UNIX) {
            look_again_everywhere();
        }
        set_errno(errno);
        result
    }
}

/// Makes a call that reads, with MSG_DONTWAIT; without, where it does not wait since nothing will come.
#[inline]
pub(super) fn unless_shut(fd: c_int, mut call: impl FnMut(c_int) -> isize) -> isize {
    let result = call(MSG_DONTWAIT);
    if result == failed(libc::EAGAIN) && IS_USED.load(Ordering::SeqCst) && is_shut(fd) {
        return call(0);
    }
    result
}

#[cold]
fn is_shut(fd: c_int) -> bool {
    option(fd, SO_TYPE).is_some_and(|kind| kind != SOCK_STREAM)
        && look_at(fd, POLLRDHUP).is_ok_and(|found| found & POLLRDHUP != 0)
        && !is_nonblocking(fd)
}
