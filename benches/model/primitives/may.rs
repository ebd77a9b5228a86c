//! may's primitives. It has no channels without a buffer, and its `select!` runs every arm in a coroutine of its own, so
//! the message of an arm that comes second is lost: no choice. For one message its users take the usual channel.

use may::sync::{RwLock, Semphore, mpsc};

use super::{OnceReceiver, OnceSender, Primitives};
use crate::model::{May, Model};

impl OnceSender for mpsc::Sender<u64> {
    fn put_once(self, message: u64) {
        self.send(message).expect("the receiver is there");
    }
}

impl OnceReceiver for mpsc::Receiver<u64> {
    fn take_once(self) -> u64 {
        self.recv().expect("the sender sends")
    }
}

impl Primitives for May {
    type Shared = RwLock<u64>;
    type Permits = Semphore;
    type OnceSender = mpsc::Sender<u64>;
    type OnceReceiver = mpsc::Receiver<u64>;
    type UnboundedSender = mpsc::Sender<u64>;
    type UnboundedReceiver = mpsc::Receiver<u64>;
    const HAS_RENDEZVOUS: bool = false;
    const HAS_CHOICE: bool = false;

    fn shared() -> Self::Shared {
        RwLock::new(0)
    }

    fn read(shared: &Self::Shared) -> u64 {
        *shared.read().expect("no holder panics")
    }

    fn write(shared: &Self::Shared) -> u64 {
        let mut number = shared.write().expect("no holder panics");
        *number += 1;
        *number
    }

    fn permits(count: usize) -> Self::Permits {
        Semphore::new(count)
    }

    fn with_permit<R>(permits: &Self::Permits, f: impl FnOnce() -> R) -> R {
        permits.wait();
        let result = f();
        permits.post();
        result
    }

    fn once() -> (Self::OnceSender, Self::OnceReceiver) {
        mpsc::channel()
    }

    fn unbounded() -> (Self::UnboundedSender, Self::UnboundedReceiver) {
        mpsc::channel()
    }

    fn rendezvous() -> (Self::QueueSender, Self::QueueReceiver) {
        Self::queue(1)
    }

    fn either(_one: &Self::QueueReceiver, _other: &Self::QueueReceiver) -> u64 {
        unreachable!("may has no choice")
    }
}
