//! What a peer with blocking calls offers beside tasks and the usual channels: locks for readers, permits, channels of
//! every shape, and a choice between two of them.

mod abaca;
mod crates;
mod may;

pub use self::crates::Crates;
use super::{Model, Receiver, Sender};

/// The sender of one message.
pub trait OnceSender: Send + 'static {
    /// Sends it.
    fn put_once(self, message: u64);
}

/// The receiver of one message.
pub trait OnceReceiver: Send + 'static {
    /// Waits for it.
    fn take_once(self) -> u64;
}

/// The primitives of a model.
pub trait Primitives: Model {
    /// A number behind the model's lock for many readers or one writer.
    type Shared: Send + Sync + 'static;
    /// Permits.
    type Permits: Send + Sync + 'static;
    /// The model's channel for one message.
    type OnceSender: OnceSender;
    /// Its receiver.
    type OnceReceiver: OnceReceiver;
    /// Many senders without a limit ..
    type UnboundedSender: Sender;
    /// .. to one receiver.
    type UnboundedReceiver: Receiver;
    /// Whether the model has permits; else they are not asked for.
    const HAS_PERMITS: bool = true;
    /// Whether the model has channels without a buffer.
    const HAS_RENDEZVOUS: bool = true;
    /// Whether the model can wait for two channels and take from exactly one.
    const HAS_CHOICE: bool = true;
    /// Whether the model has channels in which every receiver sees what was sent.
    const HAS_SPREAD: bool = false;

    /// The lock around zero.
    fn shared() -> Self::Shared;
    /// The number.
    fn read(shared: &Self::Shared) -> u64;
    /// Adds one; returns the new number.
    fn write(shared: &Self::Shared) -> u64;
    /// So many permits.
    fn permits(count: usize) -> Self::Permits;
    /// Takes a permit, calls `f`, and gives it back.
    fn with_permit<R>(permits: &Self::Permits, f: impl FnOnce() -> R) -> R;
    /// A channel for one message.
    fn once() -> (Self::OnceSender, Self::OnceReceiver);
    /// A channel without a limit.
    fn unbounded() -> (Self::UnboundedSender, Self::UnboundedReceiver);
    /// The channel with many receivers, without a buffer.
    fn rendezvous() -> (Self::QueueSender, Self::QueueReceiver);
    /// Waits for the first message of either.
    fn either(one: &Self::QueueReceiver, other: &Self::QueueReceiver) -> u64;
}
