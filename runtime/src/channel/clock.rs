//! The channels of `after`, `at` and `tick`. No thread and no fiber makes their messages: a message is there from the
//! moment it is due, and a receiver waits for that moment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::select_seed::SelectSeed;
use super::shared::{Block, Refusal};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};

/// See the module's documentation. `T` is [`Instant`] wherever there is a message.
pub(super) struct Clock<T> {
    state: SpinLock<State<T>>,
    /// `None`: there is only one message.
    period: Option<Duration>,
    /// Makes a message from the time at which it was due.
    message: fn(Instant) -> T,
    seed: SelectSeed,
}

struct State<T> {
    /// When the next message is due; `None` after the last one.
    due: Option<Instant>,
    /// Messages of receive operations that have been selected and not yet completed.
    aside: VecDeque<T>,
}

impl Clock<Instant> {
    pub(super) fn new(due: Instant, period: Option<Duration>) -> Self {
        Self {
            state: SpinLock::new(State { due: Some(due), aside: VecDeque::new() }),
            period,
            message: |due| due,
            seed: SelectSeed::new(),
        }
    }
}

impl<T> Clock<T> {
    /// Takes the message if it is due. The next one comes a period from now.
    pub(super) fn try_receive(&self) -> Option<T> {
        let now = Instant::now();
        self.take_due(now, |_| now)
    }

    /// Takes the message if it is due at `now`. The next period begins at `start(due)`.
    fn take_due(&self, now: Instant, start: impl FnOnce(Instant) -> Instant) -> Option<T> {
        let mut state = self.state.lock();
        let due = state.due.filter(|due| *due <= now)?;
        state.due = self.period.and_then(|period| start(due).checked_add(period));
        Some((self.message)(due))
    }

    pub(super) fn receive(&self, block: Block) -> Result<T, Refusal> {
        park::spend_as(|| block.cost());
        if let Some(message) = self.try_receive() {
            return Ok(message);
        }
        let Block::Until(deadline) = block else {
            park::spend(Cost::TryFailed);
            return Err(Refusal::WouldBlock);
        };
        loop {
            let now = Instant::now();
            // A receiver that waited in time gets its messages at equal distances, however late it wakes.
            if let Some(message) = self.take_due(now, |due| due) {
                return Ok(message);
            }
            if deadline.is_some_and(|at| at <= now) {
                return Err(Refusal::WouldBlock);
            }
            let waiter = park::waiter();
            let until = earlier(deadline, self.due());
            if park::wait(&waiter, Reason::ChannelReceive, until) == Outcome::Cancelled {
                park::unwind();
            }
        }
    }

    /// When the next message is due; `None` if there will be none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state.lock().due
    }

    /// Whether a message is due.
    pub(super) fn is_due(&self) -> bool {
        park::spend(Cost::Call);
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// As [`Channel::seed`](super::shared::Channel::seed).
    pub(super) fn seed(&self) -> &SelectSeed {
        &self.seed
    }

    /// As [`State::set_aside`](super::state::State::set_aside).
    pub(super) fn set_aside(&self, message: T) {
        self.state.lock().aside.push_back(message);
    }

    /// As [`State::take_aside`](super::state::State::take_aside).
    pub(super) fn take_aside(&self) -> Option<T> {
        self.state.lock().aside.pop_front()
    }
}

/// Waits for a message that never comes.
pub(super) fn never<T>(block: Block) -> Result<T, Refusal> {
    let Block::Until(deadline) = block else {
        park::spend(Cost::TryFailed);
        return Err(Refusal::WouldBlock);
    };
    if park::wait(&park::waiter(), Reason::ChannelReceive, deadline) == Outcome::Cancelled {
        park::unwind();
    }
    Err(Refusal::WouldBlock)
}

/// The earlier of two deadlines, where `None` is never.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
