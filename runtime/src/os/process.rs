//! Processes: descriptors of children, and a hook for the orderly exit of this process.

#![expect(unsafe_code, reason = "registers a function with the C library")]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A descriptor for the child process `id`, which becomes readable when the child ends (Linux 5.3). It is closed on exec.
///
/// The caller must not have waited for the child yet, so that the id is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(id, PidfdFlags::empty())?)
}

/// A process exits once, so the hook is a static. It is set once, before it can be called.
static HOOK: OnceLock<fn()> = OnceLock::new();

/// Registers `hook`, which is called when `main` returns or `exit` is called. The first call wins; later ones change nothing.
pub(crate) fn at_exit(hook: fn()) {
    if HOOK.set(hook).is_ok() {
        // If there is no memory for one more entry, the hook is not called.
        // SAFETY: the function is static, and does not unwind: it catches the hook's panics.
        unsafe { libc::atexit(on_exit) };
    }
}

extern "C" fn on_exit() {
    if let Some(hook) = HOOK.get() {
        let _ = std::panic::catch_unwind(hook);
    }
}
