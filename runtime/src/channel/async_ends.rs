//! The ends of a channel for async tasks: [`Receiver::recv_async`] and [`Sender::send_async`].
//!
//! A task waits in the same lists as fibers and threads, in turn with them. Its node is inside the pinned future. The
//! future's destructor takes the node out of the list, under the lock, before the node is freed.
//!
//! **A dropped future loses no message.** A message that was handed to a receiving future is put back: it goes to the first
//! waiting receiver, or else before all messages of the buffer, since it was sent before those that were never handed out.
//! (Of several that are put back, the last stands first: their order is not remembered.) A message that another receiver
//! has taken meanwhile was sent later, but to that receiver. The buffer may then hold more messages than its capacity, one
//! for each future so dropped; senders move up only when it holds less. A sending future takes back a message that
//! no receiver has taken.

#![expect(unsafe_code, reason = "a node of a list inside of a pinned future")]

use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::error::{RecvError, SendError};
use super::receiver::{Flavor, Receiver};
use super::sender::Sender;
use super::shared::{Block, Channel, Locked, Refusal};
use super::state::{Packet, State};
use crate::cell::{FutureWaiter, Outcome};
use crate::park::wait_list::{End, Node, WaitList};

/// A task's registration in one of a channel's lists.
struct Registration<T> {
    list: fn(&mut State<T>) -> &mut WaitList<Packet<T>>,
    node: Node<Packet<T>>,
    /// The waiter that the node refers to. `None`: the node is in no list and its packet is empty.
    waiter: Option<FutureWaiter>,
    /// Others refer to the node.
    _pinned: PhantomPinned,
}

// SAFETY: the links and the waiter are touched under the channel's lock. The packet belongs to the current owner of the
// node, and is sent with the future.
unsafe impl<T: Send> Send for Registration<T> {}
// SAFETY: a shared reference gives no access.
unsafe impl<T: Send> Sync for Registration<T> {}

impl<T> Registration<T> {
    fn new(list: fn(&mut State<T>) -> &mut WaitList<Packet<T>>) -> Self {
        Self { list, node: Node::new(Packet::Empty), waiter: None, _pinned: PhantomPinned }
    }

    /// Joins the list and releases the lock.
    fn join(
        self: Pin<&mut Self>,
        channel: &Channel<T>,
        mut state: Locked<'_, T>,
        packet: Packet<T>,
        waiter: FutureWaiter,
    ) {
        // SAFETY: nothing is moved out of the registration.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the node was in no list, or `leave` has taken it out.
        unsafe { this.node.replace(packet) };
        let waiter = this.waiter.insert(waiter).waiter();
        // SAFETY: node and waiter stay where they are (one is pinned, the other on the heap) until `leave` is called,
        // in `poll` before the waiter is replaced or in `drop` at the latest.
        unsafe { (this.list)(&mut state).join(&this.node, waiter, End::Back) };
        let is_watched = state.is_watched();
        drop(state);
        channel.announce(is_watched);
    }

    /// Takes the node out of its list. Returns the packet if a peer has ended the wait and left its packet there.
    fn leave(&mut self, channel: &Channel<T>) -> Option<Packet<T>> {
        let waiter = self.waiter.take()?;
        // SAFETY: the node is in this list or has been popped from it.
        unsafe { (self.list)(&mut channel.lock()).leave(&self.node) };
        let is_claimed = waiter.waiter().outcome() == Some(Outcome::Notified);
        // SAFETY: `leave` has been called.
        let packet = unsafe { self.node.replace(Packet::Empty) };
        is_claimed.then_some(packet)
    }

    /// Returns the packet that a peer has left, once one has.
    fn poll(self: Pin<&mut Self>, channel: &Channel<T>, context: &Context<'_>) -> Poll<Packet<T>> {
        // SAFETY: nothing is moved out of the registration.
        let this = unsafe { self.get_unchecked_mut() };
        let waiter = this.waiter.as_ref().expect("a joined registration is polled");
        ready!(waiter.poll(context).map_or(Poll::Pending, Poll::Ready));
        Poll::Ready(this.leave(channel).expect("it was claimed"))
    }
}

/// A future that receives a message. Made by [`Receiver::recv_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    registration: Registration<T>,
}

/// A future that sends a message. Made by [`Sender::send_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, T> {
    channel: &'a Channel<T>,
    /// `None` while the message is in the registration's node, and once it has been sent.
    message: Option<T>,
    registration: Registration<T>,
}

impl<T> Receiver<T> {
    /// Receives a message: [`recv`](Self::recv) as a future, for a task of any executor.
    ///
    /// A dropped future loses no message: a message that was already handed to it goes to the next receiver. (If several
    /// such futures are dropped, their messages may change places.)
    ///
    /// In a channel without capacity, a sender's `select!` may have selected this future. Then polling and dropping the future
    /// wait until that sender has made its message.
    ///
    /// # Errors
    ///
    /// If the channel is empty and all senders are gone.
    ///
    /// # Panics
    ///
    /// Polling panics if this is the channel of [`after`](super::after), [`at`](super::at) or [`tick`](super::tick), and
    /// its message is not due: a task waits for a time with the timers of its executor.
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::bounded(1);
    /// std::thread::spawn(move || sender.send(5).unwrap());
    /// assert_eq!(abaca::future::block_on(receiver.recv_async()), Ok(5));
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture { receiver: self, registration: Registration::new(State::receivers) }
    }
}

impl<T> Sender<T> {
    /// Sends `message`: [`send`](Self::send) as a future, for a task of any executor.
    ///
    /// A future that is dropped before the message was taken drops the message. A message that a receiver has taken is sent, also
    /// if the future is dropped before it has been polled again, as by a timeout.
    ///
    /// # Errors
    ///
    /// If all receivers are gone; the error contains the message.
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::bounded(0);
    /// let thread = std::thread::spawn(move || receiver.recv());
    /// assert_eq!(abaca::future::block_on(sender.send_async(5)), Ok(()));
    /// assert_eq!(thread.join().unwrap(), Ok(5));
    /// ```
    pub fn send_async(&self, message: T) -> SendFuture<'_, T> {
        SendFuture {
            channel: &self.channel,
            message: Some(message),
            registration: Registration::new(State::senders),
        }
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the registration is not moved out of its pin.
        let (receiver, mut registration) = unsafe {
            let this = self.get_unchecked_mut();
            (this.receiver, Pin::new_unchecked(&mut this.registration))
        };
        let channel = match &receiver.flavor {
            Flavor::Channel(channel) => channel,
            Flavor::Clock(clock) => {
                let due = clock.try_receive();
                assert!(
                    due.is_some() || clock.due().is_none(),
                    "a task cannot wait for the channel of a clock"
                );
                return due.map_or(Poll::Pending, |message| Poll::Ready(Ok(message)));
            }
            Flavor::Never => return Poll::Pending,
        };
        if registration.waiter.is_some() {
            match ready!(registration.as_mut().poll(channel, context)) {
                Packet::Message(message) => return Poll::Ready(Ok(message)),
                Packet::Empty => return Poll::Ready(Err(RecvError)),
                Packet::Reservation => {
                    if let Some(message) = channel.wait_for_handoff() {
                        return Poll::Ready(Ok(message));
                    }
                }
            }
        }
        loop {
            match channel.receive(Block::Never) {
                Ok(message) => return Poll::Ready(Ok(message)),
                Err(Refusal::Disconnected) => return Poll::Ready(Err(RecvError)),
                Err(Refusal::WouldBlock) => {}
            }
            // Made before the lock is taken, under which readiness is checked again.
            let waiter = FutureWaiter::new(context);
            let state = channel.lock();
            if !state.is_ready_to_take() {
                registration.join(channel, state, Packet::Empty, waiter);
                return Poll::Pending;
            }
        }
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the registration is not moved out of its pin; the message is not pinned.
        let (channel, pending, mut registration) = unsafe {
            let this = self.get_unchecked_mut();
            (this.channel, &mut this.message, Pin::new_unchecked(&mut this.registration))
        };
        if registration.waiter.is_some() {
            return Poll::Ready(match ready!(registration.as_mut().poll(channel, context)) {
                Packet::Message(message) => Err(SendError(message)),
                Packet::Empty | Packet::Reservation => Ok(()),
            });
        }
        loop {
            let message = pending.take().expect("a future is not polled after it is ready");
            let message = match channel.send(message, Block::Never) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err((Refusal::Disconnected, message)) => return Poll::Ready(Err(SendError(message))),
                Err((Refusal::WouldBlock, message)) => message,
            };
            let waiter = FutureWaiter::new(context);
            let state = channel.lock();
            if !state.is_ready_to_put() {
                registration.join(channel, state, Packet::Message(message), waiter);
                return Poll::Pending;
            }
            drop(state);
            *pending = Some(message);
        }
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        let Flavor::Channel(channel) = &self.receiver.flavor else { return };
        let message = match self.registration.leave(channel) {
            Some(Packet::Message(message)) => Some(message),
            Some(Packet::Reservation) => channel.wait_for_handoff(),
            Some(Packet::Empty) | None => None,
        };
        if let Some(message) = message {
            channel.put_back(message);
        }
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        // A message that is still in the node comes out of it, and is dropped.
        drop(self.registration.leave(self.channel));
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture").finish_non_exhaustive()
    }
}
