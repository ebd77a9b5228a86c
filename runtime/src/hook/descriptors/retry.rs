//! A call that is repeated until it need not wait. `poller/README.md` tells the protocol; `io/descriptor.rs` is the same loop for
//! descriptors of abaca's own.

#![expect(unsafe_code, reason = "descriptors are known by their numbers")]

use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

use super::borrow::borrow;
use super::table::{Watched, find, watched};
use super::{Direction, Ended, WaitLimit};
use crate::cell::{Header, Outcome, Reason, Waiter};
use crate::hook::{
    By, Unattended, can_be_interrupted, interruptible, noted, wait_without_unwinding,
    wait_without_unwinding_on,
};
use crate::os::nowait::{NOT_OPEN, WOULD_BLOCK, is_unpollable};
use crate::park::{self, Cost};
use crate::poller::{Node, Poller, Snapshot};
use crate::scheduler::{self, Worker};

/// A call on a descriptor.
pub struct Attempt<'a, C> {
    /// The descriptor.
    pub fd: RawFd,
    /// What the call waits for.
    pub direction: Direction,
    /// How many bytes a call on a stream wants, for which fewer mean that there are no more; 0 if they do not mean that.
    pub wanted: usize,
    /// How long the call waits.
    pub limit: &'a mut WaitLimit,
    /// Makes the call under this number, and returns the kernel's result. It does not wait: instead it returns `-EAGAIN`, or [`AFTER_PART`].
    pub call: C,
}

/// What a call returns instead of `-EAGAIN` that has moved a part already: as in the kernel, any handler of a signal ends it.
pub const AFTER_PART: isize = isize::MIN + 1;

/// Whether the call would wait.
#[inline(always)]
fn would_block(result: isize, limit: &mut WaitLimit) -> bool {
    if result == AFTER_PART {
        limit.has_moved();
        return true;
    }
    result == WOULD_BLOCK
}

impl<C> std::fmt::Debug for Attempt<'_, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt")
            .field("fd", &self.fd)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

#[cold]
#[inline(never)]
fn wait_interruptibly(waiter: &Waiter, reason: Reason, deadline: Option<Instant>) -> (Outcome, Unattended) {
    interruptible(By::Waiter(waiter), |interruption| {
        interruption.wait(waiter, || noted(wait_without_unwinding(waiter, reason, deadline)))
    })
}

/// The calling fiber, and the worker of [`scheduler::current_worker`]: until its next wait, since one that roams may wake up on another.
type Caller = (&'static Worker, NonNull<Header>);

#[inline(always)]
fn caller() -> Caller {
    scheduler::own_caller().expect("the hooks are of fibers")
}

/// The poller of the calling fiber's worker.
fn current_poller() -> Arc<Poller> {
    scheduler::current_poller().expect("a fiber's worker has a poller")
}

/// Waits for an event after `seen`, at most as long as the limit says. `None` if there was one, or before; otherwise how the call ends:
/// in [`Ended::Interrupted`] by signals, which the limit has then. The result fits in registers: what is in the caller's frame stays there while a fiber
/// waits.
#[inline(never)]
fn wait(
    watched: &Watched,
    fd: RawFd,
    direction: Direction,
    seen: Snapshot<'_>,
    limit: &mut WaitLimit,
    (worker, me): Caller,
) -> Option<Ended> {
    let deadline = limit.deadline(watched, fd, direction);
    let waiter = Waiter::new(Some(me)).on(std::ptr::without_provenance(fd as usize));
    // SAFETY: the waiter outlives the node, and neither moves.
    let node = unsafe { Node::of(&waiter, false) };
    // SAFETY: the number is only passed to epoll.
    let borrowed = unsafe { borrow(fd) };
    let entry = match watched.source.link(borrowed, direction.of_poller(), &node, seen, current_poller) {
        Ok(Some(entry)) => entry,
        Ok(None) => return None,
        Err(error) => {
            return Some(match error.raw_os_error() {
                Some(number) if !is_unpollable(&error) => Ended::Done(-(number as isize)),
                _ => Ended::Unwatchable,
            });
        }
    };
    let reason = if direction == Direction::Read { Reason::Read } else { Reason::Write };
    // No event tells a writer of all that ends its call (`shutdown(SHUT_RD)` of another process at a Unix socket's other end): it looks as often as ever.
    watched.waits.begin(limit.goes_on_after_renewal() && direction == Direction::Read);
    let (outcome, unattended) = if can_be_interrupted() {
        wait_interruptibly(&waiter, reason, deadline)
    } else {
        (noted(wait_without_unwinding_on(worker, me, &waiter, reason, deadline)), Unattended::NONE)
    };
    if unattended.is_interrupted() {
        entry.unlink(&node);
        limit.interrupt(unattended);
        return Some(Ended::Interrupted);
    }
    match outcome {
        // Who has notified the waiter has unlinked the node.
        Outcome::Notified => return None,
        Outcome::TimedOut | Outcome::Cancelled => entry.unlink(&node),
    }
    Some(if outcome == Outcome::TimedOut { Ended::TimedOut } else { Ended::Cancelled })
}

/// Makes a call until it need not wait, and parks the calling fiber in between.
#[inline(always)]
pub fn retry<C: FnMut(RawFd) -> isize>(mut attempt: Attempt<'_, C>) -> Ended {
    // A write seldom waits, and nothing that is known of its descriptor tells whether it would. A read often does, and the poller may know.
    if attempt.direction == Direction::Write {
        let result = (attempt.call)(attempt.fd);
        if !would_block(result, attempt.limit) {
            return done(result);
        }
    }
    match retry_watched(&mut attempt) {
        ended if attempt.limit.is_interrupted() => after_signals(&mut attempt, ended),
        ended => ended,
    }
}

/// The rest of [`retry`], of a call of which a wait has ended so by signals: their handlers run, and as in the kernel it may begin anew, under its
/// number. Nothing of the table is in use here: a handler that does not return would leave the file open for ever.
#[cold]
#[inline(never)]
fn after_signals<C: FnMut(RawFd) -> isize>(attempt: &mut Attempt<'_, C>, mut ended: Ended) -> Ended {
    while let Some(unattended) = attempt.limit.unattended() {
        let by = unattended.attend();
        if ended != Ended::Interrupted || !attempt.limit.is_restarted(by) {
            break;
        }
        ended = retry_watched(attempt);
    }
    ended
}

/// [`retry`], of a call that reads, or of one that would have waited. It ends in [`Ended::Interrupted`] if signals have ended a wait, unless it
/// has a result by then; the limit has what they are. By reference: what is copied would be in each waiting fiber's stack twice.
#[inline(never)]
fn retry_watched<C: FnMut(RawFd) -> isize>(attempt: &mut Attempt<'_, C>) -> Ended {
    let Attempt { fd, direction, wanted, ref mut limit, ref mut call } = *attempt;
    let watched = match find(fd) {
        Some(known) => known,
        None if direction == Direction::Write => watched(fd),
        // The common case: nothing has to be known of the descriptor.
        None => match call(fd) {
            result if would_block(result, limit) => watched(fd),
            result => return done(result),
        },
    };
    // Whether the user wants an error is asked once, as at the beginning of a call.
    let mut is_blocking = false;
    let mut renewals = watched.waits.renewals();
    let errors = watched.wish.errors();
    let mut gave_up = None;
    loop {
        let Some(now_fd) = watched.number() else { return Ended::Done(NOT_OPEN) };
        let seen = watched.source.snapshot(direction.of_poller());
        // Where it is known that the call would wait, it waits before: the poller knows it, or the last call has left nothing.
        let is_drained = direction == Direction::Read && watched.is_drained(seen) && gave_up.is_none();
        let is_hinted = is_drained || seen.is_exhausted() && gave_up.is_none();
        let mut me = None;
        let is_ours = |poller: &Poller| me.get_or_insert_with(caller).0.polls_with(poller);
        if !(is_drained || is_hinted && watched.source.is_polled_by(is_ours)) {
            let result = call(now_fd);
            // It may have waited for its turn.
            me = None;
            if !would_block(result, limit) {
                watched.note(seen, watched.is_stream && 0 < result && (result as usize) < wanted);
                return done(result);
            }
            if let Some(gave_up) = gave_up {
                return gave_up;
            }
        }
        if watched.waits.renewals() != renewals {
            renewals = watched.waits.renewals();
            limit.renew();
            // Unless it has begun on an answer that was wrong.
            is_blocking &= watched.wish.errors() == errors;
        }
        // To ask is to wait, while a hook changes the mode.
        if !is_blocking && limit.is_refused(&watched, now_fd, || me = None) {
            if is_hinted {
                // The call is made after all, and says it.
                gave_up = Some(Ended::WouldBlock);
                continue;
            }
            park::spend(Cost::TryFailed);
            return Ended::WouldBlock;
        }
        is_blocking = true;
        if !seen.is_registered() {
            watched.source.prepare(|| {
                // SAFETY: the number is only passed to epoll.
                (unsafe { borrow(now_fd) }, current_poller())
            });
        }
        match wait(&watched, now_fd, direction, seen, limit, me.unwrap_or_else(caller)) {
            None => {}
            // What has come meanwhile counts.
            Some(Ended::Interrupted) => gave_up = Some(Ended::Interrupted),
            // The poller may not have run since something came, or cannot watch.
            Some(ended) if is_hinted => gave_up = Some(ended),
            Some(ended) => return ended,
        }
    }
}

/// The end of a call that did not wait.
#[inline]
fn done(result: isize) -> Ended {
    park::spend(if result < 0 { Cost::TryFailed } else { Cost::SystemCall });
    Ended::Done(result)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::table::born_of_listener;
    use super::super::wish::Moment;
    use super::*;
    use crate::fiber;
    use crate::os::socket;
    use crate::runtime::Runtime;

    /// Reads up to 8 bytes, and counts the calls.
    fn read(stream: &TcpStream, calls: &AtomicUsize) -> Ended {
        let call = |_| {
            calls.fetch_add(1, Ordering::SeqCst);
            match socket::receive(stream.as_fd(), &mut [0; 8], socket::RecvFlags::empty()) {
                Ok(moved) => moved as isize,
                Err(error) => -(error.raw_os_error().expect("the kernel's error") as isize),
            }
        };
        let (fd, direction, mut limit) = (stream.as_raw_fd(), Direction::Read, WaitLimit::of_descriptor());
        retry(Attempt { fd, direction, wanted: 8, limit: &mut limit, call })
    }

    #[test]
    fn a_read_after_one_that_left_nothing_waits_before_it_calls_although_nobody_watched() {
        // Not here, if this machine or build has no storage for fibers.
        let Ok(runtime) = Runtime::builder().workers(1).own_tls(true).build() else { return };
        runtime.run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let _known = watched(listener.as_raw_fd());
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let moment = Moment::now();
            let stream = Arc::new(listener.accept().unwrap().0);
            born_of_listener(listener.as_raw_fd(), stream.as_raw_fd(), moment, true);
            let calls = Arc::new(AtomicUsize::new(0));
            client.write_all(b"one").unwrap();
            assert_eq!(read(&stream, &calls), Ended::Done(3));
            let reader = fiber::spawn({
                let (stream, calls) = (stream.clone(), calls.clone());
                move || read(&stream, &calls)
            });
            let watched = find(stream.as_raw_fd()).unwrap();
            while !watched.source.is_waited_for() {
                fiber::yield_now();
            }
            assert_eq!(calls.load(Ordering::SeqCst), 1, "the second read waits without a call");
            client.write_all(b"five5").unwrap();
            assert_eq!(reader.join().unwrap(), Ended::Done(5));
            assert_eq!(calls.load(Ordering::SeqCst), 2);
            // What has come before the next read, which nobody has told the poller of yet, is not lost either.
            client.write_all(b"more").unwrap();
            assert_eq!(read(&stream, &calls), Ended::Done(4));
            drop(client);
            assert_eq!(read(&stream, &calls), Ended::Done(0));
            super::super::table::close_under(stream.as_raw_fd());
        });
    }

    #[test]
    fn what_has_come_before_the_first_wait_ends_it() {
        let Ok(runtime) = Runtime::builder().workers(1).own_tls(true).build() else { return };
        runtime.run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let _known = watched(listener.as_raw_fd());
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let moment = Moment::now();
            let stream = listener.accept().unwrap().0;
            born_of_listener(listener.as_raw_fd(), stream.as_raw_fd(), moment, true);
            let calls = AtomicUsize::new(0);
            client.write_all(b"one").unwrap();
            assert_eq!(read(&stream, &calls), Ended::Done(3));
            // Nobody watches, so no event has told of these, nor of the end.
            client.write_all(b"and two").unwrap();
            drop(client);
            assert_eq!(read(&stream, &calls), Ended::Done(7));
            assert_eq!(read(&stream, &calls), Ended::Done(0));
            super::super::table::close_under(stream.as_raw_fd());
        });
    }
}
