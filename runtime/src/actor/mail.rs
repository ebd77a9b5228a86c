//! The cell of an actor: its life, and the messages that it has not received.

use std::collections::VecDeque;
use std::time::Instant;

use super::life::{Life, Process};
use super::reason::Exit;
use super::reference::SendError;
use crate::park::{WaitQueue, Wakeup};

/// See the module's documentation.
pub(super) struct Cell<M> {
    life: Life,
    /// How many messages may wait; news of deaths do not count.
    capacity: usize,
    /// In the queue is the actor, while it waits for a message.
    mail: WaitQueue<Mail<M>>,
}

struct Mail<M> {
    queue: VecDeque<M>,
    closed: bool,
    /// Makes a message of an exit, if the actor traps exits.
    trap: Option<fn(Exit) -> M>,
}

/// The most places of an empty queue that are kept.
const KEPT: usize = 1024;

/// Takes the first of the queue. The memory of a backlog goes back when it has been worked off.
pub(super) fn take_first<M>(queue: &mut VecDeque<M>) -> Option<M> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > KEPT {
        *queue = VecDeque::new();
    }
    first
}

impl<M> Cell<M> {
    pub(super) fn new(capacity: usize) -> Self {
        let mail = Mail { queue: VecDeque::new(), closed: false, trap: None };
        Self { life: Life::new(), capacity, mail: WaitQueue::new(mail) }
    }

    pub(super) fn set_trap(&self, trap: Option<fn(Exit) -> M>) {
        self.mail.lock().trap = trap;
    }

    pub(super) fn send(&self, message: M) -> Result<(), SendError<M>> {
        self.put(message, self.capacity)
    }

    /// Delivers news of a death: it is never refused for want of room.
    pub(super) fn send_news(&self, message: M) {
        // An actor that has ended needs no news.
        drop(self.put(message, usize::MAX));
    }

    fn put(&self, message: M, capacity: usize) -> Result<(), SendError<M>> {
        let mut mail = self.mail.lock();
        if mail.closed {
            drop(mail);
            return Err(SendError::Dead(message));
        }
        if mail.queue.len() >= capacity {
            drop(mail);
            return Err(SendError::Full(message));
        }
        mail.queue.push_back(message);
        mail.notify_one();
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.mail.lock().queue.len()
    }

    /// The oldest message, if there is one.
    pub(super) fn take(&self) -> Option<M> {
        take_first(&mut self.mail.lock().queue)
    }

    /// Blocks for the oldest message; `None` when `deadline` passes first. Only the actor calls this.
    pub(super) fn receive(&self, deadline: Option<Instant>) -> Option<M> {
        loop {
            let mut mail = self.mail.lock();
            if let Some(message) = take_first(&mut mail.queue) {
                return Some(message);
            }
            if mail.wait(deadline) == Wakeup::TimedOut {
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
        let trap = self.mail.lock().trap;
        let Some(trap) = trap else { return false };
        self.send_news(trap(exit.clone()));
        true
    }

    fn close(&self) {
        let unread = {
            let mut mail = self.mail.lock();
            mail.closed = true;
            std::mem::take(&mut mail.queue)
        };
        drop(unread);
    }
}
