//! A hook for the orderly exit of the process.

#![expect(unsafe_code, reason = "a system call")]

use std::sync::OnceLock;

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
