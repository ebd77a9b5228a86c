//! How long the user wants a call to wait.
//!
//! Whether at all, O_NONBLOCK, is what `wish` is about. The time of a socket is asked once, and again when somebody has set that of any socket
//! by the function that the hooks know. Who sets it by a system call of his own may be noticed as late as the next renewal.

#![expect(unsafe_code, reason = "descriptors are known by their numbers")]

use std::mem;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::Direction;
use super::borrow::borrow;
use super::table::Watched;
use crate::atomic::{AtomicU64, Ordering};
use crate::hook::{Interrupted, Unattended};
use crate::os::socket;
use crate::park::dated::Dated;

/// How long a call waits.
#[derive(Debug)]
pub struct WaitLimit {
    limit: Limit,
    /// Whether the user is known to wait.
    waits: bool,
    /// Whether it goes on after a handler, whatever time it has.
    goes_on: bool,
    /// Whether the call has moved a part.
    has_part: bool,
    /// What a wait of the call has taken, until its handlers run.
    unattended: Unattended,
    /// In which epoch the time of its descriptor was asked for.
    epoch: u32,
    /// Whether its next wait only goes on, after a look since its number was watched anew.
    looks_again: bool,
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    /// As its descriptor says. The time of a call begins with its first wait.
    OfDescriptor(Option<Deadline>),
    Until(Deadline),
}

/// `None` is for ever.
type Deadline = Option<Instant>;

impl WaitLimit {
    /// As long as the descriptor says: by O_NONBLOCK, SO_RCVTIMEO and SO_SNDTIMEO.
    #[must_use]
    #[inline]
    pub fn of_descriptor() -> Self {
        Self {
            limit: Limit::OfDescriptor(None),
            waits: false,
            goes_on: false,
            has_part: false,
            unattended: Unattended::NONE,
            epoch: 0,
            looks_again: false,
        }
    }

    /// The same for a user that was asked, and waits.
    #[must_use]
    pub fn of_waiting_descriptor() -> Self {
        Self {
            limit: Limit::OfDescriptor(None),
            waits: true,
            goes_on: false,
            has_part: false,
            unattended: Unattended::NONE,
            epoch: 0,
            looks_again: false,
        }
    }

    /// Until then, or for ever, whatever the descriptor says.
    #[must_use]
    pub fn until(deadline: Option<Instant>) -> Self {
        Self {
            limit: Limit::Until(deadline),
            waits: true,
            goes_on: false,
            has_part: false,
            unattended: Unattended::NONE,
            epoch: 0,
            looks_again: false,
        }
    }

    /// The same, of a call that goes on after a handler with SA_RESTART although it has a time.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self { goes_on: true, ..self }
    }

    /// Whether the user wants an error instead of waiting. `asks` is as in [`Wish::wants_errors`](super::wish::Wish::wants_errors).
    #[inline]
    pub(super) fn is_refused(&self, watched: &Watched, fd: RawFd, asks: impl FnOnce()) -> bool {
        !self.waits && watched.wish.wants_errors(fd, asks)
    }

    /// The end of the wait. The first wait of a call begins its time.
    #[inline]
    pub(super) fn deadline(&mut self, watched: &Watched, fd: RawFd, direction: Direction) -> Deadline {
        match self.limit {
            Limit::Until(deadline) | Limit::OfDescriptor(Some(deadline)) => deadline,
            Limit::OfDescriptor(None) => {
                // Relaxed: one that is too old only has a change of this moment be none of the call's.
                self.epoch = EPOCH.load(Ordering::Relaxed) as u32;
                let deadline = watched.timeouts.end(fd, direction);
                self.limit = Limit::OfDescriptor(Some(deadline));
                deadline
            }
        }
    }

    /// The call has moved a part: no handler lets it go on.
    #[inline]
    pub(super) fn has_moved(&mut self) {
        self.has_part = true;
    }

    /// A wait of the call was interrupted.
    pub(super) fn interrupt(&mut self, by: Unattended) {
        self.unattended = by;
    }

    /// Whether a wait of the call was.
    #[inline]
    pub(super) fn is_interrupted(&self) -> bool {
        self.unattended.is_interrupted()
    }

    /// What it has taken, once.
    pub(super) fn unattended(&mut self) -> Option<Unattended> {
        self.is_interrupted().then(|| mem::replace(&mut self.unattended, Unattended::NONE))
    }

    /// Whether the call goes on: after a handler not one that looks for events, nor one with a time (signal(7)), nor one that has moved a part.
    pub(super) fn is_restarted(&self, by: Interrupted) -> bool {
        let restarts = match self.limit {
            Limit::OfDescriptor(deadline) => deadline.flatten().is_none(),
            Limit::Until(_) => self.goes_on,
        };
        by == Interrupted::Looks || restarts && !self.has_part && by == Interrupted::Restarts
    }

    /// Asks for the time again, of a call that is to wait for ever: the answer may have been wrong. Not if somebody has set one by the function
    /// that the hooks know: as in the kernel, the call has the time that there was when it began.
    pub(super) fn renew(&mut self) {
        self.looks_again = true;
        if let Limit::OfDescriptor(deadline) = &mut self.limit
            && self.epoch == EPOCH.load(Ordering::Relaxed) as u32
        {
            *deadline = deadline.filter(Option::is_some);
        }
    }
}

impl WaitLimit {
    /// Whether the wait that begins now goes on after a renewal.
    #[inline]
    pub(super) fn goes_on_after_renewal(&mut self) -> bool {
        mem::replace(&mut self.looks_again, false)
    }
}

/// How often somebody has set the time of a socket.
static EPOCH: AtomicU64 = AtomicU64::new(FIRST);

/// Before anybody has. What was never asked has 0.
const FIRST: u64 = 1;

/// Notes that the time of some socket has been set.
pub fn timeouts_changed() {
    // Release: pairs with the Acquire in `get`. The kernel has the new time by now.
    EPOCH.fetch_add(1, Ordering::Release);
}

/// The times of a descriptor in nanoseconds, as far as they were asked for; 0 is for ever.
pub(super) struct Timeouts([Dated; 2]);

impl Timeouts {
    pub(super) fn new() -> Self {
        Self([(); 2].map(|()| Dated::none()))
    }

    /// The end of a wait that begins now.
    #[inline]
    fn end(&self, fd: RawFd, direction: Direction) -> Deadline {
        let known = &self.0[direction as usize];
        // Acquire: pairs with the Release in `timeouts_changed`.
        let epoch = EPOCH.load(Ordering::Acquire);
        if known.get(epoch) == Some(0) { None } else { end_of(known, epoch, fd, direction) }
    }

    /// Forgets what is known.
    pub(super) fn forget(&self) {
        self.0.iter().for_each(Dated::forget);
    }

    /// Notes that reads wait for ever, if those of the listener do that the socket was accepted from. Its time goes over to a connection
    /// before that is accepted, so this is known only while nobody has set any.
    pub(super) fn follow(&self, listener: &Self) {
        let reads = Direction::Read as usize;
        if EPOCH.load(Ordering::Acquire) == FIRST && listener.0[reads].get(FIRST) == Some(0) {
            self.0[reads].keep(FIRST, 0);
        }
    }
}

/// [`Timeouts::end`], of a wait that has a time, or whose time must be asked for.
#[cold]
#[inline(never)]
fn end_of(known: &Dated, epoch: u64, fd: RawFd, direction: Direction) -> Deadline {
    let nanos = known.get(epoch).unwrap_or_else(|| {
        let nanos = ask(fd, direction);
        known.keep(epoch, nanos);
        nanos
    });
    if nanos == 0 { None } else { Instant::now().checked_add(Duration::from_nanos(nanos)) }
}

fn ask(fd: RawFd, direction: Direction) -> u64 {
    // SAFETY: the number is only asked about.
    let timeout = socket::timeout(unsafe { borrow(fd) }, direction == Direction::Read);
    timeout.map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}
