//! What a peer with blocking calls offers to the workloads: tasks, channels of numbers and a lock.
//!
//! The workloads are generic over [`Model`], so the same lines run on every such peer. tokio's tasks are async; its
//! bodies stand beside the blocking ones in each workload.

mod abaca;
mod may;
mod primitives;
mod threads;
pub mod tokio;

use std::time::Duration;

pub use self::abaca::Abaca;
pub use self::may::May;
pub use self::primitives::{Crates, OnceReceiver, OnceSender, Primitives};
pub use self::threads::Threads;

/// The sending side of a channel of numbers.
pub trait Sender: Clone + Send + 'static {
    /// Sends; waits while the channel is full.
    fn put(&self, message: u64);
}

/// The receiving side of a channel of numbers.
pub trait Receiver: Send + 'static {
    /// Waits for a message; `None` when all senders are gone.
    fn take(&self) -> Option<u64>;
}

/// A concurrency model with blocking calls.
pub trait Model: 'static {
    /// A handle on a running task.
    type Task: Send + 'static;
    /// Many of these ..
    type Sender: Sender;
    /// .. send to one of these.
    type Receiver: Receiver;
    /// Many of these ..
    type QueueSender: Sender;
    /// .. send to many of these.
    type QueueReceiver: Receiver + Clone;
    /// A counter behind the model's mutex.
    type Counter: Send + Sync + 'static;

    /// Starts the model, runs `body` as one of its tasks and returns its result.
    fn run<T: Send + 'static>(workers: usize, body: impl FnOnce() -> T + Send + 'static) -> T;
    /// Starts a task.
    fn spawn(body: impl FnOnce() -> u64 + Send + 'static) -> Self::Task;
    /// Waits for a task's result.
    fn join(task: Self::Task) -> u64;
    /// Lets others run.
    fn yield_now();
    /// Sleeps.
    fn sleep(duration: Duration);
    /// The model's usual channel with one receiver. `capacity` is at least 1, and ignored where all are unbounded.
    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver);
    /// The model's usual channel with many receivers.
    fn queue(capacity: usize) -> (Self::QueueSender, Self::QueueReceiver);
    /// A mutex around zero.
    fn counter() -> Self::Counter;
    /// Locks, adds one, unlocks; returns the new value.
    fn increment(counter: &Self::Counter) -> u64;
}
