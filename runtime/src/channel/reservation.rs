//! The second half of a selected send: the message that was reserved, and the receiver that is owed it.

use super::handoffs::Handoff;
use super::shared::{Block, Channel, Refusal};
use super::state::{Packet, State};
use crate::cell::{Outcome, Reason};
use crate::park::primitive as park;
use crate::park::wait_list::{self, End};

impl<T> Channel<T> {
    /// Sends the message of a sender that was granted its reservation; gives it back if all receivers are gone.
    pub(super) fn fulfil(&self, message: T) -> Result<(), T> {
        let mut state = self.enter();
        let mut packet = Packet::Message(message);
        let woken = state.fulfil(&mut packet);
        self.leave(state, woken);
        self.advance();
        match packet {
            Packet::Message(message) => Err(message),
            Packet::Empty | Packet::Reservation => Ok(()),
        }
    }

    /// Gives up a reservation that was granted: a sender unwinds instead of making its message.
    pub(super) fn abandon(&self) {
        let mut state = self.enter();
        let woken = state.abandon();
        self.leave(state, woken);
        self.advance();
    }

    /// Lets waiting senders move up. Usually no place has become free, for the reservation's message is in it.
    fn advance(&self) {
        loop {
            let mut state = self.enter();
            let Some([sender, receiver]) = state.advance() else { return };
            self.leave(state, sender);
            self.wake(receiver);
        }
    }

    /// Receives a message that was promised. If the promise is broken, as if it had never been made.
    #[cold]
    pub(super) fn receive_handoff(&self, block: Block) -> Result<T, Refusal> {
        match self.collect() {
            Some(message) => Ok(message),
            None => self.receive(block),
        }
    }

    /// Waits for a message that was promised; `None` if the promise is broken.
    ///
    /// Neither a deadline nor a cancellation ends this: the sender is committed, and only makes its message. A caller that
    /// was cancelled meanwhile unwinds from its next wait.
    pub(super) fn collect(&self) -> Option<T> {
        let mut state = self.enter();
        match state.handoffs().collect() {
            Handoff::Arrived(message) => return Some(message),
            Handoff::Abandoned => return None,
            Handoff::Pending => {}
        }
        let wait = || {
            wait_list::wait(
                state,
                |state: &mut State<T>| state.handoffs().receivers(),
                End::Back,
                Packet::Empty,
                Reason::ChannelReceive,
                None,
                || (),
            )
        };
        match park::shield(wait) {
            (Outcome::Notified, Packet::Message(message)) => Some(message),
            (Outcome::Notified, _broken) => None,
            (Outcome::TimedOut | Outcome::Cancelled, _) => unreachable!("nothing ends a shielded wait"),
        }
    }
}
