//! Processes: descriptors of children, and hooks for the orderly exit of this process.

#![expect(unsafe_code, reason = "registers a function with the C library")]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A descriptor for the child process `id`, which becomes readable when the child ends (Linux 5.3). It is closed on exec.
///
/// The caller must not have waited for the child yet, so that the id is still the child's.
pub(crate) fn pidfd(id: u32) -> io::Result<OwnedFd> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(id, PidfdFlags::empty())?)
}

/// A process exits once, so the list of hooks is a static.
static HOOKS: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

/// Registers `hook`, which is called when `main` returns or `exit` is called. Each caller does so once.
pub(crate) fn at_exit(hook: fn()) {
    let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    if hooks.is_empty() {
        // If there is no memory for one more entry, the hooks are not called.
        // SAFETY: the function is static, and does not unwind: it catches the hooks' panics.
        unsafe { libc::atexit(on_exit) };
    }
    hooks.push(hook);
}

extern "C" fn on_exit() {
    // Not under the lock: a hook may lead to the registration of another.
    let hooks = std::mem::take(&mut *HOOKS.lock().unwrap_or_else(PoisonError::into_inner));
    for hook in hooks {
        let _ = std::panic::catch_unwind(hook);
    }
}
