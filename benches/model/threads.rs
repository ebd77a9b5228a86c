//! A thread per task, with the standard library's channels and crossbeam's where there are many receivers.

use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Model, Receiver, Sender};

/// `std::thread`; the number of workers does not apply.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl Sender for mpsc::SyncSender<u64> {
    fn put(&self, message: u64) {
        self.send(message).expect("the receiver is there");
    }
}

impl Receiver for mpsc::Receiver<u64> {
    fn take(&self) -> Option<u64> {
        self.recv().ok()
    }
}

impl Sender for crossbeam_channel::Sender<u64> {
    fn put(&self, message: u64) {
        self.send(message).expect("a receiver is there");
    }
}

impl Receiver for crossbeam_channel::Receiver<u64> {
    fn take(&self) -> Option<u64> {
        self.recv().ok()
    }
}

impl Model for Threads {
    type Task = JoinHandle<u64>;
    type Sender = mpsc::SyncSender<u64>;
    type Receiver = mpsc::Receiver<u64>;
    type QueueSender = crossbeam_channel::Sender<u64>;
    type QueueReceiver = crossbeam_channel::Receiver<u64>;
    type Counter = Mutex<u64>;

    fn run<T: Send + 'static>(_workers: usize, body: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(body).join().expect("the body does not panic")
    }

    fn spawn(body: impl FnOnce() -> u64 + Send + 'static) -> Self::Task {
        std::thread::spawn(body)
    }

    fn join(task: Self::Task) -> u64 {
        task.join().expect("the task does not panic")
    }

    fn yield_now() {
        std::thread::yield_now();
    }

    fn sleep(duration: Duration) {
        std::thread::sleep(duration);
    }

    fn channel(capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::sync_channel(capacity)
    }

    fn queue(capacity: usize) -> (Self::QueueSender, Self::QueueReceiver) {
        crossbeam_channel::bounded(capacity)
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
