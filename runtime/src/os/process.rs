//! Processes: descriptors of children, and what is still to be done when this one exits in an orderly way.

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

/// A descriptor of the child `id`, which becomes readable when it ends (Linux 5.3).
///
/// The caller has not waited for that child yet, so the number is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes numbers; the descriptor is closed on exec.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id as libc::pid_t, 0) };
    let fd = super::socket::check(fd as isize)?;
    // SAFETY: the descriptor was just made and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The end belongs to the process, and so does what is called then: set once, before it can be called.
static HOOK: OnceLock<fn()> = OnceLock::new();

/// Calls `hook` when `main` has returned or `exit` was called. The first call wins; later ones change nothing.
pub(crate) fn at_exit(hook: fn()) {
    if HOOK.set(hook).is_ok() {
        // SAFETY: the function is static, and does not unwind: the hook's panics end at its boundary. If there is no memory
        // for one more entry, the hook is not called.
        unsafe { libc::atexit(on_exit) };
    }
}

extern "C" fn on_exit() {
    if let Some(hook) = HOOK.get() {
        let _ = std::panic::catch_unwind(hook);
    }
}
