//! The cell of an actor: its life, and the messages that it has not received yet.

use std::collections::VecDeque;
use std::time::Instant;

use super::contained::drop_each;
use super::life::{Life, Process};
use super::reason::Exit;
use super::reference::SendError;
use crate::park::{WaitQueue, Wakeup};

/// See the module's documentation.
pub(super) struct Cell<M> {
    life: Life,
    /// How many messages may wait. Exits and monitors' messages are added beyond it.
    capacity: usize,
    /// The wait queue holds the actor while it waits for a message.
    messages: WaitQueue<Messages<M>>,
}

struct Messages<M> {
    queue: VecDeque<M>,
    closed: bool,
    /// Makes a message of an exit, if the actor traps exits.
    trap: Option<fn(Exit) -> M>,
}

/// The largest capacity that an empty queue keeps.
const KEPT: usize = 1024;

/// Takes the first message of the queue. An emptied queue that was long gives its memory back.
pub(super) fn take_first<M>(queue: &mut VecDeque<M>) -> Option<M> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > KEPT {
        *queue = VecDeque::new();
    }
    first
}

impl<M> Cell<M> {
    pub(super) fn new(capacity: usize) -> Self {
        let messages = Messages { queue: VecDeque::new(), closed: false, trap: None };
        Self { life: Life::new(), capacity, messages: WaitQueue::new(messages) }
    }

    pub(super) fn set_trap(&self, trap: Option<fn(Exit) -> M>) {
        self.messages.lock().trap = trap;
    }

    pub(super) fn send(&self, message: M) -> Result<(), SendError<M>> {
        self.put(message, self.capacity)
    }

    /// Delivers the message of an exit or a monitor, although the mailbox may be full.
    pub(super) fn send_news(&self, message: M) {
        // An actor that has ended needs none.
        drop(self.put(message, usize::MAX));
    }

    fn put(&self, message: M, capacity: usize) -> Result<(), SendError<M>> {
        let mut messages = self.messages.lock();
        if messages.closed {
            drop(messages);
            return Err(SendError::Dead(message));
        }
        if messages.queue.len() >= capacity {
            drop(messages);
            return Err(SendError::Full(message));
        }
        messages.queue.push_back(message);
        messages.notify_one();
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.messages.lock().queue.len()
    }

    /// The oldest message, if there is one.
    pub(super) fn take(&self) -> Option<M> {
        take_first(&mut self.messages.lock().queue)
    }

    /// Blocks for the oldest message; `None` when `deadline` passes first. Only the actor calls this.
    pub(super) fn receive(&self, deadline: Option<Instant>) -> Option<M> {
        loop {
            let mut messages = self.messages.lock();
            if let Some(message) = take_first(&mut messages.queue) {
                return Some(message);
            }
            if messages.wait(deadline) == Wakeup::TimedOut {
                return self.take();
            }
        }
    }
}

impl<M: Send> Process for Cell<M> {
    fn life(&self) -> &Life {
        &self.life
    }

    fn trap(&self, exit: &Exit) -> bool {
        let trap = self.messages.lock().trap;
        let Some(trap) = trap else { return false };
        self.send_news(trap(exit.clone()));
        true
    }

    fn close(&self) {
        let unread = {
            let mut messages = self.messages.lock();
            messages.closed = true;
            std::mem::take(&mut messages.queue)
        };
        drop_each(unread);
    }
}
