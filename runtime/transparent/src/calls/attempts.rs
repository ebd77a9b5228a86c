//! System calls on a thread of the pool that wait there, and are made anew after handlers that let them go on. `kick` makes one attempt.

#![expect(unsafe_code, reason = "lends closures to another thread")]

use std::ffi::c_int;

use abaca::hook::{self, Interrupted, Unattended};

use super::kick::wait_once;
use crate::answer::failed;
use crate::descriptors::second::SecondNumber;

/// What ends the call besides a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handlers {
    /// Any handler of a signal.
    End,
    /// One without SA_RESTART.
    EndUnlessRestarted,
    /// None.
    DoNotEnd,
}

/// Makes a system call on a thread of the pool, and parks the calling fiber meanwhile. It ends early, in `-ECANCELED` or `-EINTR`, if the
/// fiber is cancelled, or a handler of a signal runs for it that ends such a call.
///
/// # Safety
///
/// `call` may be called on another thread while the caller waits, several times, and returns the kernel's result; no signal blocks it from
/// ending in `-EINTR`.
pub(crate) unsafe fn wait_elsewhere(handlers: Handlers, call: impl FnMut() -> isize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { wait_elsewhere_or(handlers, &|| false, call) }.unwrap_or(failed(libc::EINTR))
}

/// The same; `None` if the caller was interrupted, `is_over` says so then, and the call has ended without a result.
///
/// # Safety
///
/// As [`wait_elsewhere`].
pub(crate) unsafe fn wait_elsewhere_or(
    handlers: Handlers,
    is_over: &dyn Fn() -> bool,
    mut call: impl FnMut() -> isize,
) -> Option<isize> {
    again(handlers, is_over, || wait_once(&mut call))
}

/// [`wait_elsewhere`], of a call on a descriptor, which goes on with the file if its number is closed once the caller waits.
///
/// # Safety
///
/// As [`wait_elsewhere`].
pub(crate) unsafe fn wait_elsewhere_on(
    fd: c_int,
    handlers: Handlers,
    mut call: impl FnMut(c_int) -> isize,
) -> isize {
    // One for each attempt: as in the kernel, a call that begins anew has the file that the number is of by then.
    let once = || {
        let number = SecondNumber::of(fd);
        wait_once(&mut || call(number.get()))
    };
    again(handlers, &|| false, once).unwrap_or(failed(libc::EINTR))
}

/// Makes a call until it has ended for the caller.
fn again(
    handlers: Handlers,
    is_over: &dyn Fn() -> bool,
    mut once: impl FnMut() -> (isize, Unattended),
) -> Option<isize> {
    loop {
        if hook::ends_in_error() {
            return Some(failed(libc::ECANCELED));
        }
        let (ended, unattended) = once();
        if !unattended.is_interrupted() {
            return Some(ended);
        }
        let was_over = is_over();
        // No thread has anything of the caller's any more.
        let by = unattended.attend();
        if ended != failed(libc::EINTR) {
            return Some(ended);
        }
        if was_over {
            return None;
        }
        let ends = match handlers {
            Handlers::End => by != Interrupted::Looks,
            Handlers::EndUnlessRestarted => by == Interrupted::Ends,
            Handlers::DoNotEnd => false,
        };
        if ends {
            return Some(ended);
        }
        // As in the kernel, the call is made anew.
    }
}
