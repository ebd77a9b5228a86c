//! The second half of a selected send: the reserved message, and the receiver that waits for it.

use super::handoffs::Handoff;
use super::shared::{Block, Channel, Refusal};
use super::state::{Packet, State};
use crate::cell::{Outcome, Reason};
use crate::park::primitive as park;
use crate::park::wait_list::{self, End};

impl<T> Channel<T> {
    /// Sends the message of a sender that has a permit. Returns it if all receivers are gone.
    pub(super) fn fulfil(&self, message: T) -> Result<(), T> {
        let mut state = self.lock();
        let mut packet = Packet::Message(message);
        let wakeup = state.fulfil(&mut packet);
        self.unlock_and_wake(state, wakeup);
        self.advance();
        match packet {
            Packet::Message(message) => Err(message),
            Packet::Empty | Packet::Reservation => Ok(()),
        }
    }

    /// Gives up a permit: the sender unwinds instead of making its message.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        let wakeup = state.abandon();
        self.unlock_and_wake(state, wakeup);
        self.advance();
    }

    /// Lets waiting senders move up. Usually no slot has become free, because the permit's message is in it.
    fn advance(&self) {
        loop {
            let mut state = self.lock();
            let Some([sender, receiver]) = state.advance() else { return };
            self.unlock_and_wake(state, sender);
            self.wake(receiver);
        }
    }

    /// Receives the message of a handoff. If the handoff is abandoned, receives as if it had never begun.
    #[cold]
    #[inline(never)]
    pub(super) fn receive_handoff(&self, block: Block) -> Result<T, Refusal> {
        match self.wait_for_handoff() {
            Some(message) => Ok(message),
            None => self.receive(block),
        }
    }

    /// Waits for the message of a handoff; `None` if it is abandoned.
    ///
    /// Neither a deadline nor a cancellation ends this wait: the sender is committed and is only making its message. A caller
    /// that was cancelled meanwhile unwinds from its next wait.
    pub(super) fn wait_for_handoff(&self) -> Option<T> {
        let mut state = self.lock();
        match state.handoffs().take() {
            Handoff::Delivered(message) => return Some(message),
            Handoff::Abandoned => return None,
            Handoff::Pending => {}
        }
        let wait = || {
            wait_list::wait(
                state,
                |state: &mut State<T>| state.handoffs().receivers(),
                End::Back,
                Packet::Empty,
                Reason::ChannelReceive.of(&self.ends),
                None,
                || (),
            )
        };
        match park::shield(wait) {
            (Outcome::Notified, Packet::Message(message)) => Some(message),
            (Outcome::Notified, _abandoned) => None,
            (Outcome::TimedOut | Outcome::Cancelled, _) => unreachable!("nothing ends a shielded wait"),
        }
    }
}
