//! The ends of a channel for async tasks: [`Receiver::recv_async`] and [`Sender::send_async`].
//!
//! A task waits in the same lists as fibers and threads, in turn with them. Its node is inside of the pinned future, whose
//! destructor takes it out of the list, under the lock, before the node is gone.
//!
//! **Nothing is lost with a future that is dropped.** A message that was handed to a receiving future is put back: to the
//! receiver who is first in turn, or else before all messages of the buffer, since it was sent before those that were never
//! handed out. (Of several that are put back, the last stands first: their order is not remembered.) Whatever other
//! receivers have taken meanwhile was sent later, but to them. The buffer may then hold more messages than its capacity,
//! one for each future so dropped; senders move up only when it holds less. A sending future takes back a message that
//! nobody has taken.

#![expect(unsafe_code, reason = "a node of a list inside of a pinned future")]

use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::error::{RecvError, SendError};
use super::exchange::{Exchange, Locked, Patience, Refusal};
use super::meeting::{Meeting, Parcel};
use super::receiver::{Flavor, Receiver};
use super::sender::Sender;
use crate::cell::{Outcome, TaskWaiter};
use crate::park::wait_list::{End, Node, WaitList};

/// One place in one of a channel's lists, for a task.
struct Place<T> {
    list: fn(&mut Meeting<T>) -> &mut WaitList<Parcel<T>>,
    node: Node<Parcel<T>>,
    /// Whom the node refers to. `None`: the node is in no list and its parcel is empty.
    waiter: Option<TaskWaiter>,
    /// Others refer to the node.
    _pinned: PhantomPinned,
}

// SAFETY: the links and the waiter are touched under the exchange's lock, and the parcel is that of whoever owns it at
// the time; it is sent with the future.
unsafe impl<T: Send> Send for Place<T> {}
// SAFETY: a shared reference gives access to nothing.
unsafe impl<T: Send> Sync for Place<T> {}

impl<T> Place<T> {
    fn new(list: fn(&mut Meeting<T>) -> &mut WaitList<Parcel<T>>) -> Self {
        Self { list, node: Node::new(Parcel::Empty), waiter: None, _pinned: PhantomPinned }
    }

    /// Joins the list and releases the lock.
    fn join(
        self: Pin<&mut Self>,
        exchange: &Exchange<T>,
        mut meeting: Locked<'_, T>,
        parcel: Parcel<T>,
        waiter: TaskWaiter,
    ) {
        // SAFETY: nothing is moved out of the place.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the node was in no list, or `leave` has taken it out.
        unsafe { this.node.replace(parcel) };
        let waiter = this.waiter.insert(waiter).waiter();
        // SAFETY: node and waiter stay where they are (one is pinned, the other on the heap) until `leave` is called,
        // in `poll` before the waiter is replaced or in `drop` at the latest.
        unsafe { (this.list)(&mut meeting).join(&this.node, waiter, End::Back) };
        let is_watched = meeting.is_watched();
        drop(meeting);
        exchange.announce(is_watched);
    }

    /// Takes the node out of its list; returns the parcel if the wait was ended by another, who left it there.
    fn leave(&mut self, exchange: &Exchange<T>) -> Option<Parcel<T>> {
        let waiter = self.waiter.take()?;
        // SAFETY: the node is in this list or has been popped from it.
        unsafe { (self.list)(&mut exchange.enter()).leave(&self.node) };
        let is_claimed = waiter.waiter().outcome() == Some(Outcome::Notified);
        // SAFETY: `leave` has been called.
        let parcel = unsafe { self.node.replace(Parcel::Empty) };
        is_claimed.then_some(parcel)
    }

    /// The parcel that another left, once one has.
    fn poll(self: Pin<&mut Self>, exchange: &Exchange<T>, context: &Context<'_>) -> Poll<Parcel<T>> {
        // SAFETY: nothing is moved out of the place.
        let this = unsafe { self.get_unchecked_mut() };
        let waiter = this.waiter.as_ref().expect("a place that was joined is polled");
        ready!(waiter.poll(context).map_or(Poll::Pending, Poll::Ready));
        Poll::Ready(this.leave(exchange).expect("it was claimed"))
    }
}

/// A message to come; from [`Receiver::recv_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    place: Place<T>,
}

/// A message to be sent; from [`Sender::send_async`].
#[must_use = "a future does nothing unless it is polled"]
pub struct SendFuture<'a, T> {
    exchange: &'a Exchange<T>,
    /// `None` while it is in the place's node, and once it has been sent.
    message: Option<T>,
    place: Place<T>,
}

impl<T> Receiver<T> {
    /// Receives a message, for a task of any executor: a future in the place of [`recv`](Self::recv).
    ///
    /// A future that is dropped loses no message: one that it was already handed is received by the next one who receives.
    /// (If several such futures are dropped, their messages may change places.)
    /// If a sender of a channel without capacity was selected (by a `select!`) to send to this future, polling and dropping
    /// it waits until that has made its message.
    ///
    /// # Errors
    ///
    /// When the channel is empty and all senders are gone.
    ///
    /// # Panics
    ///
    /// When polled, if this is the channel of [`after`](super::after), [`at`](super::at) or [`tick`](super::tick), and
    /// its message is not due: a task waits for a time with the timers of its executor.
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::bounded(1);
    /// std::thread::spawn(move || sender.send(5).unwrap());
    /// assert_eq!(abaca::future::block_on(receiver.recv_async()), Ok(5));
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture { receiver: self, place: Place::new(Meeting::receivers) }
    }
}

impl<T> Sender<T> {
    /// Sends `message`, for a task of any executor: a future in the place of [`send`](Self::send).
    ///
    /// A future that is dropped before the message was taken drops the message.
    ///
    /// # Errors
    ///
    /// When all receivers are gone; the error contains the message.
    ///
    /// ```
    /// let (sender, receiver) = abaca::channel::bounded(0);
    /// let thread = std::thread::spawn(move || receiver.recv());
    /// assert_eq!(abaca::future::block_on(sender.send_async(5)), Ok(()));
    /// assert_eq!(thread.join().unwrap(), Ok(5));
    /// ```
    pub fn send_async(&self, message: T) -> SendFuture<'_, T> {
        SendFuture { exchange: &self.exchange, message: Some(message), place: Place::new(Meeting::senders) }
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the place is not moved out of its pin.
        let (receiver, mut place) = unsafe {
            let this = self.get_unchecked_mut();
            (this.receiver, Pin::new_unchecked(&mut this.place))
        };
        let exchange = match &receiver.flavor {
            Flavor::Exchange(exchange) => exchange,
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
        if place.waiter.is_some() {
            match ready!(place.as_mut().poll(exchange, context)) {
                Parcel::Message(message) => return Poll::Ready(Ok(message)),
                Parcel::Empty => return Poll::Ready(Err(RecvError)),
                Parcel::Pledge => {
                    if let Some(message) = exchange.collect() {
                        return Poll::Ready(Ok(message));
                    }
                }
            }
        }
        loop {
            match exchange.receive(Patience::None) {
                Ok(message) => return Poll::Ready(Ok(message)),
                Err(Refusal::Disconnected) => return Poll::Ready(Err(RecvError)),
                Err(Refusal::Unready) => {}
            }
            // Made before the lock is taken, under which is looked again.
            let waiter = TaskWaiter::new(context);
            let meeting = exchange.enter();
            if !meeting.is_ready_to_take() {
                place.join(exchange, meeting, Parcel::Empty, waiter);
                return Poll::Pending;
            }
        }
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the place is not moved out of its pin; the message is not pinned.
        let (exchange, pending, mut place) = unsafe {
            let this = self.get_unchecked_mut();
            (this.exchange, &mut this.message, Pin::new_unchecked(&mut this.place))
        };
        if place.waiter.is_some() {
            return Poll::Ready(match ready!(place.as_mut().poll(exchange, context)) {
                Parcel::Message(message) => Err(SendError(message)),
                Parcel::Empty | Parcel::Pledge => Ok(()),
            });
        }
        loop {
            let message = pending.take().expect("a future is not polled after it is ready");
            let message = match exchange.send(message, Patience::None) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err((Refusal::Disconnected, message)) => return Poll::Ready(Err(SendError(message))),
                Err((Refusal::Unready, message)) => message,
            };
            let waiter = TaskWaiter::new(context);
            let meeting = exchange.enter();
            if !meeting.is_ready_to_put() {
                place.join(exchange, meeting, Parcel::Message(message), waiter);
                return Poll::Pending;
            }
            drop(meeting);
            *pending = Some(message);
        }
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        let Flavor::Exchange(exchange) = &self.receiver.flavor else { return };
        let message = match self.place.leave(exchange) {
            Some(Parcel::Message(message)) => Some(message),
            Some(Parcel::Pledge) => exchange.collect(),
            Some(Parcel::Empty) | None => None,
        };
        if let Some(message) = message {
            exchange.put_back(message);
        }
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        // A message that is still in the node comes out of it, and is dropped.
        drop(self.place.leave(self.exchange));
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
