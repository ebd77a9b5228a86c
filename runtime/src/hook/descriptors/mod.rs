//! Waits for descriptors that are known by their number only.
//!
//! * `table`: what is known of a number, and when to forget it.
//! * `retry`: one call, repeated until it need not wait.
//! * `several`: a wait for any of several descriptors.
//!
//! The numbers are the user's: who closes one, and opens another file under it, may do so behind the runtime's back. So a wait that lasts
//! watches its number anew, after a second and then less and less often.

mod retry;
mod several;
mod table;

use std::time::{Duration, Instant};

pub use retry::{Attempt, retry};
pub use several::{Interest, wait_any};
pub use table::{close_range_under, close_under, forget, in_turn};

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// For something to read, for a connection to accept, or for the end.
    Read,
    /// For room to write, or for the end of a connecting.
    Write,
}

impl Direction {
    fn of_poller(self) -> crate::poller::Direction {
        match self {
            Self::Read => crate::poller::Direction::Read,
            Self::Write => crate::poller::Direction::Write,
        }
    }
}

/// What the user wants of a descriptor: asked when a call would wait, so that nothing has to be kept in step with the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// An error instead of waiting.
    pub is_nonblocking: bool,
    /// How long a call may wait; `None` is for ever.
    pub timeout: Option<Duration>,
}

/// How a call has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this result of the kernel's.
    Done(isize),
    /// It would have waited, and the user wants an error.
    WouldBlock,
    /// Its time was up.
    TimedOut,
    /// The fiber, or a cancel scope of it, was cancelled, or its deadline has passed.
    Cancelled,
    /// epoll cannot watch the descriptor: a file on a disk.
    Unwatchable,
}

/// After how long a wait first watches its number anew. Each later time is twice as long, up to the longest.
const FIRST_RENEWAL: Duration = Duration::from_secs(1);
const LONGEST_RENEWAL: Duration = Duration::from_secs(64);

/// The parts of a wait.
struct Slices {
    /// The end of the whole wait; `None` is never.
    end: Option<Instant>,
    next: Duration,
}

impl Slices {
    fn until(end: Option<Instant>) -> Self {
        Self { end, next: FIRST_RENEWAL }
    }

    /// The end of the part that begins at `now`.
    fn end_of_part(&mut self, now: Instant) -> Instant {
        let part = now + self.next;
        self.next = LONGEST_RENEWAL.min(self.next * 2);
        self.end.map_or(part, |end| end.min(part))
    }

    /// Whether the whole wait has ended.
    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }
}
