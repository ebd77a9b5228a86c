//! accept(2). No flag keeps it from waiting, so one caller of this process at a time looks whether there is a connection, and takes it.
//! Another process that accepts from the same socket may be faster: then the call waits in the kernel, and the worker leaves its thread.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::c_int;

use abaca::hook::accepted;
use abaca::hook::descriptors::{Attempt, Direction, WaitLimit, born, in_turn, retry};
use libc::{sockaddr, socklen_t};

use super::poll::look_at;
use super::wishes::result;
use crate::answer::failed;
use crate::hooks::hooks;
use crate::kernel::kernel;

hooks! {
    /// accept(2).
    fn accept(fd: c_int, address: *mut sockaddr, address_bytes: *mut socklen_t) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { accept_one(fd, address, address_bytes, 0) }
    }

    /// accept4(2).
    fn accept4(fd: c_int, address: *mut sockaddr, address_bytes: *mut socklen_t, flags: c_int) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { accept_one(fd, address, address_bytes, flags) }
    }
}

/// # Safety
///
/// The arguments are those of accept4(2).
unsafe fn accept_one(
    fd: c_int,
    address: *mut sockaddr,
    address_bytes: *mut socklen_t,
    flags: c_int,
) -> isize {
    let mut limit = WaitLimit::of_descriptor();
    let ended = retry(Attempt {
        fd,
        direction: Direction::Read,
        wanted: 0,
        limit: &mut limit,
        call: |fd| {
            let look_and_accept = || match look_at(fd, libc::POLLIN) {
                Ok(0) => failed(libc::EAGAIN),
                Ok(_) => {
                    // SAFETY: the caller's promise.
                    unsafe { kernel!(libc::SYS_accept4, fd, address, address_bytes, flags) }
                }
                Err(error) => error,
            };
            in_turn(fd, look_and_accept).unwrap_or(failed(libc::ECANCELED))
        },
    });
    let taken = result(ended, libc::EAGAIN);
    if taken >= 0 {
        born(taken as c_int);
        accepted();
    }
    taken
}
