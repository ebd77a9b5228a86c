//! `ActorRef`: a reference to an actor, typed by its messages.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::call::{self, CallError, Reply};
use super::cell::Cell;
use super::pid::{ActorId, Pid};
use super::reason::ExitReason;
use crate::park::{self, Cost};

/// A reference to an actor that takes messages of type `M`. Clones refer to the same actor, and none keeps it alive.
///
/// ```
/// use abaca::actor::{self, Mailbox, Reply};
/// use std::time::Duration;
///
/// enum Message {
///     Add(u32),
///     Total(Reply<u32>),
/// }
/// # abaca::run(|| {
/// let counter = actor::spawn(|mailbox: &mut Mailbox<Message>| {
///     let mut total = 0;
///     loop {
///         match mailbox.receive() {
///             Message::Add(n) => total += n,
///             Message::Total(reply) => reply.send(total),
///         }
///     }
/// });
/// counter.send(Message::Add(2)).unwrap();
/// counter.send(Message::Add(3)).unwrap();
/// assert_eq!(counter.call(Duration::from_secs(5), Message::Total).unwrap(), 5);
/// # });
/// ```
pub struct ActorRef<M> {
    pub(super) cell: Arc<Cell<M>>,
}

impl<M> Clone for ActorRef<M> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell) }
    }
}

/// Why a message was not sent; it contains the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<M> {
    /// The mailbox holds as many messages as [`Builder::capacity`](super::Builder::capacity) allows.
    Full(M),
    /// The actor has ended.
    Dead(M),
}

impl<M> SendError<M> {
    /// The message that was not sent.
    pub fn into_inner(self) -> M {
        match self {
            Self::Full(message) | Self::Dead(message) => message,
        }
    }
}

impl<M: Send + 'static> ActorRef<M> {
    /// Puts a message into the actor's mailbox; never blocks. Messages of one sender arrive in the order in which they
    /// were sent.
    ///
    /// # Errors
    ///
    /// * [`SendError::Dead`]: the actor has ended.
    /// * [`SendError::Full`]: the mailbox is bounded and full.
    ///
    /// If the actor ends before it receives a message that was sent, the message is dropped.
    pub fn send(&self, message: M) -> Result<(), SendError<M>> {
        park::spend(Cost::Call);
        self.cell.send(message)
    }

    /// Like [`send`](Self::send), but drops a message that cannot be sent.
    pub fn cast(&self, message: M) {
        drop(self.send(message));
    }

    /// Sends the message that `request` makes of a [`Reply`], and blocks until it is answered.
    ///
    /// The server may answer later, and may give the reply to another actor to answer. An actor that calls itself waits
    /// until the time is up.
    ///
    /// # Errors
    ///
    /// * [`CallError::Exited`]: the server has ended, or ends before it answers.
    /// * [`CallError::NoReply`]: the reply was dropped.
    /// * [`CallError::TimedOut`]: there was no answer within `timeout`; a later answer is dropped.
    /// * [`CallError::Full`]: the server's mailbox is bounded and full.
    ///
    /// ```
    /// use abaca::actor::{self, CallError, ExitReason, Mailbox, Reply};
    /// use std::time::Duration;
    /// # abaca::run(|| {
    /// let server = actor::spawn(|_: &mut Mailbox<Reply<u32>>| Err("no fuel"));
    /// let error = server.call(Duration::from_secs(5), |reply| reply).unwrap_err();
    /// assert_eq!(error, CallError::Exited(ExitReason::failed("no fuel")));
    /// # });
    /// ```
    pub fn call<R, F>(&self, timeout: Duration, request: F) -> Result<R, CallError>
    where
        R: Send + 'static,
        F: FnOnce(Reply<R>) -> M,
    {
        call::call(self, timeout, request)
    }

    /// The actor by its identity, whatever its messages.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::new(Arc::clone(&self.cell) as _)
    }

    /// The actor's unique identifier.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.pid().id()
    }

    /// Whether the actor has not ended yet.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.pid().is_alive()
    }

    /// Asks the actor to end; see [`Pid::exit`].
    #[track_caller]
    pub fn exit(&self, reason: ExitReason) {
        self.pid().exit(reason);
    }

    /// Ends the actor, even if it traps exits; see [`Pid::kill`].
    #[track_caller]
    pub fn kill(&self) {
        self.pid().kill();
    }

    /// Blocks until the actor has ended; returns why.
    pub fn wait(&self) -> ExitReason {
        self.pid().wait()
    }

    /// [`wait`](Self::wait), for at most `timeout`: `None` if the actor lives then.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<ExitReason> {
        self.pid().wait_timeout(timeout)
    }
}

impl<M: Send + 'static> PartialEq for ActorRef<M> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<M: Send + 'static> Eq for ActorRef<M> {}

impl<M: Send + 'static> fmt::Debug for ActorRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActorRef").field(&self.id()).finish()
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Dead(_) => "Dead(..)",
        })
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the actor's mailbox is full",
            Self::Dead(_) => "the actor has ended",
        })
    }
}

impl<M> std::error::Error for SendError<M> {}
