//! What is still to be done when the process exits in an orderly way.

#![expect(unsafe_code, reason = "a system call")]

use std::sync::OnceLock;

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
