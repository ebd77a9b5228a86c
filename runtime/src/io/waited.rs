//! How a wait for a descriptor ends, and how a plain thread waits.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::cell::Chain;
use crate::os::{epoll, socket};
use crate::park;
use crate::poller::{Direction, Entry};

/// How a wait has ended.
pub(super) enum Waited<'a> {
    /// By an event. The entry is there if the node had to be linked.
    Event(Option<Entry<'a>>),
    GaveUp(GaveUp),
}

/// Why a wait has ended without an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum GaveUp {
    TimeIsUp,
    Cancelled,
}

impl GaveUp {
    /// The error of a timeout. For a cancellation it unwinds instead.
    #[cold]
    pub(super) fn into_error(self) -> io::Error {
        match self {
            Self::TimeIsUp => would_block(),
            Self::Cancelled => park::unwind(),
        }
    }
}

/// How often a plain thread in poll(2) checks whether a token has cancelled it: a token cannot end a poll(2).
const RECHECK_INTERVAL: Duration = Duration::from_millis(10);

#[cold]
pub(super) fn wait_on_thread(
    fd: BorrowedFd<'_>,
    direction: Direction,
    deadline: Option<Instant>,
) -> io::Result<()> {
    loop {
        let now = Instant::now();
        let mut until = deadline;
        let mut is_whole = true;
        if park::is_cancelled() {
            park::unwind();
        }
        for sooner in park::with_chain(|chain| looks(chain, now)) {
            if until.is_none_or(|until| sooner <= until) {
                until = Some(sooner);
                is_whole = false;
            }
        }
        let left = until.map(|at| at.saturating_duration_since(now));
        match epoll::wait_one(fd, direction == Direction::Read, left) {
            Ok(true) => return Ok(()),
            Ok(false) if is_whole => return Err(would_block()),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// When the caller has to look at its cancel scopes: for a token, and for the next deadline.
fn looks(chain: &Chain, now: Instant) -> impl Iterator<Item = Instant> + use<> {
    let visible = chain.visible();
    let state = visible.is_some().then(|| chain.state());
    let recheck = state.filter(|state| state.has_signals).map(|_| now + RECHECK_INTERVAL);
    // One that has passed is of a cancel scope to which the thread cannot unwind.
    let nearest = state.and_then(|state| state.nearest).and_then(|_| chain.nearest_after(now));
    nearest.into_iter().chain(recheck)
}

/// The error of non-blocking mode, and of a timeout, as with std's sockets on Linux: that of the kernel, with its number.
#[cold]
pub(super) fn would_block() -> io::Error {
    socket::would_block()
}
