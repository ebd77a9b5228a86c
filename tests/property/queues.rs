//! Channels of all kinds, select, and mailboxes: queues.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use abaca::channel::{self, Receiver, Sender};
use abaca::sync::mpsc;
use proptest::prelude::*;

use crate::history::{Event, System, check};
use crate::program::{config, program};

#[derive(Clone, Debug)]
enum Op {
    Send,
    TrySend,
    Receive,
    TryReceive,
    /// Takes all that is there, without waiting: asked at the end.
    Drain,
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    /// This message was sent.
    Sent(u32),
    /// This one was received.
    Got(u32),
    Drained(Vec<u32>),
    Refused,
}

/// Both ends of a channel; messages are numbered, so that none is like another.
trait Queue: Send + Sync + 'static {
    /// How many messages fit; a rendezvous is a queue of one, from which the message is taken at once.
    const CAPACITY: usize;
    const IS_RENDEZVOUS: bool = false;
    /// Whether somebody who receives keeps others from it.
    const ONE_RECEIVER: bool = false;
    /// Whether a place, or a message, is kept for who waits until he comes for it: others are turned down meanwhile.
    const KEEPS: bool = false;
    fn make() -> Self;
    fn send(&self, message: u32);
    fn try_send(&self, message: u32) -> bool;
    fn receive(&self) -> u32;
    fn try_receive(&self) -> Option<u32>;
}

struct Numbered<Q> {
    queue: Q,
    numbers: AtomicU32,
}

impl<Q: Queue> System for Numbered<Q> {
    type Op = Op;
    type Answer = Answer;
    type Held<'a> = ();
    type Model = Vec<u32>;

    const AFTERWARDS: &[Op] = &[Op::Drain];

    fn new() -> Self {
        Self { queue: Q::make(), numbers: AtomicU32::new(0) }
    }

    fn call(&self, _: usize, (): &mut (), op: &Op) -> Answer {
        let number = || self.numbers.fetch_add(1, SeqCst);
        match op {
            Op::Send => {
                let message = number();
                self.queue.send(message);
                Answer::Sent(message)
            }
            Op::TrySend => {
                let message = number();
                if self.queue.try_send(message) { Answer::Sent(message) } else { Answer::Refused }
            }
            Op::Receive => Answer::Got(self.queue.receive()),
            Op::TryReceive => self.queue.try_receive().map_or(Answer::Refused, Answer::Got),
            Op::Drain => Answer::Drained(std::iter::from_fn(|| self.queue.try_receive()).collect()),
        }
    }

    fn step(model: &Vec<u32>, _: usize, op: &Op, answer: &Answer) -> Option<Vec<u32>> {
        let mut next = model.clone();
        match answer {
            Answer::Sent(message) => {
                next.push(*message);
                (next.len() <= Q::CAPACITY).then_some(next)
            }
            Answer::Got(message) => {
                (next.first() == Some(message)).then(|| next.remove(0))?;
                Some(next)
            }
            Answer::Drained(all) => (all == model).then(Vec::new),
            Answer::Refused => {
                let is_in_vain = match op {
                    Op::TrySend => model.len() == Q::CAPACITY,
                    _ => model.is_empty(),
                };
                // Nobody may wait at the other side of a rendezvous.
                (is_in_vain || Q::IS_RENDEZVOUS).then_some(next)
            }
        }
    }

    fn waits(model: &Vec<u32>, _: usize, op: &Op) -> bool {
        match op {
            Op::Send => Q::IS_RENDEZVOUS || model.len() == Q::CAPACITY,
            Op::Receive => model.is_empty(),
            _ => false,
        }
    }

    fn excuses(other: &Op, op: &Op, answer: &Answer) -> bool {
        let receives = |op: &Op| matches!(op, Op::Receive | Op::TryReceive);
        let is_kept = match op {
            Op::TrySend => matches!(other, Op::Send),
            _ => matches!(other, Op::Receive),
        };
        let is_away = Q::ONE_RECEIVER && receives(op) && receives(other);
        *answer == Answer::Refused && (is_away || Q::KEEPS && is_kept)
    }

    /// Both sides of a rendezvous are there at once.
    fn meets(events: &[Event<Self>]) -> Result<(), String> {
        if !Q::IS_RENDEZVOUS {
            return Ok(());
        }
        for event in events {
            let Answer::Sent(message) = event.answer else { continue };
            let got = events.iter().find(|other| other.answer == Answer::Got(message));
            let got = got.ok_or_else(|| format!("nobody got {message}"))?;
            if got.ended < event.began || event.ended < got.began {
                return Err(format!("nobody was there for {message}"));
            }
        }
        Ok(())
    }
}

struct Channel<const CAPACITY: usize>(Sender<u32>, Receiver<u32>);

/// As a capacity: none.
const UNBOUNDED: usize = usize::MAX;

impl<const CAPACITY: usize> Queue for Channel<CAPACITY> {
    const CAPACITY: usize = if CAPACITY == 0 { 1 } else { CAPACITY };
    const IS_RENDEZVOUS: bool = CAPACITY == 0;

    fn make() -> Self {
        let (sender, receiver) = match CAPACITY {
            UNBOUNDED => channel::unbounded(),
            capacity => channel::bounded(capacity),
        };
        Self(sender, receiver)
    }

    fn send(&self, message: u32) {
        self.0.send(message).unwrap();
    }

    fn try_send(&self, message: u32) -> bool {
        self.0.try_send(message).is_ok()
    }

    fn receive(&self) -> u32 {
        self.1.recv().unwrap()
    }

    fn try_receive(&self) -> Option<u32> {
        self.1.try_recv().ok()
    }
}

/// A channel that is used by select alone, beside one that is never ready.
struct Selected(Sender<u32>, Receiver<u32>, Receiver<u32>);

impl Queue for Selected {
    const CAPACITY: usize = 2;
    const KEEPS: bool = true;

    fn make() -> Self {
        let (sender, receiver) = channel::bounded(2);
        Self(sender, receiver, channel::never())
    }

    fn send(&self, message: u32) {
        channel::select! {
            send(self.0, message) -> sent => sent.unwrap(),
            recv(self.2) -> _ => unreachable!("it never has a message"),
        }
    }

    fn try_send(&self, message: u32) -> bool {
        channel::select! {
            send(self.0, message) -> sent => sent.is_ok(),
            default => false,
        }
    }

    fn receive(&self) -> u32 {
        channel::select! {
            recv(self.2) -> _ => unreachable!("it never has a message"),
            recv(self.1) -> message => message.unwrap(),
        }
    }

    fn try_receive(&self) -> Option<u32> {
        channel::select! {
            recv(self.1) -> message => message.ok(),
            default => None,
        }
    }
}

/// std's face of it: its receiver is for one at a time, so a lock is around it, for which nobody waits.
struct Std(mpsc::SyncSender<u32>, Mutex<Option<mpsc::Receiver<u32>>>);

impl Std {
    fn with<T>(&self, f: impl FnOnce(&mpsc::Receiver<u32>) -> T) -> Option<T> {
        let receiver = self.1.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let back = Back(self, Some(receiver));
        Some(f(back.1.as_ref().expect("taken out at the end")))
    }
}

/// Puts the receiver back, also if the wait is cut short.
struct Back<'a>(&'a Std, Option<mpsc::Receiver<u32>>);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        *self.0.1.lock().unwrap_or_else(PoisonError::into_inner) = self.1.take();
    }
}

impl Queue for Std {
    const CAPACITY: usize = 3;
    const ONE_RECEIVER: bool = true;

    fn make() -> Self {
        let (sender, receiver) = mpsc::sync_channel(3);
        Self(sender, Mutex::new(Some(receiver)))
    }

    fn send(&self, message: u32) {
        self.0.send(message).unwrap();
    }

    fn try_send(&self, message: u32) -> bool {
        self.0.try_send(message).is_ok()
    }

    fn receive(&self) -> u32 {
        loop {
            if let Some(message) = self.with(|receiver| receiver.recv().unwrap()) {
                return message;
            }
            // Another stream waits for a message; the time for this one will be up.
            abaca::sleep(std::time::Duration::from_micros(50));
        }
    }

    fn try_receive(&self) -> Option<u32> {
        self.with(|receiver| receiver.try_recv().ok()).flatten()
    }
}

fn op() -> impl Strategy<Value = Op> + Clone {
    prop_oneof![4 => Just(Op::Send), 1 => Just(Op::TrySend), 4 => Just(Op::Receive), 1 => Just(Op::TryReceive)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_rendezvous_passes_each_message_once(program in program(op())) {
        check::<Numbered<Channel<0>>>(&program)?;
    }

    #[test]
    fn a_channel_with_little_room_is_a_queue(program in program(op())) {
        check::<Numbered<Channel<2>>>(&program)?;
    }

    #[test]
    fn a_channel_without_limit_is_a_queue(program in program(op())) {
        check::<Numbered<Channel<UNBOUNDED>>>(&program)?;
    }

    #[test]
    fn what_is_selected_is_done_once(program in program(op())) {
        check::<Numbered<Selected>>(&program)?;
    }

    #[test]
    fn stds_channel_is_a_queue(program in program(op())) {
        check::<Numbered<Std>>(&program)?;
    }
}
