//! `Pid`: an actor by its identity, whatever messages it takes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::life::{self, Life, Process};
use super::reason::{Down, ExitReason};
use super::reference::ActorRef;
use crate::park::{self, Cost};

/// A unique identifier of an actor, never reused within a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorId(NonZeroU64);

impl ActorId {
    /// The next unused id: ids are unique in the process, whatever runtimes come and go.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only uniqueness matters.
        Self(NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).expect("2^64 actors have not been made"))
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorId({})", self.0)
    }
}

/// A reference to an actor, whatever messages it takes: to link to, to monitor, to end and to wait for. Clones refer to the same
/// actor, and none keeps it alive.
///
/// ```
/// use abaca::actor::{self, ExitReason, Mailbox};
/// # abaca::run(|| {
/// let sleeper = actor::spawn(|mailbox: &mut Mailbox<()>| mailbox.receive());
/// let pid = sleeper.pid();
/// pid.kill();
/// assert_eq!(pid.wait(), ExitReason::Killed);
/// # });
/// ```
#[derive(Clone)]
pub struct Pid(Arc<dyn Process>);

impl Pid {
    pub(super) fn new(process: Arc<dyn Process>) -> Self {
        Self(process)
    }

    pub(super) fn process(&self) -> &Arc<dyn Process> {
        &self.0
    }

    pub(super) fn life(&self) -> &Life {
        self.0.life()
    }

    /// The actor's unique identifier.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.life().id
    }

    /// Whether the actor has not ended yet.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.exit_reason().is_none()
    }

    /// [`is_alive`](Self::is_alive) for a caller that holds a lock: it does not yield.
    pub(super) fn has_life(&self) -> bool {
        self.life().ended().is_none()
    }

    /// Why the actor has ended; `None` while it lives.
    #[must_use]
    pub fn exit_reason(&self) -> Option<ExitReason> {
        park::spend(Cost::Call);
        self.life().ended()
    }

    /// Asks the actor to end for `reason`.
    ///
    /// An actor that [traps exits](super::Mailbox::trap_exits) receives an [`Exit`](super::Exit) as a message, and decides
    /// itself. Any other actor is cancelled: it unwinds from the blocking call it is in, or from its next one. If it does not
    /// trap exits, the reason `Normal` has no effect.
    ///
    /// ```
    /// use abaca::actor::{self, Exit, ExitReason, Mailbox};
    /// # abaca::run(|| {
    /// let polite = actor::spawn(|mailbox: &mut Mailbox<Exit>| {
    ///     mailbox.trap_exits(|exit| exit);
    ///     mailbox.receive().reason // after it has put its things away
    /// });
    /// polite.exit(ExitReason::Shutdown);
    /// assert_eq!(polite.wait(), ExitReason::Shutdown);
    /// # });
    /// ```
    #[track_caller]
    pub fn exit(&self, reason: ExitReason) {
        life::ask_to_end(self, reason);
    }

    /// Cancels the actor, even if it traps exits. Its reason is [`Killed`](ExitReason::Killed).
    #[track_caller]
    pub fn kill(&self) {
        self.life().terminate(ExitReason::Killed);
    }

    /// Blocks until the actor has ended. Returns why. A fiber that is cancelled while it waits unwinds.
    pub fn wait(&self) -> ExitReason {
        self.life().wait(None).expect("without a deadline, a wait ends with the actor")
    }

    /// [`wait`](Self::wait), for at most `timeout`: `None` if the actor lives then.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<ExitReason> {
        // A deadline beyond the clock's range never comes.
        self.life().wait(Instant::now().checked_add(timeout))
    }

    /// Calls `f` when the actor ends, in its fiber; at once if it has ended. Actors use
    /// [`Mailbox::monitor`](super::Mailbox::monitor) instead.
    ///
    /// `f` must not block: others that watch the actor are notified after it.
    ///
    /// ```
    /// use abaca::actor::{self, ExitReason, Mailbox};
    /// # abaca::run(|| {
    /// let (sender, receiver) = abaca::channel::bounded(1);
    /// let mortal = actor::spawn(|mailbox: &mut Mailbox<()>| mailbox.receive());
    /// mortal.pid().on_exit(move |down| sender.send(down.reason).unwrap());
    /// mortal.kill();
    /// assert_eq!(receiver.recv().unwrap(), ExitReason::Killed);
    /// # });
    /// ```
    pub fn on_exit(&self, f: impl FnOnce(Down) + Send + 'static) {
        self.life().watch(Box::new(f));
    }
}

impl<M: Send + 'static> From<&ActorRef<M>> for Pid {
    fn from(actor: &ActorRef<M>) -> Self {
        actor.pid()
    }
}

impl<M: Send + 'static> From<ActorRef<M>> for Pid {
    fn from(actor: ActorRef<M>) -> Self {
        actor.pid()
    }
}

impl From<&Pid> for Pid {
    fn from(pid: &Pid) -> Self {
        pid.clone()
    }
}

impl PartialEq for Pid {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Pid {}

impl Hash for Pid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pid").field("id", &self.id()).field("exit_reason", &self.life().ended()).finish()
    }
}
