//! abaca's primitives.

use abaca::channel::{self, oneshot};
use abaca::sync::{RwLock, Semaphore};

use super::{OnceReceiver, OnceSender, Primitives};
use crate::model::Abaca;

impl OnceSender for oneshot::Sender<u64> {
    fn put_once(self, message: u64) {
        self.send(message).expect("the receiver is there");
    }
}

impl OnceReceiver for oneshot::Receiver<u64> {
    fn take_once(self) -> u64 {
        self.recv().expect("the sender sends")
    }
}

impl Primitives for Abaca {
    type Shared = RwLock<u64>;
    type Permits = Semaphore;
    type OnceSender = oneshot::Sender<u64>;
    type OnceReceiver = oneshot::Receiver<u64>;
    type UnboundedSender = channel::Sender<u64>;
    type UnboundedReceiver = channel::Receiver<u64>;
    const HAS_SPREAD: bool = true;

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
        Semaphore::new(count)
    }

    fn with_permit<R>(permits: &Self::Permits, f: impl FnOnce() -> R) -> R {
        let _permit = permits.acquire().expect("nobody closes it");
        f()
    }

    fn once() -> (Self::OnceSender, Self::OnceReceiver) {
        oneshot::channel()
    }

    fn unbounded() -> (Self::UnboundedSender, Self::UnboundedReceiver) {
        channel::unbounded()
    }

    fn rendezvous() -> (Self::QueueSender, Self::QueueReceiver) {
        channel::bounded(0)
    }

    fn either(one: &Self::QueueReceiver, other: &Self::QueueReceiver) -> u64 {
        abaca::select! {
            recv(one) -> message => message.expect("the sender is there"),
            recv(other) -> message => message.expect("the sender is there"),
        }
    }
}
