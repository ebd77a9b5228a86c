//! `Mailbox`: the handle with which an actor receives, links and monitors.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cell::{Cell, take_first};
use super::life::{self, Life, Process};
use super::pid::Pid;
use super::reason::{Down, Exit, ExitReason};
use super::reference::ActorRef;
use super::spawn::Builder;
use crate::cancel;
use crate::park::{self, Cost};

/// The mailbox of an actor, which its body gets.
///
/// Messages are received in the order in which they arrived. [`receive_match`](Self::receive_match) takes the first that a
/// closure accepts, and leaves the others where they are.
///
/// A receive blocks the fiber. If the actor is ended from outside meanwhile, it unwinds.
pub struct Mailbox<M: Send + 'static> {
    cell: Arc<Cell<M>>,
    /// The messages that a selective receive has passed over. They are older than those of the cell.
    passed: VecDeque<M>,
    /// Set by [`stop`](Self::stop): the reason to end after the message in hand.
    stopping: Option<ExitReason>,
}

/// A monitor, from [`Mailbox::monitor`]; for [`Mailbox::demonitor`]. Dropping it leaves the monitor set.
#[derive(Debug)]
pub struct Monitor {
    owner: Pid,
    /// Its number among those of its owner. `None` if the other had ended already.
    number: Option<u64>,
}

impl<M: Send + 'static> Mailbox<M> {
    pub(super) fn new(cell: Arc<Cell<M>>) -> Self {
        Self { cell, passed: VecDeque::new(), stopping: None }
    }

    /// A reference to the actor itself, to give to others.
    #[must_use]
    pub fn me(&self) -> ActorRef<M> {
        ActorRef { cell: Arc::clone(&self.cell) }
    }

    fn pid(&self) -> Pid {
        self.me().pid()
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        park::spend(Cost::Call);
        self.passed.len() + self.cell.len()
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the oldest message; blocks until there is one.
    pub fn receive(&mut self) -> M {
        self.receive_until(None).expect("without a deadline, a wait ends with a message")
    }

    /// Takes the oldest message; `None` if there is none within `timeout`.
    ///
    /// ```
    /// use abaca::actor::{self, ExitReason, Mailbox};
    /// use std::time::Duration;
    /// # abaca::run(|| {
    /// let impatient = actor::spawn(|mailbox: &mut Mailbox<()>| {
    ///     mailbox.receive_timeout(Duration::from_millis(1)).ok_or("nobody wrote")
    /// });
    /// assert_eq!(impatient.wait(), ExitReason::failed("nobody wrote"));
    /// # });
    /// ```
    pub fn receive_timeout(&mut self, timeout: Duration) -> Option<M> {
        // A deadline beyond the clock's range never comes.
        self.receive_until(Instant::now().checked_add(timeout))
    }

    /// Takes the oldest message if there is one.
    pub fn try_receive(&mut self) -> Option<M> {
        let message = take_first(&mut self.passed).or_else(|| self.cell.take());
        park::spend(if message.is_some() { Cost::Call } else { Cost::TryFailed });
        message
    }

    fn receive_until(&mut self, deadline: Option<Instant>) -> Option<M> {
        // An actor that is never idle can be ended here as well.
        cancel::checkpoint();
        match take_first(&mut self.passed) {
            Some(message) => Some(message),
            None => self.cell.receive(deadline),
        }
    }

    /// Takes the oldest message that `pick` accepts; blocks until there is one. `pick` returns what it made of a
    /// message, or gives the message back, which keeps its place.
    ///
    /// ```
    /// use abaca::actor::{self, Mailbox};
    /// # abaca::run(|| {
    /// let sorter = actor::spawn(|mailbox: &mut Mailbox<i32>| {
    ///     let negative = mailbox.receive_match(|n| if n < 0 { Ok(-n) } else { Err(n) });
    ///     assert_eq!((negative, mailbox.receive(), mailbox.receive()), (3, 1, 2));
    /// });
    /// [1, 2, -3].into_iter().for_each(|n| sorter.cast(n));
    /// assert_eq!(sorter.wait(), actor::ExitReason::Normal);
    /// # });
    /// ```
    pub fn receive_match<R>(&mut self, pick: impl FnMut(M) -> Result<R, M>) -> R {
        self.match_until(pick, None).expect("without a deadline, a wait ends with a message")
    }

    /// [`receive_match`](Self::receive_match); `None` if no message is accepted within `timeout`.
    pub fn receive_match_timeout<R>(
        &mut self,
        timeout: Duration,
        pick: impl FnMut(M) -> Result<R, M>,
    ) -> Option<R> {
        self.match_until(pick, Instant::now().checked_add(timeout))
    }

    /// Takes the oldest message for which `is_wanted` holds; blocks until there is one. The others keep their places.
    pub fn receive_where(&mut self, mut is_wanted: impl FnMut(&M) -> bool) -> M {
        self.receive_match(|message| if is_wanted(&message) { Ok(message) } else { Err(message) })
    }

    fn match_until<R>(
        &mut self,
        mut pick: impl FnMut(M) -> Result<R, M>,
        deadline: Option<Instant>,
    ) -> Option<R> {
        cancel::checkpoint();
        let older = self.passed.len();
        for seen in 0..older {
            let message = self.passed.pop_front().expect("as many as were counted");
            match pick(message) {
                Ok(picked) => {
                    // What was seen has gone to the back, and belongs in front of the rest.
                    self.passed.rotate_right(seen);
                    return Some(picked);
                }
                Err(message) => self.passed.push_back(message),
            }
        }
        loop {
            match pick(self.cell.receive(deadline)?) {
                Ok(picked) => return Some(picked),
                Err(message) => self.passed.push_back(message),
            }
        }
    }

    /// From now on the actor does not end when a linked actor ends, or when it is asked to end. It receives an [`Exit`]
    /// instead, as the message that `into_message` makes of it. Only [`kill`](Pid::kill) still ends it.
    ///
    /// ```
    /// use abaca::actor::{self, Exit, ExitReason, Mailbox};
    /// enum Message {
    ///     Exit(Exit),
    /// }
    /// # abaca::run(|| {
    /// let parent = actor::spawn(|mailbox: &mut Mailbox<Message>| {
    ///     mailbox.trap_exits(Message::Exit);
    ///     let child = mailbox.spawn_link(|_: &mut Mailbox<()>| Err("no food"));
    ///     let Message::Exit(exit) = mailbox.receive();
    ///     assert_eq!(exit.from, Some(child.id()));
    ///     assert_eq!(exit.reason, ExitReason::failed("no food"));
    /// });
    /// assert_eq!(parent.wait(), ExitReason::Normal);
    /// # });
    /// ```
    pub fn trap_exits(&mut self, into_message: fn(Exit) -> M) {
        self.cell.set_trap(Some(into_message));
    }

    /// From now on the actor ends again when a linked actor ends abnormally, or when it is asked to.
    pub fn stop_trapping_exits(&mut self) {
        self.cell.set_trap(None);
    }

    /// Links the two actors: when one ends abnormally, the other is ended as well, unless it traps exits. Links have no
    /// direction, and there is at most one between two actors. If the other actor has ended already, this one is treated as if
    /// that happened now.
    ///
    /// ```
    /// use abaca::actor::{self, ExitReason, Mailbox};
    /// # abaca::run(|| {
    /// let pump = actor::spawn(|mailbox: &mut Mailbox<()>| mailbox.receive());
    /// let part = pump.clone();
    /// let engine = actor::spawn(move |mailbox: &mut Mailbox<()>| {
    ///     mailbox.link(&part); // useless without it
    ///     mailbox.receive();
    /// });
    /// pump.kill();
    /// assert!(matches!(engine.wait(), ExitReason::Linked { origin, .. } if origin == pump.id()));
    /// # });
    /// ```
    pub fn link(&self, other: impl Into<Pid>) {
        life::link(&self.pid(), &other.into());
    }

    /// Undoes a link. An [`Exit`] that was received before stays in the mailbox.
    pub fn unlink(&self, other: impl Into<Pid>) {
        life::unlink(&self.pid(), &other.into());
    }

    /// Watches the other actor: when it ends, this one receives the message that `into_message` makes of its [`Down`], once. If it
    /// has ended already, the message comes at once.
    ///
    /// ```
    /// use abaca::actor::{self, Down, ExitReason, Mailbox};
    /// # abaca::run(|| {
    /// let mortal = actor::spawn(|_: &mut Mailbox<()>| ());
    /// let watcher = actor::spawn(move |mailbox: &mut Mailbox<Down>| {
    ///     mailbox.monitor(&mortal, |down| down);
    ///     assert_eq!(mailbox.receive().reason, ExitReason::Normal);
    /// });
    /// assert_eq!(watcher.wait(), ExitReason::Normal);
    /// # });
    /// ```
    pub fn monitor<F>(&self, other: impl Into<Pid>, into_message: F) -> Monitor
    where
        F: FnOnce(Down) -> M + Send + 'static,
    {
        let cell = Arc::clone(&self.cell);
        let tell = move |down| cell.send_news(into_message(down));
        Monitor { owner: self.pid(), number: Life::monitor(&self.cell, &other.into(), tell) }
    }

    /// Stops watching. False if the other actor has ended: its message is in the mailbox, or has been received.
    pub fn demonitor(&self, monitor: Monitor) -> bool {
        monitor.number.is_some_and(|number| monitor.owner.life().demonitor(number))
    }

    /// Spawns an actor that is linked to this one from the beginning.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn spawn_link<N, R, F>(&self, body: F) -> ActorRef<N>
    where
        N: Send + 'static,
        R: Into<ExitReason>,
        F: FnOnce(&mut Mailbox<N>) -> R + Send + 'static,
    {
        let builder = Builder::new().even_at_the_end();
        let spawned = builder.spawn_after(body, |child| life::link(&self.pid(), child));
        match spawned {
            Ok(actor) => actor,
            Err(error) => error.raise(),
        }
    }

    /// Spawns an actor that is monitored from the beginning.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn spawn_monitor<N, R, F, D>(&self, body: F, into_message: D) -> (ActorRef<N>, Monitor)
    where
        N: Send + 'static,
        R: Into<ExitReason>,
        F: FnOnce(&mut Mailbox<N>) -> R + Send + 'static,
        D: FnOnce(Down) -> M + Send + 'static,
    {
        // A monitor also reports a death in the past, so it can be set after the spawn.
        let child = super::spawn(body);
        let monitor = self.monitor(&child, into_message);
        (child, monitor)
    }

    /// Ends an [`Actor`](super::Actor) for `reason` after the message in hand. A closure returns instead.
    pub fn stop(&mut self, reason: impl Into<ExitReason>) {
        self.stopping = Some(reason.into());
    }

    pub(super) fn stopping(&mut self) -> Option<ExitReason> {
        self.stopping.take()
    }

    /// Takes the messages that selective receives have passed over.
    pub(super) fn take_passed(&mut self) -> VecDeque<M> {
        std::mem::take(&mut self.passed)
    }

    pub(super) fn process(&self) -> Arc<dyn Process> {
        Arc::clone(&self.cell) as _
    }
}

impl<M: Send + 'static> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("actor", &self.me()).field("len", &self.len()).finish()
    }
}
