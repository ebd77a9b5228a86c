//! The second half of a selected send: the message that was pledged, and the receiver that is owed it.

use super::exchange::{Exchange, Patience, Refusal};
use super::meeting::{Meeting, Parcel};
use super::owed::Promise;
use crate::cell::{Outcome, Reason};
use crate::park::primitive as park;
use crate::park::wait_list::{self, End};

impl<T> Exchange<T> {
    /// Sends the message of a sender that was granted its pledge; gives it back if all receivers are gone.
    pub(super) fn fulfil(&self, message: T) -> Result<(), T> {
        let mut meeting = self.enter();
        let mut parcel = Parcel::Message(message);
        let woken = meeting.fulfil(&mut parcel);
        self.leave(meeting, woken);
        self.advance();
        match parcel {
            Parcel::Message(message) => Err(message),
            Parcel::Empty | Parcel::Pledge => Ok(()),
        }
    }

    /// Gives up a pledge that was granted: a sender unwinds instead of making its message.
    pub(super) fn abandon(&self) {
        let mut meeting = self.enter();
        let woken = meeting.abandon();
        self.leave(meeting, woken);
        self.advance();
    }

    /// Lets waiting senders move up. Usually no place has become free, for the pledge's message is in it.
    fn advance(&self) {
        loop {
            let mut meeting = self.enter();
            let Some([sender, receiver]) = meeting.advance() else { return };
            self.leave(meeting, sender);
            self.wake(receiver);
        }
    }

    /// Receives a message that was promised. If the promise is broken, as if it had never been made.
    #[cold]
    pub(super) fn receive_promised(&self, patience: Patience) -> Result<T, Refusal> {
        match self.collect() {
            Some(message) => Ok(message),
            None => self.receive(patience),
        }
    }

    /// Waits for a message that was promised; `None` if the promise is broken.
    ///
    /// Neither a deadline nor a cancellation ends this: the sender is committed, and only makes its message. A caller that
    /// was cancelled meanwhile unwinds from its next wait.
    pub(super) fn collect(&self) -> Option<T> {
        let mut meeting = self.enter();
        match meeting.owed().collect() {
            Promise::Kept(message) => return Some(message),
            Promise::Broken => return None,
            Promise::Open => {}
        }
        let wait = || {
            wait_list::wait(
                meeting,
                |meeting: &mut Meeting<T>| meeting.owed().receivers(),
                End::Back,
                Parcel::Empty,
                Reason::ChannelReceive,
                None,
                || (),
            )
        };
        match park::shield(wait) {
            (Outcome::Notified, Parcel::Message(message)) => Some(message),
            (Outcome::Notified, _broken) => None,
            (Outcome::TimedOut | Outcome::Cancelled, _) => unreachable!("nothing ends a shielded wait"),
        }
    }
}
