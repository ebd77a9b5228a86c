//! Processes: descriptors of children, and hooks for the orderly exit of this process.

#![expect(unsafe_code, reason = "registers a function with the C library")]

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A descriptor for the child process `id`, which becomes readable when the child ends (Linux 5.3). It is closed on exec.
///
/// The caller must not have waited for the child yet, so that the id is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(id, PidfdFlags::empty())?)
}

/// Something to be done when `main` returns or `exit` is called.
pub(crate) trait AtExit {
    fn run();
}

/// Registers this, with the C library and not in a list of our own: a lock around that could be held by another thread at a fork, and a copy
/// that exits would wait for ever. Each caller does so once.
pub(crate) fn at_exit<H: AtExit>() {
    extern "C" fn on_exit<H: AtExit>() {
        let _ = std::panic::catch_unwind(H::run);
    }
    // If there is no memory for one more entry, it is not called.
    // SAFETY: the function is static, and does not unwind: it catches the panics of what it calls.
    unsafe { libc::atexit(on_exit::<H>) };
}
