//! Supervisors: actors that start others and start them again when they fail.
//!
//! A supervisor has **children**: each has a name, a closure that starts it, and settings of when and how it is restarted and
//! stopped ([`Child`]). When a child ends, the supervisor restarts it, alone or with others, as its [`Strategy`] says. If it
//! has to restart too often, it stops its children in the reverse of their order and ends with the reason `Shutdown`. Then
//! its own supervisor restarts it, with a larger part of the program. So a tree of supervisors rebuilds the smallest part that
//! cures a failure.
//!
//! ```
//! use abaca::actor::{self, Mailbox, Registry};
//! use abaca::actor::supervisor::{Child, Strategy, Supervisor};
//! use std::time::Duration;
//!
//! # abaca::run(|| {
//! let registry = Registry::new();
//! let names = registry.clone();
//! let supervisor = Supervisor::new(Strategy::OneForOne)
//!     .intensity(10, Duration::from_secs(1))
//!     .child(Child::new("echo", move || {
//!         let echo = actor::spawn(|mailbox: &mut Mailbox<&str>| loop {
//!             assert_ne!(mailbox.receive(), "poison");
//!         });
//!         names.register("echo", &echo).unwrap();
//!         echo
//!     }))
//!     .start();
//!
//! let first = registry.lookup::<&str>("echo").unwrap();
//! first.cast("poison");
//! first.wait();
//! while registry.whereis("echo").is_none() {
//!     abaca::yield_now(); // until it has been restarted
//! }
//! supervisor.stop();
//! assert!(registry.whereis("echo").is_none());
//! # });
//! ```

mod children;
mod run;
mod spec;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

pub use spec::{Child, Restart, Shutdown, Strategy};

use super::call::{CallError, Reply};
use super::mailbox::Mailbox;
use super::pid::Pid;
use super::reason::{Exit, ExitReason};
use super::reference::ActorRef;
use crate::channel;
use children::Position;
use run::Intensity;

/// A supervisor that has not been started; see the [module](self)'s documentation.
#[must_use = "a supervisor does nothing until it is started"]
pub struct Supervisor {
    strategy: Strategy,
    intensity: Intensity,
    children: Vec<Child>,
    report: Report,
}

/// Called for each child that ends: the name, and why.
type Report = Box<dyn FnMut(&str, &ExitReason) + Send>;

/// A running supervisor. Clones refer to the same one, and none keeps it alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorRef(ActorRef<Command>);

/// One child of a running supervisor; from [`SupervisorRef::children`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its name.
    pub id: String,
    /// Its actor. `None` if it has ended and was not restarted, or was stopped.
    pub pid: Option<Pid>,
    /// When it is restarted.
    pub restart: Restart,
}

/// Why a supervisor did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// A child of that name exists.
    IdTaken,
    /// No child has that name.
    Unknown,
    /// The child runs.
    Running,
    /// The closure that starts the child panicked.
    NotStarted(ExitReason),
    /// The supervisor has ended.
    Exited(ExitReason),
}

/// The messages of a supervisor.
enum Command {
    Exit(Exit),
    /// Its own: to restart the child that could not be restarted before.
    TryAgain(Position),
    Start(Child, Reply<Result<Pid, ChildError>>),
    Stop(String, Reply<Result<(), ChildError>>),
    Restart(String, Reply<Result<Pid, ChildError>>),
    Remove(String, Reply<Result<(), ChildError>>),
    List(Reply<Vec<ChildInfo>>),
}

impl Supervisor {
    /// A supervisor without children, that gives up at the second restart within five seconds.
    pub fn new(strategy: Strategy) -> Self {
        let intensity =
            Intensity { max_restarts: 1, period: Duration::from_secs(5), restarts: VecDeque::new() };
        Self { strategy, intensity, children: Vec::new(), report: Box::new(|_, _| ()) }
    }

    /// How many restarts the supervisor makes within `period` before it gives up; a restart of several children at once
    /// counts as one.
    pub fn intensity(mut self, max_restarts: usize, period: Duration) -> Self {
        self.intensity.max_restarts = max_restarts;
        self.intensity.period = period;
        self
    }

    /// Adds a child. It is started after those that were added before, and stopped before them.
    pub fn child(mut self, child: Child) -> Self {
        self.children.push(child);
        self
    }

    /// Calls `report`, for logs and counts, with the name of each child that ends by itself or cannot be restarted, and why.
    /// It runs in the supervisor's fiber, before the supervisor restarts anything.
    ///
    /// ```
    /// # use abaca::actor::supervisor::{Strategy, Supervisor};
    /// let supervisor = Supervisor::new(Strategy::OneForOne).on_child_exit(|id, reason| eprintln!("{id} {reason}"));
    /// ```
    pub fn on_child_exit(mut self, report: impl FnMut(&str, &ExitReason) + Send + 'static) -> Self {
        self.report = Box::new(report);
        self
    }

    /// Starts the supervisor, and returns when it has started its children.
    ///
    /// If a child cannot be started, because its closure panics or its name is taken, the supervisor stops the children before
    /// it and ends for that reason.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn start(self) -> SupervisorRef {
        let (started, has_started) = channel::bounded::<()>(1);
        let supervisor = super::spawn(move |mailbox: &mut Mailbox<Command>| {
            run::run(self, mailbox, move || drop(started))
        });
        // The sender is dropped when the children are started, or when the supervisor has failed to.
        let _disconnected = has_started.recv();
        SupervisorRef(supervisor)
    }
}

impl SupervisorRef {
    fn ask<R: Send + 'static>(
        &self,
        request: impl FnOnce(Reply<Result<R, ChildError>>) -> Command,
    ) -> Result<R, ChildError> {
        self.0.call(Duration::MAX, request).unwrap_or_else(|error| Err(self.gone(error)))
    }

    /// The supervisor answers every call for as long as it lives.
    fn gone(&self, error: CallError) -> ChildError {
        match error {
            CallError::Exited(reason) => ChildError::Exited(reason),
            _ => ChildError::Exited(self.wait()),
        }
    }

    /// Adds a child, after all others, and starts it.
    ///
    /// # Errors
    ///
    /// * [`ChildError::IdTaken`]: a child of that name exists.
    /// * [`ChildError::NotStarted`]: its closure panicked. The child is not added.
    /// * [`ChildError::Exited`]: the supervisor has ended.
    ///
    /// ```
    /// use abaca::actor::{self, Mailbox};
    /// use abaca::actor::supervisor::{Child, Strategy, Supervisor};
    /// # abaca::run(|| {
    /// let supervisor = Supervisor::new(Strategy::OneForOne).start();
    /// let sleeper = || actor::spawn(|mailbox: &mut Mailbox<()>| mailbox.receive());
    /// let pid = supervisor.start_child(Child::new("sleeper", sleeper)).unwrap();
    /// supervisor.stop_child("sleeper").unwrap();
    /// assert!(!pid.is_alive());
    /// supervisor.remove_child("sleeper").unwrap();
    /// assert!(supervisor.children().unwrap().is_empty());
    /// # });
    /// ```
    pub fn start_child(&self, child: Child) -> Result<Pid, ChildError> {
        self.ask(|reply| Command::Start(child, reply))
    }

    /// Stops a child, and returns when it has ended. [`restart_child`](Self::restart_child) can start it again, unless it is
    /// temporary: then it is removed. Does nothing to a child that does not run.
    ///
    /// # Errors
    ///
    /// * [`ChildError::Unknown`]: no child has that name.
    /// * [`ChildError::Exited`]: the supervisor has ended.
    pub fn stop_child(&self, id: &str) -> Result<(), ChildError> {
        self.ask(|reply| Command::Stop(id.into(), reply))
    }

    /// Starts a child that does not run.
    ///
    /// # Errors
    ///
    /// * [`ChildError::Unknown`]: no child has that name.
    /// * [`ChildError::Running`]: the child runs.
    /// * [`ChildError::NotStarted`]: its closure panicked.
    /// * [`ChildError::Exited`]: the supervisor has ended.
    pub fn restart_child(&self, id: &str) -> Result<Pid, ChildError> {
        self.ask(|reply| Command::Restart(id.into(), reply))
    }

    /// Removes a child that does not run.
    ///
    /// # Errors
    ///
    /// * [`ChildError::Unknown`]: no child has that name.
    /// * [`ChildError::Running`]: the child runs.
    /// * [`ChildError::Exited`]: the supervisor has ended.
    pub fn remove_child(&self, id: &str) -> Result<(), ChildError> {
        self.ask(|reply| Command::Remove(id.into(), reply))
    }

    /// The children, in the order in which they were added.
    ///
    /// # Errors
    ///
    /// * [`ChildError::Exited`]: the supervisor has ended.
    pub fn children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        self.0.call(Duration::MAX, Command::List).map_err(|error| self.gone(error))
    }

    /// Stops the supervisor, with all its children in the reverse of their order, and returns when they have ended.
    pub fn stop(&self) -> ExitReason {
        self.0.exit(ExitReason::Shutdown);
        self.wait()
    }

    /// Blocks until the supervisor and its children have ended. Returns why.
    pub fn wait(&self) -> ExitReason {
        self.0.wait()
    }

    /// The supervisor as an actor: to link to, to monitor, to end.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.0.pid()
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("strategy", &self.strategy)
            .field("intensity", &self.intensity)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

impl From<SupervisorRef> for Pid {
    fn from(supervisor: SupervisorRef) -> Self {
        supervisor.pid()
    }
}

impl From<&SupervisorRef> for Pid {
    fn from(supervisor: &SupervisorRef) -> Self {
        supervisor.pid()
    }
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdTaken => f.write_str("a child of that name exists"),
            Self::Unknown => f.write_str("no child has that name"),
            Self::Running => f.write_str("the child runs"),
            Self::NotStarted(reason) => write!(f, "the child could not be started: {reason}"),
            Self::Exited(reason) => write!(f, "the supervisor has ended: {reason}"),
        }
    }
}

impl std::error::Error for ChildError {}
