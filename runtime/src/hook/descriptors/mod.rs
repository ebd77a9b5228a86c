//! Waits for descriptors that are known by their number only.
//!
//! * `borrow`: a number, as Rust has it.
//! * `table`: what is known of a number, and when to forget it.
//! * `held`: a file that a call goes on with when its number is closed.
//! * `wish`: whether the user wants errors instead of waiting, and how long that is known.
//! * `limit`: how long the user wants a call to wait.
//! * `retry`: one call, repeated until it need not wait.
//! * `several`: a wait for any of several descriptors.
//! * `renewal`: watches the numbers of long waits anew.
//!
//! The numbers are the user's: who closes one, and opens another file under it, may do so behind the runtime's back. So the numbers of waits
//! that last are watched anew, after a second and then less and less often.

use std::os::fd::{AsFd, AsRawFd, RawFd};

mod borrow;
mod held;
mod limit;
mod renewal;
mod retry;
mod several;
mod table;
mod wish;

pub use held::Held;
pub use limit::{WaitLimit, timeouts_changed};
pub use renewal::{look_again_at, look_again_everywhere, rounds_of_renewal};
pub use retry::{AFTER_PART, Attempt, retry};
pub use several::{Interest, Numbers, wait_any};
pub use table::{born, born_of_listener, close_range_under, close_under, duplicated, forget, in_turn};
pub use wish::{
    Moment, file_shared, files_shared, in_changed_mode, is_nonblocking, mode_changes, modes_changed,
};

/// Forgets all numbers, in a copy of the process.
pub(super) fn begin_anew() {
    table::begin_anew();
    renewal::begin_anew();
}

/// The number of a descriptor that is no socket: of the poller with which the caller waits. `None` on a plain thread.
#[must_use]
pub fn number_of_poller() -> Option<RawFd> {
    crate::scheduler::current_poller().map(|poller| poller.as_fd().as_raw_fd())
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// For something to read, for a connection to accept, or for the end.
    Read,
    /// For room to write, or for the end of a connecting.
    Write,
}

impl Direction {
    #[inline]
    fn of_poller(self) -> crate::poller::Direction {
        match self {
            Self::Read => crate::poller::Direction::Read,
            Self::Write => crate::poller::Direction::Write,
        }
    }
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
    /// A handler of a signal has run for the caller, whose call is not one that is restarted.
    Interrupted,
    /// epoll cannot watch the descriptor: a file on a disk.
    Unwatchable,
}
