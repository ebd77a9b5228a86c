//! A call that is repeated until it need not wait. `poller/README.md` tells the protocol; `io/descriptor.rs` is the same loop for
//! descriptors of abaca's own.

#![expect(unsafe_code, reason = "descriptors are known by their numbers")]

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Instant;

use super::table::{Watched, find, watched};
use super::{Direction, Ended, Slices, Wishes};
use crate::cell::{Outcome, Reason};
use crate::hook::end_in_error;
use crate::park::{self, Cost};
use crate::poller::{Node, Snapshot};
use crate::scheduler;

const WOULD_BLOCK: isize = -(libc::EAGAIN as isize);
const CLOSED: isize = -(libc::EBADF as isize);

/// A call on a descriptor.
pub struct Attempt<W, C> {
    /// The descriptor.
    pub fd: RawFd,
    /// What the call waits for.
    pub direction: Direction,
    /// How many bytes a call on a stream wants, for which fewer mean that there are no more; 0 if they do not mean that.
    pub wanted: usize,
    /// Asked once, when the call would wait.
    pub wishes: W,
    /// Makes the call under this number, and returns the kernel's result. It does not wait: instead it returns `-EAGAIN`.
    pub call: C,
}

impl<W, C> std::fmt::Debug for Attempt<W, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt")
            .field("fd", &self.fd)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

/// How a wait has ended without a result.
type GaveUp = Ended;

struct Loop<W> {
    /// Asked once.
    wishes: Option<W>,
    is_nonblocking: bool,
    slices: Slices,
}

impl<W: FnOnce(RawFd) -> Wishes> Loop<W> {
    fn ask(&mut self, fd: RawFd) {
        if let Some(wishes) = self.wishes.take() {
            let Wishes { is_nonblocking, timeout } = wishes(fd);
            self.is_nonblocking = is_nonblocking;
            self.slices = Slices::until(timeout.and_then(|timeout| Instant::now().checked_add(timeout)));
        }
    }

    /// Waits for an event after `seen`; `None` if there was one.
    #[inline(never)]
    fn wait(
        &mut self,
        watched: &Watched,
        fd: RawFd,
        direction: Direction,
        seen: Snapshot<'_>,
    ) -> Option<GaveUp> {
        let node = Node::new(park::waiter());
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        // SAFETY: the number is only passed to epoll.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let entry = match watched.source.link(borrowed, direction.of_poller(), &node, seen, poller) {
            Ok(Some(entry)) => entry,
            Ok(None) => return None,
            Err(error) => {
                return Some(match error.raw_os_error() {
                    Some(libc::EPERM) | None => Ended::Unwatchable,
                    Some(error) => Ended::Done(-(error as isize)),
                });
            }
        };
        let reason = if direction == Direction::Read { Reason::Read } else { Reason::Write };
        let until = self.slices.end_of_part(Instant::now());
        let gave_up = match end_in_error(|| park::wait(node.waiter(), reason, Some(until))) {
            Outcome::Notified => return None,
            Outcome::TimedOut => Ended::TimedOut,
            Outcome::Cancelled => Ended::Cancelled,
        };
        entry.unlink(&node);
        if gave_up == Ended::TimedOut && !self.slices.is_over() {
            // A part has ended.
            return match watched.renew() {
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => Some(Ended::Done(CLOSED)),
                _ => None,
            };
        }
        Some(gave_up)
    }
}

/// Makes a call until it need not wait, and parks the calling fiber in between.
pub fn retry<W, C>(attempt: Attempt<W, C>) -> Ended
where
    W: FnOnce(RawFd) -> Wishes,
    C: FnMut(RawFd) -> isize,
{
    let Attempt { fd, direction, wanted, wishes, mut call } = attempt;
    let watched = match find(fd) {
        Some(known) => known,
        // The common case: nothing has to be known of the descriptor.
        None => match call(fd) {
            WOULD_BLOCK => watched(fd),
            result => return done(result),
        },
    };
    let mut state = Loop { wishes: Some(wishes), is_nonblocking: false, slices: Slices::until(None) };
    let mut gave_up = None;
    loop {
        let Some(now_fd) = watched.number() else { return Ended::Done(CLOSED) };
        let seen = watched.source.snapshot(direction.of_poller());
        // Where the poller knows that the call would wait, it waits before.
        if seen.is_exhausted()
            && gave_up.is_none()
            && watched.source.is_polled_by(scheduler::is_current_poller)
        {
            state.ask(now_fd);
            if !state.is_nonblocking {
                gave_up = state.wait(&watched, now_fd, direction, seen);
                if matches!(gave_up, Some(Ended::Done(_) | Ended::Unwatchable)) {
                    return gave_up.expect("it is");
                }
                // The call is made after all: the poller may not have run since something came.
                continue;
            }
        }
        let result = call(now_fd);
        if result != WOULD_BLOCK {
            if watched.is_stream && 0 < result && (result as usize) < wanted {
                seen.mark_exhausted();
            }
            return done(result);
        }
        if let Some(gave_up) = gave_up {
            return gave_up;
        }
        state.ask(now_fd);
        if state.is_nonblocking {
            park::spend(Cost::TryFailed);
            return Ended::WouldBlock;
        }
        if let Some(gave_up) = state.wait(&watched, now_fd, direction, seen) {
            return gave_up;
        }
    }
}

/// The end of a call that did not wait.
#[inline]
fn done(result: isize) -> Ended {
    park::spend(if result < 0 { Cost::TryFailed } else { Cost::SystemCall });
    Ended::Done(result)
}
