//! recvmsg(2) and recvmmsg(2): as recv(2), with control data.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_uint};
use std::time::{Duration, Instant};

use abaca::hook::descriptors::{AFTER_PART, Attempt, Direction, WaitLimit, retry};
use libc::{MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_WAITFORONE, mmsghdr, msghdr, ssize_t, timespec};

use super::broken::{is_broken_and_empty, kept};
use super::options::least;
use super::receive::{NEVER_WAITS, ended_nothing, has_ended, is_stream, is_tcp, waits_for_a_peek};
use super::rights::forget_received;
use super::send::after_part;
use super::shut::unless_shut;
use super::vectors::Vectors;
use super::wishes::result;
use crate::answer::failed;
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;

hooks! {
    /// recvmsg(2).
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { receive_message(fd, message, flags, &mut WaitLimit::of_descriptor()) }
    }

    /// recvmmsg(2).
    fn recvmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { receive_messages(fd, messages, count, flags, timeout) }
    }
}

/// For how many bytes a header's buffers have room.
///
/// # Safety
///
/// The header is one that recvmsg(2) has taken.
unsafe fn room(message: *const msghdr) -> usize {
    // SAFETY: the caller's promise.
    unsafe { Vectors::of((*message).msg_iov, (*message).msg_iovlen) }.bytes()
}

/// Whether a header has no room for a byte.
///
/// # Safety
///
/// As [`room`].
unsafe fn is_of_nothing(message: *const msghdr) -> bool {
    // SAFETY: the caller's promise.
    unsafe { Vectors::of((*message).msg_iov, (*message).msg_iovlen) }
        .rest()
        .iter()
        .all(|buffer| buffer.iov_len == 0)
}

/// recvmsg(2) on a fiber.
///
/// # Safety
///
/// The arguments are those of recvmsg(2).
pub(super) unsafe fn receive_message(
    fd: c_int,
    message: *mut msghdr,
    flags: c_int,
    limit: &mut WaitLimit,
) -> isize {
    if let Some(error) = kept(fd) {
        return error;
    }
    // SAFETY: the caller's promise.
    let call = |fd, flags| unsafe { kernel!(libc::SYS_recvmsg, fd, message, flags) };
    // Where the control data goes, if the first part brings none.
    // SAFETY: null, or the user's.
    let control = unsafe { message.as_ref() }.map(|header| (header.msg_control, header.msg_controllen));
    let moved = if flags & NEVER_WAITS != 0 {
        looked(call(fd, flags))
    } else {
        // A peek begins anew each time.
        let least = match flags & (MSG_PEEK | MSG_WAITALL) {
            0 | MSG_WAITALL => 1,
            MSG_PEEK => least(fd),
            _ => usize::MAX,
        };
        let peeks = least > 1 && is_stream(fd) && waits_for_a_peek(fd);
        let flags = flags & !MSG_WAITALL;
        let mut before = 0;
        let mut waits_for_nothing = false;
        let call = |fd| {
            if before > 0
                && let Some((_, bytes)) = control
            {
                // SAFETY: the header is the user's, and the kernel has used it.
                unsafe { (*message).msg_controllen = bytes };
            }
            let found = unless_shut(fd, |look| call(fd, flags | look));
            // SAFETY: a header that the kernel would wait with is one that it has taken.
            if found == failed(libc::EAGAIN) && unsafe { is_of_nothing(message) } && is_tcp(fd) {
                waits_for_nothing = true;
                return AFTER_PART;
            }
            // SAFETY: as above.
            if !peeks || found <= 0 || found as usize >= unsafe { room(message) }.min(least) || has_ended(fd)
            {
                return found;
            }
            before = found;
            failed(libc::EAGAIN)
        };
        let ended = retry(Attempt { fd, direction: Direction::Read, wanted: 0, limit, call });
        match if waits_for_nothing { ended_nothing(ended) } else { result(ended, libc::EAGAIN) } {
            error if error < 0 && before > 0 => before,
            found => found,
        }
    };
    if moved < 0 {
        return moved;
    }
    // SAFETY: the kernel has filled the header in, which is the user's.
    let header = unsafe { &mut *message };
    // SAFETY: as above.
    let mut has_rights = unsafe { forget_received(header) };
    if flags & (NEVER_WAITS | MSG_PEEK) != 0 || moved <= 0 {
        return moved;
    }
    let least = if flags & MSG_WAITALL == 0 { least(fd) } else { usize::MAX };
    if least <= moved as usize || flags & MSG_WAITALL != 0 && !is_stream(fd) {
        return moved;
    }
    // SAFETY: the header has so many buffers.
    let mut rest = unsafe { Vectors::of(header.msg_iov, header.msg_iovlen) };
    let mut done = moved as usize;
    rest.advance(done);
    // What brings descriptors is the last part, in the kernel as well: there is room for one list of them.
    let is_complete = |rest: &Vectors, done, has_rights| rest.bytes() == 0 || done >= least || has_rights;
    if is_complete(&rest, done, has_rights) {
        return done as isize;
    }
    let call = |fd| loop {
        let (msg_control, msg_controllen) = control.unwrap_or((std::ptr::null_mut(), 0));
        let mut part = msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: rest.pointer().cast_mut(),
            msg_iovlen: rest.count() as _,
            msg_control,
            msg_controllen,
            ..*header
        };
        if is_broken_and_empty(fd) {
            return 0;
        }
        let flags = flags & !MSG_WAITALL | MSG_DONTWAIT;
        // SAFETY: the rest of the user's buffers, and the room for control data.
        let moved = unsafe { kernel!(libc::SYS_recvmsg, fd, &raw mut part, flags) };
        if moved <= 0 {
            return after_part(fd, moved, done);
        }
        done += moved as usize;
        rest.advance(moved as usize);
        if part.msg_controllen > 0 {
            header.msg_controllen = part.msg_controllen;
        }
        header.msg_flags |= part.msg_flags;
        // SAFETY: the kernel has filled it in.
        has_rights = unsafe { forget_received(&part) };
        if is_complete(&rest, done, has_rights) {
            return moved;
        }
    };
    // However it ends, the parts are the result.
    let _ = retry(Attempt { fd, direction: Direction::Read, wanted: 0, limit, call });
    done as isize
}

/// recvmmsg(2) on a fiber: as the kernel's, it looks at the time only when something has come.
///
/// # Safety
///
/// The arguments are those of recvmmsg(2).
unsafe fn receive_messages(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> isize {
    // SAFETY: null, or the user's.
    let timeout = unsafe { timeout.as_mut() };
    if timeout.as_ref().is_some_and(|time| time.tv_sec < 0 || !(0..1_000_000_000).contains(&time.tv_nsec)) {
        return failed(libc::EINVAL);
    }
    let end = timeout
        .as_ref()
        .and_then(|time| Instant::now().checked_add(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)));
    if messages.is_null() {
        // The kernel refuses it, if there are to be some.
        // SAFETY: the caller's promise.
        return unsafe { kernel!(libc::SYS_recvmmsg, fd, messages, count, flags | MSG_DONTWAIT, 0) };
    }
    let mut flags = flags;
    let mut done = 0;
    let mut error = 0;
    while done < count {
        // SAFETY: the user's array has so many elements.
        let message = unsafe { &mut *messages.add(done as usize) };
        let own_flags = flags & !MSG_WAITFORONE;
        // SAFETY: the header is the user's.
        let moved =
            unsafe { receive_message(fd, &mut message.msg_hdr, own_flags, &mut WaitLimit::of_descriptor()) };
        if moved < 0 {
            error = moved;
            break;
        }
        message.msg_len = moved as c_uint;
        done += 1;
        if flags & MSG_WAITFORONE != 0 {
            flags |= MSG_DONTWAIT;
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            break;
        }
    }
    if let (Some(end), Some(timeout)) = (end, timeout)
        && done > 0
    {
        let left = end.saturating_duration_since(Instant::now());
        (timeout.tv_sec, timeout.tv_nsec) = (left.as_secs() as i64, i64::from(left.subsec_nanos()));
    }
    if done > 0 { done as isize } else { error }
}
