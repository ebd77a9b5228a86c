//! The ends of a channel come and go: the last one of a side disconnects it.

use std::mem::ManuallyDrop;

use super::shared::Channel;
use super::state::State;
use crate::park::wait_list;

impl<T> Channel<T> {
    /// Counts another sender.
    pub(super) fn add_sender(&self) {
        self.ends.add_sender();
    }

    /// Counts another receiver.
    pub(super) fn add_receiver(&self) {
        self.ends.add_receiver();
    }

    /// Removes a sender from the count. The last one disconnects the channel.
    pub(super) fn remove_sender(&self) {
        if self.ends.remove_sender() {
            self.disconnect(|_| ());
        }
    }

    /// Removes a receiver from the count. The last one disconnects the channel and drops the messages that are left.
    pub(super) fn remove_receiver(&self) {
        if self.ends.remove_receiver() {
            // The lock is not held here: a destructor may be long, or use this channel. If one panics, the rest is leaked,
            // because a second panic would abort.
            let mut left = ManuallyDrop::new(self.disconnect(State::take_all));
            while let Some(message) = left.pop_front() {
                drop(message);
            }
            drop(ManuallyDrop::into_inner(left));
        }
    }

    /// One side is gone: calls `and` under the lock, and wakes all waiters. Usually nobody waits, and the lock is taken once.
    #[inline]
    fn disconnect<R>(&self, and: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.state.lock();
        let anybody_waits = state.disconnect();
        let result = and(&mut state);
        drop(state);
        if anybody_waits {
            self.wake_all();
        }
        result
    }

    /// Wakes all waiters. A sender finds its message still in its node; a receiver finds none.
    #[cold]
    fn wake_all(&self) {
        wait_list::wake_up_to(&self.state, State::senders, usize::MAX);
        wait_list::wake_up_to(&self.state, State::receivers, usize::MAX);
        self.wake_watchers();
    }
}
