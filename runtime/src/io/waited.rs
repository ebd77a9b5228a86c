//! How a wait for a descriptor ends, and how a plain thread waits.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::cell::Chain;
use crate::os::epoll;
use crate::park;
use crate::poller::{Place, Way};

/// How a wait has ended.
pub(super) enum Waited<'a> {
    /// By an event; where the node stood, if it had to be linked.
    Event(Option<Place<'a>>),
    GaveUp(GaveUp),
}

/// Why a wait has ended without an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum GaveUp {
    TimeIsUp,
    Cancelled,
}

impl GaveUp {
    /// What the caller is told: an error, or an unwinding.
    #[cold]
    pub(super) fn tell(self) -> io::Error {
        match self {
            Self::TimeIsUp => would_block(),
            Self::Cancelled => park::unwind(),
        }
    }
}

/// How often a plain thread that polls looks whether it was cancelled through a token, which cannot end a poll(2).
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[cold]
pub(super) fn wait_on_thread(fd: BorrowedFd<'_>, way: Way, deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let now = Instant::now();
        let mut until = deadline;
        let mut is_whole = true;
        if !std::thread::panicking() {
            let outlook = park::with_chain(Chain::outlook);
            if park::is_cancelled() {
                park::unwind();
            }
            let look_again = outlook.has_signals.then(|| now + LOOK_AGAIN);
            // One that has passed is of a boundary to which the thread cannot unwind.
            let nearest = outlook.nearest.and_then(|_| park::with_chain(|chain| chain.nearest_after(now)));
            for sooner in nearest.into_iter().chain(look_again) {
                if until.is_none_or(|until| sooner <= until) {
                    until = Some(sooner);
                    is_whole = false;
                }
            }
        }
        let left = until.map(|at| at.saturating_duration_since(now));
        match epoll::wait_one(fd, way == Way::Read, left) {
            Ok(true) => return Ok(()),
            Ok(false) if is_whole => return Err(would_block()),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Also the error of a timeout: the one that std's sockets give on Linux.
#[cold]
pub(super) fn would_block() -> io::Error {
    io::Error::from(io::ErrorKind::WouldBlock)
}
