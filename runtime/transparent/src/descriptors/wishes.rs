//! How a call ends, and whether its user wants errors.

#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_int;
use std::time::{Duration, Instant};

pub(super) use abaca::hook::descriptors::is_nonblocking;
use abaca::hook::descriptors::{Direction, Ended};

use crate::answer::failed;
use crate::enter::would_block;
use crate::kernel::kernel;

/// The end of a wait of a socket's that begins now, by SO_RCVTIMEO or SO_SNDTIMEO. `Err`: the user wants an error instead.
pub(super) fn deadline(fd: c_int, direction: Direction) -> Result<Option<Instant>, ()> {
    if is_nonblocking(fd) {
        return Err(());
    }
    let name = if direction == Direction::Read { libc::SO_RCVTIMEO } else { libc::SO_SNDTIMEO };
    // SAFETY: two numbers.
    let value = unsafe { socket_option(fd, name, libc::timeval { tv_sec: 0, tv_usec: 0 }) };
    let Some(value) = value.filter(|value| (value.tv_sec, value.tv_usec) != (0, 0)) else { return Ok(None) };
    let timeout = Duration::new(value.tv_sec.max(0) as u64, value.tv_usec.clamp(0, 999_999) as u32 * 1000);
    Ok(Instant::now().checked_add(timeout))
}

/// The kernel's result for how a call has ended: `timed_out` is the error of one whose time was up.
pub(crate) fn result(ended: Ended, timed_out: c_int) -> isize {
    match ended {
        Ended::Done(result) => result,
        Ended::WouldBlock => would_block(),
        Ended::TimedOut => failed(timed_out),
        Ended::Cancelled => failed(libc::ECANCELED),
        Ended::Interrupted => failed(libc::EINTR),
        // What cannot be watched is always ready, and its calls have been made.
        Ended::Unwatchable => failed(libc::EPERM),
    }
}

/// An option of a socket's own level, whose type is that of `value`; `None` if the descriptor is no socket.
///
/// # Safety
///
/// Any bytes make a value of the type.
pub(super) unsafe fn socket_option<T: Copy>(fd: c_int, name: c_int, mut value: T) -> Option<T> {
    let mut bytes = size_of::<T>();
    // SAFETY: the kernel writes no more than these bytes, and their number; the caller's promise.
    let result = unsafe {
        kernel!(
            libc::SYS_getsockopt,
            fd,
            libc::SOL_SOCKET,
            name,
            (&raw mut value).addr(),
            (&raw mut bytes).addr()
        )
    };
    (result == 0).then_some(value)
}
