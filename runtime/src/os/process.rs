//! Processes: descriptors of children, and what is still to be done when this one exits in an orderly way.

#![expect(unsafe_code, reason = "registers a function with the C library")]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A descriptor of the child `id`, which becomes readable when it ends (Linux 5.3). It is closed on exec.
///
/// The caller must not have waited for the child yet, so that the id is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(id, PidfdFlags::empty())?)
}

/// The end belongs to the process, and so does what is called then: set once, before it can be called.
static HOOK: OnceLock<fn()> = OnceLock::new();

/// Calls `hook` when `main` has returned or `exit` was called. The first call wins; later ones change nothing.
pub(crate) fn at_exit(hook: fn()) {
    if HOOK.set(hook).is_ok() {
        // SAFETY: the function is static, and does not unwind: the hook's panics end at its cancel scope. If there is no memory
        // for one more entry, the hook is not called.
        unsafe { libc::atexit(on_exit) };
    }
}

extern "C" fn on_exit() {
    if let Some(hook) = HOOK.get() {
        let _ = std::panic::catch_unwind(hook);
    }
}
