//! The specification of a supervisor's child: how to start it, when to restart it, how to stop it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::Pid;

/// When a child that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// When it ended [abnormally](crate::actor::ExitReason::is_abnormal).
    Transient,
    /// Never. It is removed when it ends.
    Temporary,
}

/// How a supervisor stops a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// It is asked to end, with the reason `Shutdown`. If it has not ended after this time, it is killed.
    After(Duration),
    /// It is killed.
    Kill,
    /// It is asked to end, and waited for without a limit: for children that are supervisors.
    Infinity,
}

impl Default for Shutdown {
    /// After five seconds.
    fn default() -> Self {
        Self::After(Duration::from_secs(5))
    }
}

/// Which children are restarted when one has ended. Those that still run are stopped first, in the reverse of the order in
/// which they were started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The child that ended.
    #[default]
    OneForOne,
    /// All of them.
    OneForAll,
    /// The child that ended, and those that were started after it.
    RestForOne,
}

/// A child of a supervisor: its name among its siblings and how it is started.
///
/// ```
/// use abaca::actor::{self, Mailbox};
/// use abaca::actor::supervisor::{Child, Restart, Shutdown};
///
/// let child = Child::new("logger", || actor::spawn(|mailbox: &mut Mailbox<String>| loop {
///     println!("{}", mailbox.receive());
/// }));
/// let child = child.restart(Restart::Transient).shutdown(Shutdown::Kill);
/// ```
pub struct Child {
    pub(super) id: Arc<str>,
    pub(super) start: Box<dyn FnMut() -> Pid + Send>,
    pub(super) restart: Restart,
    pub(super) shutdown: Shutdown,
}

impl Child {
    /// A permanent child. `start` spawns it, in the supervisor's fiber, at each start. If it panics in a restart, that counts
    /// as a restart, and is tried again. It must not call the supervisor, which waits for it.
    pub fn new<P, F>(id: impl Into<String>, mut start: F) -> Self
    where
        P: Into<Pid>,
        F: FnMut() -> P + Send + 'static,
    {
        Self {
            id: id.into().into(),
            start: Box::new(move || start().into()),
            restart: Restart::default(),
            shutdown: Shutdown::default(),
        }
    }

    /// When it is restarted. Default: always.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How it is stopped. Default: it is asked to end, and killed after five seconds.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}
