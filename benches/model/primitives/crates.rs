//! A thread per task with the crates that programs of threads take: parking_lot's locks and crossbeam's channels. Neither
//! has permits.

use std::thread::JoinHandle;
use std::time::Duration;

use super::{OnceReceiver, OnceSender, Primitives};
use crate::model::{Model, Threads};

/// Threads with parking_lot and crossbeam-channel; the number of workers does not apply.
#[derive(Clone, Copy, Debug)]
pub struct Crates;

type Sender = crossbeam_channel::Sender<u64>;
type Receiver = crossbeam_channel::Receiver<u64>;

impl Model for Crates {
    type Task = JoinHandle<u64>;
    type Sender = Sender;
    type Receiver = Receiver;
    type QueueSender = Sender;
    type QueueReceiver = Receiver;
    type Counter = parking_lot::Mutex<u64>;

    fn run<T: Send + 'static>(workers: usize, body: impl FnOnce() -> T + Send + 'static) -> T {
        Threads::run(workers, body)
    }

    fn spawn(body: impl FnOnce() -> u64 + Send + 'static) -> Self::Task {
        Threads::spawn(body)
    }

    fn join(task: Self::Task) -> u64 {
        Threads::join(task)
    }

    fn yield_now() {
        Threads::yield_now();
    }

    fn sleep(duration: Duration) {
        Threads::sleep(duration);
    }

    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver) {
        crossbeam_channel::bounded(capacity)
    }

    fn queue(capacity: usize) -> (Self::QueueSender, Self::QueueReceiver) {
        crossbeam_channel::bounded(capacity)
    }

    fn counter() -> Self::Counter {
        parking_lot::Mutex::new(0)
    }

    fn increment(counter: &Self::Counter) -> u64 {
        let mut value = counter.lock();
        *value += 1;
        *value
    }
}

impl OnceSender for Sender {
    fn put_once(self, message: u64) {
        self.send(message).expect("the receiver is there");
    }
}

impl OnceReceiver for Receiver {
    fn take_once(self) -> u64 {
        self.recv().expect("the sender sends")
    }
}

impl Primitives for Crates {
    type Shared = parking_lot::RwLock<u64>;
    type Permits = ();
    type OnceSender = Sender;
    type OnceReceiver = Receiver;
    type UnboundedSender = Sender;
    type UnboundedReceiver = Receiver;
    const HAS_PERMITS: bool = false;

    fn shared() -> Self::Shared {
        parking_lot::RwLock::new(0)
    }

    fn read(shared: &Self::Shared) -> u64 {
        *shared.read()
    }

    fn write(shared: &Self::Shared) -> u64 {
        let mut number = shared.write();
        *number += 1;
        *number
    }

    fn permits(_count: usize) -> Self::Permits {}

    fn with_permit<R>(_permits: &Self::Permits, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn once() -> (Self::OnceSender, Self::OnceReceiver) {
        crossbeam_channel::bounded(1)
    }

    fn unbounded() -> (Self::UnboundedSender, Self::UnboundedReceiver) {
        crossbeam_channel::unbounded()
    }

    fn rendezvous() -> (Self::QueueSender, Self::QueueReceiver) {
        crossbeam_channel::bounded(0)
    }

    fn either(one: &Self::QueueReceiver, other: &Self::QueueReceiver) -> u64 {
        crossbeam_channel::select! {
            recv(one) -> message => message.expect("the sender is there"),
            recv(other) -> message => message.expect("the sender is there"),
        }
    }
}
