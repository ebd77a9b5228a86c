//! Connections that are told the end of their input while they are idle: how a server that stops gets rid of those that are
//! kept alive between two requests.
//!
//! What a request is the runtime does not know. It takes a connection for idle when the fiber that wrote last waits to read,
//! or when nothing has come yet. A fiber that computes, sleeps or writes is not idle, nor is one that waits for the
//! rest of what has begun to arrive; and a reader with a writer beside it may be in the middle of anything.
//!
//! Whoever is about to wait leaves a [`Bell`] and then looks whether idling has [ended](Idle::end). Whoever ends it says so
//! and then rings all bells. The bells' lock orders the two: either the look sees the end, or the bell is there to be rung,
//! and the wait is over as if something had arrived. So nothing is shut down, and what has arrived is read first.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Descriptor;
use crate::cell::Reason;
use crate::poller::{Bell, Way};
use crate::{park, scheduler};

/// See the module's documentation. One for each socket: clones share it.
pub(crate) struct Idle {
    /// The fiber that wrote last, by its address, or one of the values below. A fiber that has ended and whose address another
    /// one has got writes no more, so a mistake is none.
    last: AtomicUsize,
    has_ended: AtomicBool,
    bells: Mutex<Vec<Bell>>,
}

/// Something has arrived since anything was written, or a plain thread wrote last.
const BUSY: usize = 0;

/// Nothing was read or written yet. No fiber has this address.
const FRESH: usize = 1;

impl Default for Idle {
    fn default() -> Self {
        Self { last: AtomicUsize::new(FRESH), has_ended: AtomicBool::new(false), bells: Mutex::default() }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("has_ended", &self.has_ended).finish_non_exhaustive()
    }
}

impl Idle {
    /// Whoever is idle, now or later, reads the end of the stream.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
        // Orders the store before a look of those whose bells are not there yet.
        let bells = std::mem::take(&mut *self.bells.lock().unwrap_or_else(PoisonError::into_inner));
        bells.iter().for_each(|bell| bell.ring(park::wake));
    }

    /// Something has arrived, or is being written in parts.
    #[inline]
    pub(crate) fn is_busy(&self) {
        if self.last.load(Ordering::Relaxed) != BUSY {
            self.last.store(BUSY, Ordering::Relaxed);
        }
    }

    /// The current fiber has written.
    #[inline]
    pub(crate) fn has_written(&self) {
        let me = address_of_this_fiber();
        if self.last.load(Ordering::Relaxed) != me {
            self.last.store(me, Ordering::Relaxed);
        }
    }

    /// The current fiber is about to wait to read: whether it is to read the end instead.
    fn announce(&self, bell: Bell) -> bool {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if !bells.contains(&bell) {
            bells.retain(Bell::is_in_use);
            bells.push(bell);
        }
        drop(bells);
        self.has_ended.load(Ordering::Relaxed)
            && matches!(self.last.load(Ordering::Relaxed), last if last == FRESH || last == address_of_this_fiber())
    }
}

/// `BUSY` on a plain thread, which is never told.
fn address_of_this_fiber() -> usize {
    scheduler::current_fiber().map_or(BUSY, |fiber| fiber.addr().get())
}

impl<T: AsFd> Descriptor<T> {
    /// [`transfer`](Self::transfer) to the caller of a stream's bytes, or of their end.
    #[inline]
    pub(crate) fn receive(
        &self,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self.idle() {
            None => self.transfer(Way::Read, wanted, call),
            Some(idle) => self.receive_unless_idle(idle, call, |call| self.transfer(Way::Read, wanted, call)),
        }
    }

    /// Like [`receive`](Self::receive) of bytes that are still there afterwards, so that a short result drains nothing.
    pub(crate) fn peek(&self, call: impl FnMut(&T) -> io::Result<usize>) -> io::Result<usize> {
        match self.idle() {
            None => self.retry(Way::Read, Reason::Read, None, call, |_| false),
            Some(idle) => self.receive_unless_idle(idle, call, |call| {
                self.retry(Way::Read, Reason::Read, None, call, |_| false)
            }),
        }
    }

    /// [`transfer`](Self::transfer) of a stream's bytes to the peer.
    #[inline]
    pub(crate) fn send(&self, wanted: usize, call: impl FnMut(&T) -> io::Result<usize>) -> io::Result<usize> {
        let sent = self.transfer(Way::Write, wanted, call);
        if let Some(idle) = self.idle()
            && matches!(sent, Ok(1..))
        {
            idle.has_written();
        }
        sent
    }

    /// Makes `call` by `operation`, which waits between attempts, unless the caller is to read the end instead of waiting.
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
        // Who has seen that there is nothing waits without an attempt: not if it is to end, of which no event tells.
        if self.source.seen(Way::Read).is_drained()
            && let Ok(true) = self.is_to_end(idle)
            && let Ok(Some(bell)) = self.bell()
        {
            bell.ring(park::wake);
        }
        operation(&mut attempt)
    }

    /// Whether the calling fiber reads the end now, instead of waiting. It will be called if that changes.
    pub(crate) fn is_to_end(&self, idle: &Idle) -> io::Result<bool> {
        Ok(self.bell()?.is_some_and(|bell| idle.announce(bell)))
    }

    /// `None` if the caller will not wait with the poller.
    fn bell(&self) -> io::Result<Option<Bell>> {
        if self.is_nonblocking() || !park::on_fiber() {
            return Ok(None);
        }
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        self.source.bell(self.as_fd(), poller).map(Some)
    }
}
