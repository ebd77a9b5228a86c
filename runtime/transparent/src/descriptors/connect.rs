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
                    if !was_first && is_tcp && has_ended(fd) {
                        // SAFETY: as above.
                        return how_it_ended(fd, |length| unsafe { kernel!(libc::SYS_connect, fd, address, length) }, address_bytes);
                    }
                    match without_waiting(fd, call) {
                        // It was shut down just now, and this is another attempt, which nobody wants.
                        result if result == failed(libc::EINPROGRESS) && !was_first && is_tcp => {
                            // SAFETY: no memory is involved.
                            unsafe { kernel!(libc::SYS_shutdown, fd, libc::SHUT_RDWR) };
                            failed(option(fd, libc::SO_ERROR).filter(|error| *error != 0).unwrap_or(libc::ECONNRESET))
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

/// Whether the attempt of a socket of TCP's is over, and there is no connection.
fn has_ended(fd: c_int) -> bool {
    /// TCP_CLOSE of the kernel's states.
    const CLOSED: u8 = 7;
    let (mut state, mut bytes): (u8, socklen_t) = (0, 1);
    let (place, size) = ((&raw mut state).addr(), (&raw mut bytes).addr());
    // SAFETY: the kernel writes one byte, the state, and how many it has written.
    let result = unsafe { kernel!(libc::SYS_getsockopt, fd, libc::IPPROTO_TCP, libc::TCP_INFO, place, size) };
    result == 0 && state == CLOSED
}

/// The error of an attempt of TCP's that is over. The call that tells it would begin another one, if the socket was shut down: not with an address
/// of so many bytes as tell its family.
#[cold]
fn how_it_ended(fd: c_int, call: impl Fn(socklen_t) -> isize, address_bytes: socklen_t) -> isize {
    const FAMILY_BYTES: socklen_t = size_of::<libc::sa_family_t>() as socklen_t;
    match without_waiting(fd, |_| call(FAMILY_BYTES)) {
        result if result == failed(libc::EINVAL) => {}
        result => return result,
    }
    match option(fd, libc::SO_ERROR) {
        None | Some(0) => failed(libc::ECONNABORTED),
        // What shuts an attempt down resets it; a peer refuses it.
        Some(libc::ECONNRESET) => failed(libc::ECONNRESET),
        // SELinux refuses the address first. Then the call that is to tell the error is still to be made.
        Some(error) => {
            without_waiting(fd, |_| call(address_bytes));
            failed(error)
        }
    }
}

/// Makes a call on a socket that is in non-blocking mode meanwhile.
fn without_waiting(fd: c_int, call: impl FnOnce(c_int) -> isize) -> isize {
    super::mode::without_waiting(fd, || call(fd))
}

/// A number that is an option of a socket's own level; `None` if the descriptor is no socket.
pub(super) fn option(fd: c_int, name: c_int) -> Option<c_int> {
    // SAFETY: a number.
    unsafe { socket_option(fd, name, 0) }
}
