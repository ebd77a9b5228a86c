//! Options of sockets that hooks ask for: whether close(2) waits (SO_LINGER), how long other calls do, and for how much (SO_RCVLOWAT).

#![expect(unsafe_code, reason = "takes the place of a function of libc, and makes system calls")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::hook::descriptors::timeouts_changed;
use libc::socklen_t;

use super::broken::kept;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// The same options with times that are valid beyond 2038 on all machines.
const SO_RCVTIMEO_NEW: c_int = 66;
const SO_SNDTIMEO_NEW: c_int = 67;

/// Whether anybody has ever made a socket linger: as long as nobody has, a close need not ask.
static IS_USED: AtomicBool = AtomicBool::new(false);

/// Whether anybody has ever asked for more than is there at first (SO_RCVLOWAT): as long as nobody has, a read need not ask.
static HAS_LEAST: AtomicBool = AtomicBool::new(false);

hooks! {
    /// setsockopt(2).
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, bytes: socklen_t) -> c_int, |_| -> always {
        if (level, name) == (libc::SOL_SOCKET, libc::SO_LINGER) {
            // Relaxed: who closes the socket knows of this call by other means.
            IS_USED.store(true, Ordering::Relaxed);
        }
        if (level, name) == (libc::SOL_SOCKET, libc::SO_RCVLOWAT) {
            // Relaxed: as above.
            HAS_LEAST.store(true, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn setsockopt(c_int, c_int, c_int, *const c_void, socklen_t) -> c_int)(fd, level, name, value, bytes) };
        if level == libc::SOL_SOCKET && [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW].contains(&name) {
            timeouts_changed();
        }
        result
    }

    /// getsockopt(2). SO_ERROR is an error that is kept here, if the kernel has none.
    fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, bytes: *mut socklen_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        let result = unsafe { own!(fn getsockopt(c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int)(fd, level, name, value, bytes) };
        let is_error = result == 0 && (level, name) == (libc::SOL_SOCKET, libc::SO_ERROR);
        // SAFETY: the kernel has written so many bytes.
        if is_error && unsafe { *bytes } as usize == size_of::<c_int>() && unsafe { value.cast::<c_int>().read_unaligned() } == 0
            && let Some(error) = kept(fd)
        {
            // SAFETY: as above.
            unsafe { value.cast::<c_int>().write_unaligned(-error as c_int) };
        }
        result
    }
}

/// Whether a close of this number may wait.
#[inline]
pub(super) fn may_wait(fd: c_int) -> bool {
    IS_USED.load(Ordering::Relaxed) && lingers(fd)
}

#[cold]
fn lingers(fd: c_int) -> bool {
    let mut value = libc::linger { l_onoff: 0, l_linger: 0 };
    let mut bytes = size_of::<libc::linger>();
    // SAFETY: the kernel writes the structure, and its length.
    let result = unsafe {
        kernel!(
            libc::SYS_getsockopt,
            fd,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw mut value).addr(),
            (&raw mut bytes).addr()
        )
    };
    result == 0 && value.l_onoff != 0 && value.l_linger != 0
}

/// Whether a read of a socket may have to wait although something is there.
#[inline]
pub(super) fn may_have_least() -> bool {
    HAS_LEAST.load(Ordering::Relaxed)
}

/// For how many bytes a read of a stream waits, at least one: an attempt that does not wait takes fewer all the same.
#[inline]
pub(super) fn least(fd: c_int) -> usize {
    if may_have_least() { asked_least(fd) } else { 1 }
}

#[cold]
fn asked_least(fd: c_int) -> usize {
    let asked = super::connect::option(fd, libc::SO_RCVLOWAT).filter(|_| super::receive::is_stream(fd));
    asked.map_or(1, |bytes| usize::try_from(bytes).unwrap_or(1).max(1))
}

/// A close of this number does not wait from now on: the kernel sends what is left.
pub(super) fn linger_no_longer(fd: c_int) {
    let value = libc::linger { l_onoff: 0, l_linger: 0 };
    // SAFETY: the kernel reads the structure.
    unsafe {
        kernel!(
            libc::SYS_setsockopt,
            fd,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const value).addr(),
            size_of::<libc::linger>()
        )
    };
}
