//! Why an actor ended, and the two messages that report it to others.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::pid::ActorId;
use crate::fiber::SpawnError;

/// Why an actor ended.
///
/// The value that the body of an actor returns converts into it: `()` is `Normal`, and the error of a `Result` is `Failed`.
///
/// ```
/// use abaca::actor::ExitReason;
/// assert_eq!(ExitReason::from(()), ExitReason::Normal);
/// assert_eq!(ExitReason::from(Err::<(), _>("disk full")).to_string(), "failed: disk full");
/// assert!(!ExitReason::Shutdown.is_abnormal());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// Its body returned.
    Normal,
    /// It was asked to end, by its supervisor for instance, or its runtime was shut down.
    Shutdown,
    /// [`kill`](super::Pid::kill) ended it.
    Killed,
    /// Its body returned this error, or never ran, since there was no memory for its stack.
    Failed(Arc<str>),
    /// Its body panicked with this message, which is empty if the panic's payload was not text.
    Panicked(Arc<str>),
    /// It was linked to an actor that ended abnormally, directly or by way of others.
    Linked {
        /// The actor that was the first to end.
        origin: ActorId,
        /// Why that one ended.
        reason: Arc<ExitReason>,
    },
}

impl ExitReason {
    /// The reason [`Failed`](Self::Failed), with this text.
    #[must_use]
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string().into())
    }

    /// Whether something went wrong. False for `Normal`, for `Shutdown`, and for `Linked` with such a reason.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown => false,
            Self::Killed | Self::Failed(_) | Self::Panicked(_) => true,
            Self::Linked { reason, .. } => reason.is_abnormal(),
        }
    }

    /// The reason of an actor that could not be spawned.
    pub(super) fn of_spawn(error: SpawnError) -> Self {
        match error {
            SpawnError::ShuttingDown => Self::Shutdown,
            error => Self::failed(error),
        }
    }

    pub(super) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::Panicked(text.unwrap_or_default().into())
    }

    /// The reason of an actor that ends because `from`, to which it was linked, ended for `self`.
    pub(super) fn through_link(self, from: ActorId) -> Self {
        match self {
            Self::Linked { .. } => self,
            reason => Self::Linked { origin: from, reason: Arc::new(reason) },
        }
    }
}

impl From<()> for ExitReason {
    fn from((): ()) -> Self {
        Self::Normal
    }
}

/// Names the return type of a function: the only way to name `!` in stable Rust.
trait Returns {
    type Value;
}

impl<T> Returns for fn() -> T {
    type Value = T;
}

/// The reason of a body that loops for ever.
#[expect(private_interfaces, reason = "the trait only names a type that everybody has")]
impl From<<fn() -> ! as Returns>::Value> for ExitReason {
    fn from(never: <fn() -> ! as Returns>::Value) -> Self {
        never
    }
}

impl<E: fmt::Display> From<Result<(), E>> for ExitReason {
    fn from(result: Result<(), E>) -> Self {
        result.map_or_else(Self::failed, |()| Self::Normal)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended normally"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Killed => f.write_str("killed"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Linked { origin, reason } => write!(f, "linked to {origin:?}, which {reason}"),
        }
    }
}

/// The end of an actor, as a message to a linked actor that [traps exits](super::Mailbox::trap_exits).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// The actor that ended. `None` if [`Pid::exit`](super::Pid::exit) has asked the receiver to end.
    pub from: Option<ActorId>,
    /// Why.
    pub reason: ExitReason,
}

/// The end of an actor, as a message to an actor that [monitors](super::Mailbox::monitor) it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Down {
    /// The actor that ended.
    pub from: ActorId,
    /// Why.
    pub reason: ExitReason,
}
