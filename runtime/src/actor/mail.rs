//! The cell of an actor: its life, and the messages that it has not received.

use std::collections::VecDeque;
use std::time::Instant;

use super::life::{Life, Process};
use super::reason::Exit;
use super::reference::SendError;
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, SpinLock};
use crate::park::wait_list::{self, End, WaitList};
use crate::queue::take_first;

/// See the module's documentation.
pub(super) struct Cell<M> {
    life: Life,
    /// How many messages may wait; news of deaths do not count.
    capacity: usize,
    mail: SpinLock<Mail<M>>,
}

struct Mail<M> {
    queue: VecDeque<M>,
    closed: bool,
    /// Makes a message of an exit, if the actor traps exits.
    trap: Option<fn(Exit) -> M>,
    /// The actor, while it waits for a message.
    waiting: WaitList<()>,
}

impl<M> Mail<M> {
    fn waiting(&mut self) -> &mut WaitList<()> {
        &mut self.waiting
    }
}

impl<M> Cell<M> {
    pub(super) fn new(capacity: usize) -> Self {
        let mail = Mail { queue: VecDeque::new(), closed: false, trap: None, waiting: WaitList::new() };
        Self { life: Life::new(), capacity, mail: SpinLock::new(mail) }
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
        let woken = mail.waiting.pop_front();
        drop(mail);
        if let Some(woken) = woken {
            park::wake(woken);
        }
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
            match wait_list::wait(mail, Mail::waiting, End::Back, (), Reason::Mailbox, deadline, || ()).0 {
                Outcome::Notified => {}
                Outcome::TimedOut => return self.take(),
                Outcome::Cancelled => park::unwind(),
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
