//! accept(2). No flag keeps it from waiting, so one caller of this process at a time looks whether there is a connection, and takes it.
//! Another process that accepts from the same socket may be faster: then the call waits in the kernel, and the worker leaves its thread.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::c_int;

use abaca::hook::accepted;
use abaca::hook::descriptors::{
    Attempt, Direction, Moment, WaitLimit, born, born_of_listener, in_turn, number_of_poller, retry,
};
use libc::{sockaddr, socklen_t};

use super::connect::option;
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
    // SAFETY: the caller's promise: null, or the number of bytes at the address.
    let has_room = !address.is_null() && unsafe { address_bytes.as_ref() }.is_some_and(|room| *room >= 2);
    // What the kernel refuses at once it is to refuse at once: nobody ever connects to a socket that does not listen.
    let is_refused = flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0;
    let mut was_asked = false;
    let mut limit = WaitLimit::of_descriptor();
    let mut moment = Moment::now();
    let ended = retry(Attempt {
        fd,
        direction: Direction::Read,
        wanted: 0,
        limit: &mut limit,
        call: |fd| {
            let look_and_accept = || match look_at(fd, libc::POLLIN) {
                Ok(0) if !is_refused && was_asked => failed(libc::EAGAIN),
                Ok(0) if !is_refused && listens(fd) => {
                    was_asked = true;
                    refusal().unwrap_or(failed(libc::EAGAIN))
                }
                Ok(_) => {
                    moment = Moment::now();
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
        let made = taken as c_int;
        if has_room && flags & (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) == libc::SOCK_CLOEXEC {
            // SAFETY: the kernel has written the family, which is first.
            let family = c_int::from(unsafe { address.cast::<libc::sa_family_t>().read_unaligned() });
            born_of_listener(fd, made, moment, matches!(family, libc::AF_INET | libc::AF_INET6));
        } else {
            born(made);
        }
        accepted();
    }
    taken
}

/// The error of a call that is about to wait, for which there is no number any more: the kernel takes one before it waits. It does so as well before it sees
/// that a descriptor is no socket (since Linux 5.15: before, such calls end when somebody connects).
fn refusal() -> Option<isize> {
    let poller = number_of_poller()?;
    // SAFETY: no memory is involved.
    let refused = unsafe { kernel!(libc::SYS_accept4, poller, 0, 0, libc::SOCK_CLOEXEC) };
    [libc::EMFILE, libc::ENFILE].map(failed).contains(&refused).then_some(refused)
}

/// Whether the number is that of a socket to which others connect.
fn listens(fd: c_int) -> bool {
    option(fd, libc::SO_ACCEPTCONN) == Some(1)
}
