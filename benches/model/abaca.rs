//! abaca's fibers. Channels are bounded as asked.

use std::time::Duration;

use abaca::channel;
use abaca::sync::Mutex;

use super::{Model, Receiver, Sender};

/// abaca, with the builder's defaults but for the number of workers.
#[derive(Clone, Copy, Debug)]
pub struct Abaca;

impl Sender for channel::Sender<u64> {
    fn put(&self, message: u64) {
        self.send(message).expect("the receiver is there");
    }
}

impl Receiver for channel::Receiver<u64> {
    fn take(&self) -> Option<u64> {
        self.recv().ok()
    }
}

impl Model for Abaca {
    type Task = abaca::JoinHandle<u64>;
    type Sender = channel::Sender<u64>;
    type Receiver = channel::Receiver<u64>;
    type QueueSender = channel::Sender<u64>;
    type QueueReceiver = channel::Receiver<u64>;
    type Counter = Mutex<u64>;

    fn run<T: Send + 'static>(workers: usize, body: impl FnOnce() -> T + Send + 'static) -> T {
        abaca::Runtime::builder().workers(workers).build().expect("workers start").run(body)
    }

    fn spawn(body: impl FnOnce() -> u64 + Send + 'static) -> Self::Task {
        abaca::spawn(body)
    }

    fn join(task: Self::Task) -> u64 {
        task.join().expect("the task does not panic")
    }

    fn yield_now() {
        abaca::yield_now();
    }

    fn sleep(duration: Duration) {
        abaca::sleep(duration);
    }

    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver) {
        channel::bounded(capacity)
    }

    fn queue(capacity: usize) -> (Self::QueueSender, Self::QueueReceiver) {
        channel::bounded(capacity)
    }

    fn counter() -> Self::Counter {
        Mutex::new(0)
    }

    fn increment(counter: &Self::Counter) -> u64 {
        let mut value = counter.lock().expect("no holder panics");
        *value += 1;
        *value
    }
}
