//! Ending idle connections: a server that stops gives connections that are kept alive between two requests the end of their
//! input.
//!
//! The runtime does not know what a request is. A connection counts as idle when the fiber that wrote last waits to read, or
//! when nothing has arrived yet. It is not idle while its fiber computes, sleeps or writes, nor while it waits for the rest of
//! what has begun to arrive. If one fiber reads and another writes, the connection is never taken for idle.
//!
//! A reader that is about to wait adds a [`Notifier`] and then checks whether idling has [ended](Idle::end). The ender sets
//! the flag and then notifies all notifiers. The notifiers' lock orders the two: either the reader sees the flag, or the ender
//! finds the notifier, and the wait ends as if something had arrived. So nothing is shut down, and what has arrived is read
//! first.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Descriptor;
use super::notifiers::Notifiers;
use crate::cell::Reason;
use crate::poller::{Direction, Notifier};
use crate::{park, scheduler};

/// See the module's documentation. One for each socket: clones share it.
pub(crate) struct Idle {
    /// The address of the fiber that wrote last, or one of the values below. If that fiber has ended and another has its
    /// address, the new one is taken for the writer; that does no harm, since the old one writes no more.
    last: AtomicUsize,
    has_ended: AtomicBool,
    notifiers: Notifiers,
}

/// Something has arrived since the last write, or a plain thread wrote last.
const BUSY: usize = 0;

/// Nothing was read or written yet. No fiber has this address.
const FRESH: usize = 1;

impl Default for Idle {
    fn default() -> Self {
        Self {
            last: AtomicUsize::new(FRESH),
            has_ended: AtomicBool::new(false),
            notifiers: Notifiers::default(),
        }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("has_ended", &self.has_ended).finish_non_exhaustive()
    }
}

impl Idle {
    /// A reader that is idle, now or later, reads the end of the stream.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
        // The lock orders the store before the check of a reader whose notifier is not there yet.
        self.notifiers.take().iter().for_each(|notifier| notifier.notify_readers(park::wake));
    }

    /// Notes that something has arrived, or that a message is being written in parts.
    #[inline]
    pub(crate) fn is_busy(&self) {
        if self.last.load(Ordering::Relaxed) != BUSY {
            self.last.store(BUSY, Ordering::Relaxed);
        }
    }

    /// Notes that the current fiber has written.
    #[inline]
    pub(crate) fn has_written(&self) {
        let me = address_of_this_fiber();
        if self.last.load(Ordering::Relaxed) != me {
            self.last.store(me, Ordering::Relaxed);
        }
    }

    /// Called before the current fiber waits to read. Returns whether it reads the end instead.
    fn announce(&self, notifier: Notifier) -> bool {
        self.notifiers.add(notifier);
        self.has_ended.load(Ordering::Relaxed)
            && matches!(self.last.load(Ordering::Relaxed), last if last == FRESH || last == address_of_this_fiber())
    }
}

/// `BUSY` on a plain thread, whose connection is never taken for idle.
fn address_of_this_fiber() -> usize {
    scheduler::current_fiber().map_or(BUSY, |fiber| fiber.addr().get())
}

impl<T: AsFd> Descriptor<T> {
    /// [`transfer`](Self::transfer) of a stream's bytes to the caller. An idle caller may get the end instead.
    #[inline]
    pub(crate) fn receive(
        &self,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self.idle() {
            None => self.transfer(Direction::Read, wanted, call),
            Some(idle) => {
                self.receive_unless_idle(idle, call, |call| self.transfer(Direction::Read, wanted, call))
            }
        }
    }

    /// [`receive`](Self::receive) that leaves the bytes there, so that a short result does not mean an empty buffer.
    pub(crate) fn peek(&self, call: impl FnMut(&T) -> io::Result<usize>) -> io::Result<usize> {
        match self.idle() {
            None => self.retry(Direction::Read, Reason::Read, None, call, |_| false),
            Some(idle) => self.receive_unless_idle(idle, call, |call| {
                self.retry(Direction::Read, Reason::Read, None, call, |_| false)
            }),
        }
    }

    /// [`transfer`](Self::transfer) of a stream's bytes to the peer.
    #[inline]
    pub(crate) fn send(&self, wanted: usize, call: impl FnMut(&T) -> io::Result<usize>) -> io::Result<usize> {
        let sent = self.transfer(Direction::Write, wanted, call);
        if let Some(idle) = self.idle()
            && matches!(sent, Ok(1..))
        {
            idle.has_written();
        }
        sent
    }

    /// Makes `call` through `operation`, which waits between attempts; a caller that should read the end does not wait.
    pub(crate) fn receive_unless_idle<R>(
        &self,
        idle: &Idle,
        mut call: impl FnMut(&T) -> io::Result<usize>,
        operation: impl FnOnce(&mut dyn FnMut(&T) -> io::Result<usize>) -> R,
    ) -> R {
        let mut attempt = |inner: &T| match call(inner) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.is_to_end(idle)? => Ok(0),
            Ok(moved @ 1..) => {
                idle.is_busy();
                Ok(moved)
            }
            result => result,
        };
        // A reader that knows the buffer to be empty waits before its first attempt. If it should end, no event will come,
        // so it notifies itself.
        if self.source.snapshot(Direction::Read).is_exhausted()
            && let Ok(true) = self.is_to_end(idle)
            && let Ok(Some(notifier)) = self.notifier()
        {
            notifier.notify_readers(park::wake);
        }
        operation(&mut attempt)
    }

    /// Whether the calling fiber reads the end now, instead of waiting. Its notifier is called when that changes.
    pub(crate) fn is_to_end(&self, idle: &Idle) -> io::Result<bool> {
        Ok(self.notifier()?.is_some_and(|notifier| idle.announce(notifier)))
    }

    /// `None` if the caller will not wait for the poller.
    pub(super) fn notifier(&self) -> io::Result<Option<Notifier>> {
        if self.is_nonblocking() || !park::on_fiber() {
            return Ok(None);
        }
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        self.source.notifier(self.as_fd(), poller).map(Some)
    }
}
