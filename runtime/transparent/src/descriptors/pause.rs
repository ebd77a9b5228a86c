//! Calls that would wait for something of which no event tells: they are repeated after pauses.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use abaca::hook::descriptors::{Ended, Held};
use abaca::hook::{Pauses, Slept, sleep_until};

use crate::answer::failed;

const FIRST: Duration = Duration::from_micros(500);

/// Makes `call` until it returns something else than `-EAGAIN`, and sleeps in between: at first for half a millisecond, then [ever
/// longer](Pauses). `limit` is asked once, for the end of the whole; an error means that the user wants one.
///
/// A handler with SA_RESTART does not end it.
pub(crate) fn retry_with_pauses(
    limit: impl FnOnce() -> Result<Option<Instant>, ()>,
    call: impl FnMut() -> isize,
) -> Ended {
    retry_until_handled(limit, call, false)
}

/// [`retry_with_pauses`] of a call on a descriptor, which `call` is given: if its number is closed meanwhile, the call goes on with the file.
pub(crate) fn retry_on_file(
    fd: c_int,
    limit: impl FnOnce() -> Result<Option<Instant>, ()>,
    mut call: impl FnMut(c_int) -> isize,
) -> Ended {
    let mut held: Option<Held> = None;
    let again = || {
        let number = held.as_ref().map_or(fd, Held::number);
        let result = call(number);
        // Most calls need not wait.
        if result == failed(libc::EAGAIN) {
            held.get_or_insert_with(|| Held::of(fd));
        }
        result
    };
    retry_with_pauses(limit, again)
}

/// [`retry_with_pauses`], which any handler ends, if `ends` says so.
pub(crate) fn retry_until_handled(
    limit: impl FnOnce() -> Result<Option<Instant>, ()>,
    mut call: impl FnMut() -> isize,
    ends: bool,
) -> Ended {
    let mut limit = Some(limit);
    let mut deadline = None;
    let mut pauses = Pauses::starting_with(FIRST);
    loop {
        match call() {
            result if result != failed(libc::EAGAIN) => return Ended::Done(result),
            _ => {}
        }
        if let Some(limit) = limit.take() {
            match limit() {
                Ok(at) => deadline = at,
                Err(()) => return Ended::WouldBlock,
            }
        }
        let now = Instant::now();
        if deadline.is_some_and(|at| at <= now) {
            return Ended::TimedOut;
        }
        let soon = now + pauses.next_pause();
        let until = deadline.map_or(soon, |at| at.min(soon));
        let slept = sleep_until(Some(until));
        if slept == Slept::Cancelled {
            return Ended::Cancelled;
        }
        if slept == Slept::Interrupted || slept == Slept::Handled && ends {
            // As the kernel: what has come meanwhile counts, such as the child whose end has run the handler.
            return match call() {
                result if result == failed(libc::EAGAIN) => Ended::Interrupted,
                result => Ended::Done(result),
            };
        }
    }
}
