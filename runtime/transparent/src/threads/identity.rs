//! Who a thread is, and its end: pthread_self, pthread_exit.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::Ordering;

use abaca::hook::{self, Sleep};
use libc::pthread_t;

use super::acquire::{ONE_KIND, beside};
use super::create::{self, ALIVE};
use super::record::Record;
use crate::hooks::hooks;
use crate::own::own;
use crate::table::Hook;

hooks! {
    /// pthread_self(3).
    fn pthread_self() -> pthread_t, |_| -> always {
        current()
    }

    /// thrd_current.
    fn thrd_current() -> pthread_t, |_| -> always {
        current()
    }
}

/// The calling thread.
pub(crate) fn current() -> pthread_t {
    Record::current().map_or_else(own_self, Record::thread)
}

/// libc's own idea of the caller.
pub(crate) fn own_self() -> pthread_t {
    // SAFETY: it takes nothing.
    unsafe { own!(fn pthread_self() -> pthread_t)() }
}

/// The hooks of this file that unwind.
pub(crate) const EXITS: &[Hook] =
    &[Hook(pthread_exit as *const (), "pthread_exit"), Hook(thrd_exit as *const (), "thrd_exit")];

/// pthread_exit(3).
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn pthread_exit(value: *mut c_void) -> ! {
    exit(value.expose_provenance())
}

/// thrd_exit.
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn thrd_exit(value: c_int) -> ! {
    exit(value as usize)
}

/// Ends the calling thread.
pub(crate) fn exit(value: usize) -> ! {
    if let Some(record) = Record::current() {
        // Relaxed: the fiber itself reads it, where the unwinding ends.
        record.exit_value.store(value, Ordering::Relaxed);
    } else if hook::on_fiber() {
        eprintln!(
            "abaca-transparent: pthread_exit ends a thread, and its caller is a fiber that pthread_create has not made"
        );
        std::process::abort();
    } else if create::has_runtime() && is_main() {
        exit_main();
    }
    // SAFETY: it unwinds the caller, who wants to end.
    unsafe { own!(fn pthread_exit(usize) -> !)(value) }
}

fn is_main() -> bool {
    // SAFETY: they take nothing.
    unsafe { libc::gettid() == libc::getpid() }
}

/// Ends the main thread: the process goes on until its last thread has ended. The runtime's own threads never do.
fn exit_main() -> ! {
    let address = beside(ALIVE.as_ptr());
    let sleep = Sleep { address, bits: ONE_KIND, deadline: None, is_cancellable: false };
    while ALIVE.load(Ordering::SeqCst) != 0 {
        hook::sleep_at(sleep, || ALIVE.load(Ordering::SeqCst) != 0, || ());
    }
    std::process::exit(0)
}
