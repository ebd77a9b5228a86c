//! Spawning actors: closures, and values that implement [`Actor`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::cell::Cell;
use super::contained::{contained, drop_each};
use super::life::{self, Process};
use super::mailbox::Mailbox;
use super::pid::Pid;
use super::reason::ExitReason;
use super::reference::ActorRef;
use crate::cancel::Cancelled;
use crate::fiber as fibers;
use crate::fiber::SpawnError;
use crate::park::is_refused;

/// An actor that is a value with a method for messages, as OTP's generic server.
///
/// The value is dropped when the actor ends, for whatever reason: clean up in its `Drop`.
///
/// ```
/// use abaca::actor::{self, Actor, Mailbox, Reply};
/// use std::{collections::HashMap, time::Duration};
///
/// #[derive(Default)]
/// struct Store(HashMap<String, String>);
///
/// enum Message {
///     Put(String, String),
///     Get(String, Reply<Option<String>>),
///     Close,
/// }
///
/// impl Actor for Store {
///     type Message = Message;
///
///     fn handle(&mut self, message: Message, mailbox: &mut Mailbox<Message>) {
///         match message {
///             Message::Put(key, value) => drop(self.0.insert(key, value)),
///             Message::Get(key, reply) => reply.send(self.0.get(&key).cloned()),
///             Message::Close => mailbox.stop(()),
///         }
///     }
/// }
/// # abaca::run(|| {
/// let store = actor::start(Store::default());
/// store.send(Message::Put("colour".into(), "blue".into())).unwrap();
/// let colour = store.call(Duration::from_secs(5), |reply| Message::Get("colour".into(), reply));
/// assert_eq!(colour.unwrap().as_deref(), Some("blue"));
/// store.send(Message::Close).unwrap();
/// assert_eq!(store.wait(), actor::ExitReason::Normal);
/// # });
/// ```
pub trait Actor: Send + 'static {
    /// The type of its messages.
    type Message: Send + 'static;

    /// Called in the actor's fiber before the first message.
    fn started(&mut self, mailbox: &mut Mailbox<Self::Message>) {
        let _ = mailbox;
    }

    /// Called for each message. It may block, and receive messages itself; the others wait meanwhile.
    fn handle(&mut self, message: Self::Message, mailbox: &mut Mailbox<Self::Message>);
}

/// Settings for a new actor.
///
/// ```
/// use abaca::actor::{self, Mailbox, SendError};
/// # abaca::run(|| {
/// let busy = actor::Builder::new().capacity(1).spawn(|_: &mut Mailbox<u32>| abaca::park()).unwrap();
/// busy.send(1).unwrap();
/// assert_eq!(busy.send(2), Err(SendError::Full(2)));
/// # });
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    fiber: fibers::Builder,
    capacity: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self { fiber: fibers::Builder::new(), capacity: usize::MAX }
    }
}

impl Builder {
    /// A builder with the runtime's settings and an unbounded mailbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the actor's fiber: shown in reports of panics, stack overflows and dumps.
    pub fn name(mut self, name: String) -> Self {
        self.fiber = self.fiber.name(name);
        self
    }

    /// The usable size of the stack in bytes; see [`fiber::Builder::stack_size`](crate::fiber::Builder::stack_size).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.fiber = self.fiber.stack_size(bytes);
        self
    }

    /// How many messages may wait in the mailbox before [`send`](ActorRef::send) fails. Default: no limit but memory.
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages;
        self
    }

    /// For functions that spawn and return no error: as [`abaca::spawn`](fn@crate::spawn) while the runtime ends.
    pub(super) fn even_at_the_end(mut self) -> Self {
        self.fiber = self.fiber.even_at_the_end();
        self
    }

    /// Spawns an actor whose body is a closure. It ends when the closure does.
    ///
    /// If there is no memory for its stack when it is to start, its reason is [`Failed`](ExitReason::Failed).
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    #[track_caller]
    pub fn spawn<M, R, F>(self, body: F) -> Result<ActorRef<M>, SpawnError>
    where
        M: Send + 'static,
        R: Into<ExitReason>,
        F: FnOnce(&mut Mailbox<M>) -> R + Send + 'static,
    {
        self.spawn_after(body, |_| ())
    }

    /// Spawns an actor that is a value.
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    #[track_caller]
    pub fn start<A: Actor>(self, actor: A) -> Result<ActorRef<A::Message>, SpawnError> {
        self.spawn(|mailbox| serve(actor, mailbox))
    }

    /// [`spawn`](Self::spawn) that calls `before` when the actor exists and has not started.
    #[track_caller]
    pub(super) fn spawn_after<M, R, F>(
        self,
        body: F,
        before: impl FnOnce(&Pid),
    ) -> Result<ActorRef<M>, SpawnError>
    where
        M: Send + 'static,
        R: Into<ExitReason>,
        F: FnOnce(&mut Mailbox<M>) -> R + Send + 'static,
    {
        let actor = ActorRef { cell: Arc::new(Cell::new(self.capacity)) };
        let living = Living { mailbox: Mailbox::new(Arc::clone(&actor.cell)), ended: false };
        before(&actor.pid());
        let unstarted = Unstarted { body, living };
        let process: Arc<dyn Process> = Arc::clone(&actor.cell) as _;
        match self.fiber.spawn(move || unstarted.live()) {
            Ok(fiber) => {
                life::spawned(&process, fiber);
                Ok(actor)
            }
            Err(error) => {
                life::end(&process, &ExitReason::of_spawn(error));
                Err(error)
            }
        }
    }
}

/// Spawns an actor whose body is a closure, with an unbounded mailbox. The actor ends when the closure returns. The value that
/// it returns, `()`, a `Result` or an [`ExitReason`], is the reason.
///
/// # Panics
///
/// As [`abaca::spawn`](fn@crate::spawn); [`Builder::spawn`] does not.
///
/// ```
/// use abaca::actor::{self, ExitReason, Mailbox};
/// # abaca::run(|| {
/// let parser = actor::spawn(|mailbox: &mut Mailbox<String>| -> Result<(), std::num::ParseIntError> {
///     loop {
///         println!("{}", mailbox.receive().parse::<u32>()?);
///     }
/// });
/// parser.cast("17".into());
/// parser.cast("many".into());
/// assert_eq!(parser.wait(), ExitReason::failed("invalid digit found in string"));
/// # });
/// ```
#[track_caller]
pub fn spawn<M, R, F>(body: F) -> ActorRef<M>
where
    M: Send + 'static,
    R: Into<ExitReason>,
    F: FnOnce(&mut Mailbox<M>) -> R + Send + 'static,
{
    match Builder::new().even_at_the_end().spawn(body) {
        Ok(actor) => actor,
        Err(error) => error.raise(),
    }
}

/// Spawns an actor that is a value; see [`Actor`].
///
/// # Panics
///
/// As [`abaca::spawn`](fn@crate::spawn); [`Builder::start`] does not.
#[track_caller]
pub fn start<A: Actor>(actor: A) -> ActorRef<A::Message> {
    match Builder::new().even_at_the_end().start(actor) {
        Ok(actor) => actor,
        Err(error) => error.raise(),
    }
}

fn serve<A: Actor>(mut actor: A, mailbox: &mut Mailbox<A::Message>) -> ExitReason {
    actor.started(mailbox);
    loop {
        if let Some(reason) = mailbox.stopping() {
            return reason;
        }
        let message = mailbox.receive();
        actor.handle(message, mailbox);
    }
}

/// An actor that has not ended. However its fiber goes, also if it never runs, the end is told to everybody.
struct Living<M: Send + 'static> {
    /// Outlives the body, so that messages are dropped after those who wait for answers have been told.
    mailbox: Mailbox<M>,
    ended: bool,
}

/// An actor that has not started. If it never does, its body is dropped before its end is told: the order of the fields.
struct Unstarted<F, M: Send + 'static> {
    body: F,
    living: Living<M>,
}

impl<F, M, R> Unstarted<F, M>
where
    F: FnOnce(&mut Mailbox<M>) -> R,
    M: Send + 'static,
    R: Into<ExitReason>,
{
    fn live(self) {
        let Self { body, living } = self;
        living.live(body);
    }
}

impl<M: Send + 'static> Living<M> {
    fn live<R: Into<ExitReason>>(mut self, body: impl FnOnce(&mut Mailbox<M>) -> R) {
        let result = catch_unwind(AssertUnwindSafe(|| body(&mut self.mailbox).into()));
        let reason = match result {
            Ok(reason) => reason,
            Err(payload) if Cancelled::is_own(&*payload) => self.why_cancelled(),
            Err(payload) => {
                let reason = ExitReason::of_panic(&*payload);
                contained(|| drop(payload));
                reason
            }
        };
        self.end(&reason);
        drop_each(self.mailbox.take_passed());
    }

    fn why_cancelled(&self) -> ExitReason {
        // Nobody wanted this one to end in particular: the runtime ends.
        self.mailbox.process().life().pending_exit().unwrap_or(ExitReason::Shutdown)
    }

    fn why_unstarted(&self) -> ExitReason {
        let was_asked = self.mailbox.process().life().pending_exit();
        if was_asked.is_none() && is_refused() {
            return ExitReason::failed("there was no memory for its stack");
        }
        self.why_cancelled()
    }

    fn end(&mut self, reason: &ExitReason) {
        self.ended = true;
        life::end(&self.mailbox.process(), reason);
    }
}

impl<M: Send + 'static> Drop for Living<M> {
    fn drop(&mut self) {
        if !self.ended {
            life::end_unstarted(&self.mailbox.process(), self.why_unstarted());
        }
    }
}
