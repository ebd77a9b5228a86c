//! The ring of a broadcast channel: the messages that some receiver has yet to receive, and the wait lists.
//!
//! Invariants, under the lock:
//!
//! 1. `slots` holds the messages of the positions `next - slots.len()..next`; there are at most `capacity`.
//! 2. A slot counts the receivers that have yet to pass it. At zero its message is dropped. A receiver passes slots in
//!    order, so the slots that still hold a message are the last ones.
//!
//! A message is behind an `Arc`, so that it is cloned and dropped after the lock is released: both are the user's code.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

use super::error::TryRecvError;
use crate::atomic::{AtomicUsize, Ordering};
use crate::cell::{Outcome, Reason, catch_and_resume, contained};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// The shared part of all ends of a channel.
pub(super) struct Ring<T> {
    state: SpinLock<State<T>>,
    /// Number of senders. The channel closes when it becomes 0.
    pub(super) senders: AtomicUsize,
    pub(super) weak_senders: AtomicUsize,
}

struct State<T> {
    slots: VecDeque<Slot<T>>,
    capacity: usize,
    /// The position of the next message.
    next: u64,
    receivers: usize,
    /// Whether all senders are gone.
    is_closed: bool,
    /// Receivers that wait for a message.
    waiting: WaitList<()>,
    /// Senders that wait for the last receiver to leave.
    closers: WaitList<()>,
}

struct Slot<T> {
    message: Option<Arc<T>>,
    /// Receivers that have yet to pass.
    remaining: usize,
}

impl<T> Ring<T> {
    /// A ring with one sender and no receivers.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: SpinLock::new(State {
                slots: VecDeque::new(),
                capacity,
                next: 0,
                receivers: 0,
                is_closed: false,
                waiting: WaitList::new(),
                closers: WaitList::new(),
            }),
            senders: AtomicUsize::new(1),
            weak_senders: AtomicUsize::new(0),
        }
    }

    /// Returns the number of receivers. Returns the message if there are none.
    pub(super) fn send(&self, message: T) -> Result<usize, T> {
        park::spend(Cost::Call);
        let message = Arc::new(message);
        let mut state = self.state.lock();
        let receivers = state.receivers;
        if receivers == 0 {
            drop(state);
            return Err(Arc::into_inner(message).expect("nobody else has it"));
        }
        let overwritten = if state.slots.len() == state.capacity { state.slots.pop_front() } else { None };
        state.slots.push_back(Slot { message: Some(message), remaining: receivers });
        state.next += 1;
        let is_awaited = !state.waiting.is_empty();
        drop(state);
        if is_awaited {
            // At most as many as there are receivers: those that wait again meanwhile have seen this message.
            wait_list::wake_up_to(&self.state, |state| &mut state.waiting, receivers);
        }
        // Last: its destructor is the user's code, which may wait or panic.
        drop(overwritten);
        Ok(receivers)
    }

    /// Takes the message at `position`, and moves on. After `Lagged`, `position` is that of the oldest message.
    pub(super) fn try_receive(&self, position: &mut u64) -> Result<Arc<T>, TryRecvError> {
        park::spend(Cost::Call);
        let received = self.state.lock().take(position);
        if matches!(received, Err(TryRecvError::Empty)) {
            park::spend(Cost::TryFailed);
        }
        received
    }

    /// As `try_receive`, but waits for a message; `Empty` when the time is up. Unwinds when the fiber is cancelled.
    pub(super) fn receive(
        &self,
        position: &mut u64,
        deadline: Option<Instant>,
    ) -> Result<Arc<T>, TryRecvError> {
        park::spend(Cost::Wait);
        let mut timed_out = false;
        loop {
            let mut state = self.state.lock();
            match state.take(position) {
                Err(TryRecvError::Empty) if !timed_out => {}
                done => return done,
            }
            let (outcome, ()) = wait_list::wait(
                state,
                |state| &mut state.waiting,
                End::Back,
                (),
                Reason::Broadcast,
                deadline,
                || (),
            );
            match outcome {
                Outcome::Notified => {}
                // A message that was sent at the same time is there.
                Outcome::TimedOut => timed_out = true,
                Outcome::Cancelled => park::unwind(),
            }
        }
    }

    /// Adds a receiver to the count. Returns the position of the next message.
    pub(super) fn add_receiver(&self) -> u64 {
        let mut state = self.state.lock();
        // No overflow, here and in the count of senders: each end also holds an `Arc`, whose count aborts first.
        state.receivers += 1;
        state.next
    }

    /// Removes a receiver from the count. It passes all messages from `position` on.
    ///
    /// # Panics
    ///
    /// If a destructor of such a message panics, or is cancelled: with the first payload, after all have been passed.
    pub(super) fn remove_receiver(&self, position: u64) {
        let mut state = self.state.lock();
        state.receivers -= 1;
        // Later messages do not count it.
        let end = state.next;
        if state.receivers == 0 {
            drop(state);
            wait_list::wake_up_to(&self.state, |state| &mut state.closers, usize::MAX);
            state = self.state.lock();
        }
        let mut position = position.max(state.first());
        let mut panic = None;
        while position < end {
            let slot = state.slot(position).expect("the oldest one or a later one");
            slot.remaining -= 1;
            let dropped = if slot.remaining == 0 { slot.message.take() } else { None };
            position += 1;
            if dropped.is_some() {
                // A destructor is the user's code. Meanwhile other senders may overwrite slots that are still to be passed.
                drop(state);
                if let Err(payload) = catch_and_resume(&Cell::new(0), || drop(dropped)) {
                    match panic {
                        None => panic = Some(payload),
                        Some(_) => contained(|| drop(payload)),
                    }
                }
                state = self.state.lock();
                position = position.max(state.first());
            }
        }
        drop(state);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// All senders are gone.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        wait_list::wake_up_to(&self.state, |state| &mut state.waiting, usize::MAX);
    }

    /// Waits until there are no receivers. Unwinds when the fiber is cancelled.
    pub(super) fn wait_closed(&self) {
        loop {
            let state = self.state.lock();
            if state.receivers == 0 {
                return;
            }
            let (outcome, ()) = wait_list::wait(
                state,
                |state| &mut state.closers,
                End::Back,
                (),
                Reason::Broadcast,
                None,
                || (),
            );
            if outcome == Outcome::Cancelled {
                park::unwind();
            }
        }
    }

    pub(super) fn receivers(&self) -> usize {
        self.state.lock().receivers
    }

    /// Number of messages that some receiver has yet to pass.
    pub(super) fn len(&self) -> usize {
        park::spend(Cost::Call);
        let state = self.state.lock();
        state.slots.len() - state.slots.partition_point(|slot| slot.remaining == 0)
    }

    /// Number of messages that a receiver at `position` has yet to pass, including those that were overwritten.
    pub(super) fn len_from(&self, position: u64) -> usize {
        park::spend(Cost::Call);
        usize::try_from(self.state.lock().next - position).unwrap_or(usize::MAX)
    }

    /// Adds a sender to the count, unless all senders are gone.
    pub(super) fn try_add_sender(&self) -> bool {
        // Relaxed, here and below: the lock of `close` orders what the last one does after what the others sent.
        let add = |count: usize| (count > 0).then_some(count + 1);
        self.senders.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Removes a sender from the count. The last one closes the channel.
    pub(super) fn remove_sender(&self) {
        if self.senders.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.close();
        }
    }
}

impl<T> State<T> {
    /// The position of the first slot.
    fn first(&self) -> u64 {
        self.next - self.slots.len() as u64
    }

    /// The slot at `position`, which must not be before the first.
    fn slot(&mut self, position: u64) -> Option<&mut Slot<T>> {
        let index = usize::try_from(position - self.first()).ok()?;
        self.slots.get_mut(index)
    }

    fn take(&mut self, position: &mut u64) -> Result<Arc<T>, TryRecvError> {
        let first = self.first();
        if *position < first {
            let missed = first - *position;
            *position = first;
            return Err(TryRecvError::Lagged(missed));
        }
        let is_closed = self.is_closed;
        let Some(slot) = self.slot(*position) else {
            return Err(if is_closed { TryRecvError::Closed } else { TryRecvError::Empty });
        };
        *position += 1;
        slot.remaining -= 1;
        let message = if slot.remaining == 0 { slot.message.take() } else { slot.message.clone() };
        Ok(message.expect("a slot that a receiver has yet to pass holds its message"))
    }
}
