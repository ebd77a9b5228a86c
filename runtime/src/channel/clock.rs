//! The channels of `after`, `at` and `tick`: no thread and no fiber makes their messages. A message is there from the
//! moment it is due, and whoever waits for it waits for that moment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::exchange::{Patience, Refusal};
use super::turn::Turn;
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};

/// See the module's documentation. `T` is [`Instant`] wherever there is a message.
pub(super) struct Clock<T> {
    state: SpinLock<State<T>>,
    /// `None`: there is one message.
    period: Option<Duration>,
    /// Makes a message from the time at which it was due.
    message: fn(Instant) -> T,
    turn: Turn,
}

struct State<T> {
    /// When the next message is there; `None` after the last one.
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
            turn: Turn::new(),
        }
    }
}

impl<T> Clock<T> {
    /// The message that is due. The next one comes a period from now.
    pub(super) fn try_receive(&self) -> Option<T> {
        let now = Instant::now();
        self.take_due(now, |_| now)
    }

    /// Takes the message if it is due at `now`; `start` of that time begins the next period.
    fn take_due(&self, now: Instant, start: impl FnOnce(Instant) -> Instant) -> Option<T> {
        let mut state = self.state.lock();
        let due = state.due.filter(|due| *due <= now)?;
        state.due = self.period.and_then(|period| start(due).checked_add(period));
        Some((self.message)(due))
    }

    pub(super) fn receive(&self, patience: Patience) -> Result<T, Refusal> {
        park::spend_as(|| patience.cost());
        if let Some(message) = self.try_receive() {
            return Ok(message);
        }
        let Patience::Until(deadline) = patience else {
            park::spend(Cost::InVain);
            return Err(Refusal::Unready);
        };
        loop {
            let now = Instant::now();
            // One that was there in time gets its messages at equal distances, however late it wakes.
            if let Some(message) = self.take_due(now, |due| due) {
                return Ok(message);
            }
            if deadline.is_some_and(|at| at <= now) {
                return Err(Refusal::Unready);
            }
            let waiter = park::waiter();
            let until = earlier(deadline, self.due());
            if park::wait(&waiter, Reason::ChannelReceive, until) == Outcome::Cancelled {
                park::unwind();
            }
        }
    }

    /// When the next message is there; `None` if none will ever be.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state.lock().due
    }

    /// Whether a message is there.
    pub(super) fn is_due(&self) -> bool {
        park::spend(Cost::Call);
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// As [`Exchange::turn`](super::exchange::Exchange::turn).
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// As [`Meeting::set_aside`](super::meeting::Meeting::set_aside).
    pub(super) fn set_aside(&self, message: T) {
        self.state.lock().aside.push_back(message);
    }

    /// As [`Meeting::take_aside`](super::meeting::Meeting::take_aside).
    pub(super) fn take_aside(&self) -> Option<T> {
        self.state.lock().aside.pop_front()
    }
}

/// Waits for a message that never comes.
pub(super) fn never<T>(patience: Patience) -> Result<T, Refusal> {
    let Patience::Until(deadline) = patience else {
        park::spend(Cost::InVain);
        return Err(Refusal::Unready);
    };
    if park::wait(&park::waiter(), Reason::ChannelReceive, deadline) == Outcome::Cancelled {
        park::unwind();
    }
    Err(Refusal::Unready)
}

/// The earlier of two deadlines, of which `None` is never.
pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
