//! connect(2). No flag keeps it from waiting, so the socket is in non-blocking mode for the time of the call.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::c_int;

use abaca::hook::descriptors::{Attempt, Direction, WaitLimit, retry};
use libc::{sockaddr, socklen_t};

use super::pause::retry_on_file;
use super::wishes::{deadline, is_nonblocking, result, socket_option};
use crate::answer::failed;
use crate::hooks::hooks;
use crate::kernel::kernel;

hooks! {
    /// connect(2).
    fn connect(fd: c_int, address: *const sockaddr, address_bytes: socklen_t) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise, here and below.
        let call = |fd: c_int| unsafe { kernel!(libc::SYS_connect, fd, address, address_bytes) };
        if is_nonblocking(fd) || option(fd, libc::SO_TYPE) == Some(libc::SOCK_DGRAM) {
            return crate::enter::looked(call(fd));
        }
        let mut limit = WaitLimit::of_waiting_descriptor();
        let family = option(fd, libc::SO_DOMAIN);
        if family == Some(libc::AF_UNIX) {
            // If the listener's queue is full, no event says when it is not.
            let ended = retry_on_file(fd, || deadline(fd, Direction::Write), |fd| without_waiting(fd, call));
            result(ended, libc::EAGAIN)
        } else {
            let is_tcp = option(fd, libc::SO_PROTOCOL) == Some(libc::IPPROTO_TCP);
            let is_internet = [Some(libc::AF_INET), Some(libc::AF_INET6)].contains(&family);
            let mut is_first = true;
            let mut timed_out = libc::EINPROGRESS;
            let ended = retry(Attempt {
                fd,
                direction: Direction::Write,
                wanted: 0,
                limit: &mut limit,
                call: |fd| {
                    let was_first = std::mem::replace(&mut is_first, false);
                    // The next call of TCP's tells how the attempt has ended; that of others, such as AF_VSOCK, begins another one.
                    if !was_first && !is_internet && let Some(error @ 1..) = option(fd, libc::SO_ERROR) {
                        return failed(error);
                    }
                    // Nor does TCP's, with an address that is too short, if the attempt is over since somebody has shut the socket down.
                    let length = if was_first || !is_tcp { address_bytes } else { FAMILY_BYTES };
                    // SAFETY: the caller's promise.
                    let call = |fd: c_int| unsafe { kernel!(libc::SYS_connect, fd, address, length) };
                    match without_waiting(fd, call) {
                        result if result == failed(libc::EINVAL) && length == FAMILY_BYTES => {
                            failed(option(fd, libc::SO_ERROR).filter(|error| *error != 0).unwrap_or(libc::ECONNABORTED))
                        }
                        // Of an attempt that another call has begun, the end of the time is told so.
                        result if result == failed(libc::EALREADY) && !was_first => failed(libc::EAGAIN),
                        result if result == failed(libc::EALREADY) => {
                            timed_out = libc::EALREADY;
                            failed(libc::EAGAIN)
                        }
                        result if result == failed(libc::EINPROGRESS) => failed(libc::EAGAIN),
                        // Only the first call can find a socket that was connected before.
                        result if result == failed(libc::EISCONN) && !was_first => 0,
                        result => result,
                    }
                },
            });
            result(ended, timed_out)
        }
    }
}

/// So much of an address tells its family.
const FAMILY_BYTES: socklen_t = size_of::<libc::sa_family_t>() as socklen_t;

/// Makes a call on a socket that is in non-blocking mode meanwhile.
fn without_waiting(fd: c_int, call: impl FnOnce(c_int) -> isize) -> isize {
    super::mode::without_waiting(fd, || call(fd))
}

/// A number that is an option of a socket's own level; `None` if the descriptor is no socket.
pub(super) fn option(fd: c_int, name: c_int) -> Option<c_int> {
    // SAFETY: a number.
    unsafe { socket_option(fd, name, 0) }
}
