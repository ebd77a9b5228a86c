//! may's coroutines. Its channels are all unbounded, so `capacity` is ignored: its senders never wait.

use std::time::Duration;

use may::coroutine::JoinHandle;
use may::sync::{Mutex, mpmc, mpsc};

use super::{Model, Receiver, Sender};

/// may, with its defaults but for the number of workers.
#[derive(Clone, Copy, Debug)]
pub struct May;

impl Sender for mpsc::Sender<u64> {
    fn put(&self, message: u64) {
        self.send(message).expect("the receiver is there");
    }
}

impl Receiver for mpsc::Receiver<u64> {
    fn take(&self) -> Option<u64> {
        self.recv().ok()
    }
}

impl Sender for mpmc::Sender<u64> {
    fn put(&self, message: u64) {
        self.send(message).expect("a receiver is there");
    }
}

impl Receiver for mpmc::Receiver<u64> {
    fn take(&self) -> Option<u64> {
        self.recv().ok()
    }
}

impl Model for May {
    type Task = JoinHandle<u64>;
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;
    type QueueSender = mpmc::Sender<u64>;
    type QueueReceiver = mpmc::Receiver<u64>;
    type Counter = Mutex<u64>;

    fn run<T: Send + 'static>(workers: usize, body: impl FnOnce() -> T + Send + 'static) -> T {
        may::config().set_workers(workers);
        may::go!(body).join().expect("the body does not panic")
    }

    fn spawn(body: impl FnOnce() -> u64 + Send + 'static) -> Self::Task {
        may::go!(body)
    }

    fn join(task: Self::Task) -> u64 {
        task.join().expect("the task does not panic")
    }

    fn yield_now() {
        may::coroutine::yield_now();
    }

    fn sleep(duration: Duration) {
        may::coroutine::sleep(duration);
    }

    fn channel(_capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::channel()
    }

    fn queue(_capacity: usize) -> (Self::QueueSender, Self::QueueReceiver) {
        mpmc::channel()
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
