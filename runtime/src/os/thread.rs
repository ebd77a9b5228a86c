//! The threads of a runtime: each is started here, with an alternate stack for the handlers of signals, and ends the process
//! when it panics.
//!
//! What the user writes runs in fibers and jobs, where panics are caught. One that comes to a thread's own frames is a bug
//! of ours or of a waker that we were given; whoever waits for that thread would wait for ever.

#![expect(unsafe_code, reason = "a system call")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use super::signal::AlternateStack;
use super::stderr;

/// Starts a thread that runs `body`.
pub(crate) fn start(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.clone()).spawn(move || {
        // Without it handlers run on the stack that `std` gives, if it does.
        let _signal_stack = AlternateStack::install();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
            // Its destructor may panic as well.
            std::mem::forget(payload);
            die(&name);
        }
    })
}

/// The operating system's id of the calling thread. Never 0.
pub(crate) fn id() -> i32 {
    // SAFETY: gettid(2) has no preconditions.
    unsafe { libc::gettid() }
}

/// The panic hook has said why.
fn die(name: &str) -> ! {
    let report =
        format!("abaca: thread '{name}' has panicked outside of any fiber or job; the process ends.\n");
    stderr::write(report.as_bytes());
    std::process::abort();
}
