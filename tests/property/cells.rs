//! What holds values: watch and broadcast channels, mailboxes, fiber-locals.

use std::cell::Cell;
use std::time::Duration;

use abaca::actor::{self, ActorRef, Mailbox};
use abaca::channel::broadcast::{self, error::RecvError};
use abaca::channel::watch;
use proptest::prelude::*;

use crate::history::{System, check};
use crate::program::{config, program};

#[derive(Clone, Debug)]
enum StreamOp {
    Subscribe,
    Send(u32),
    /// Waits for news.
    Receive,
    /// Looks for news, or at what there is.
    Look,
    Leave,
}

#[derive(Clone, Debug, PartialEq)]
enum News {
    Done,
    /// The stream has no receiver.
    Outside,
    Value(u32),
    Refused,
    Lagged(u64),
}

struct Watched(watch::Sender<u32>);

impl System for Watched {
    type Op = StreamOp;
    type Answer = News;
    type Held<'a> = Option<watch::Receiver<u32>>;
    /// The version and its value, and the version that each stream has seen.
    type Model = (u32, u32, [Option<u32>; 9]);

    fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    fn call<'a>(&'a self, _: usize, held: &mut Self::Held<'a>, op: &StreamOp) -> News {
        match (op, held) {
            (StreamOp::Subscribe, held) => *held = Some(self.0.subscribe()),
            // It sends also when nobody listens.
            (StreamOp::Send(value), _) => drop(self.0.send_replace(*value)),
            (StreamOp::Leave, held) => *held = None,
            (_, None) => return News::Outside,
            (StreamOp::Receive, Some(receiver)) => receiver.changed().unwrap(),
            (StreamOp::Look, Some(receiver)) => return News::Value(*receiver.borrow_and_update()),
        }
        News::Done
    }

    fn step(model: &Self::Model, stream: usize, op: &StreamOp, answer: &News) -> Option<Self::Model> {
        let (version, value, mut seen) = *model;
        match (op, answer) {
            (StreamOp::Subscribe, _) => seen[stream] = Some(version),
            (StreamOp::Send(value), _) => return Some((version + 1, *value, seen)),
            (StreamOp::Leave, _) => seen[stream] = None,
            (_, News::Outside) => seen[stream].is_none().then_some(())?,
            (StreamOp::Receive, _) => {
                (seen[stream]? < version).then_some(())?;
                seen[stream] = Some(version);
            }
            (StreamOp::Look, News::Value(looked)) => {
                (*looked == value).then_some(())?;
                seen[stream] = Some(version);
            }
            _ => return None,
        }
        Some((version, value, seen))
    }

    fn waits(model: &Self::Model, stream: usize, op: &StreamOp) -> bool {
        matches!(op, StreamOp::Receive) && model.2[stream] == Some(model.0)
    }
}

/// A power of two, as the channel keeps that many.
const KEPT: usize = 2;

struct Broadcast(broadcast::Sender<u32>);

impl System for Broadcast {
    type Op = StreamOp;
    type Answer = News;
    type Held<'a> = Option<broadcast::Receiver<u32>>;
    /// All messages, and the position of each stream that listens.
    type Model = (Vec<u32>, [Option<usize>; 9]);

    const LAST: &[StreamOp] = &[StreamOp::Leave];

    fn new() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }

    fn call<'a>(&'a self, _: usize, held: &mut Self::Held<'a>, op: &StreamOp) -> News {
        match (op, held) {
            // One that listens goes on from where it is.
            (StreamOp::Subscribe, Some(_)) => {}
            (StreamOp::Subscribe, held) => *held = Some(self.0.subscribe()),
            (StreamOp::Send(message), _) => {
                if self.0.send(*message).is_err() {
                    return News::Refused;
                }
            }
            (StreamOp::Leave, held) => *held = None,
            (_, None) => return News::Outside,
            (StreamOp::Receive | StreamOp::Look, Some(receiver)) => match receiver.recv() {
                Ok(message) => return News::Value(message),
                Err(RecvError::Lagged(missed)) => return News::Lagged(missed),
                Err(RecvError::Closed) => return News::Refused,
            },
        }
        News::Done
    }

    fn step(model: &Self::Model, stream: usize, op: &StreamOp, answer: &News) -> Option<Self::Model> {
        let (mut all, mut at) = model.clone();
        match (op, answer) {
            (StreamOp::Subscribe, _) => at[stream] = at[stream].or(Some(all.len())),
            (StreamOp::Send(_), News::Refused) => at.iter().all(Option::is_none).then_some(())?,
            (StreamOp::Send(message), _) => {
                at.iter().any(Option::is_some).then_some(())?;
                all.push(*message);
            }
            (StreamOp::Leave, _) => at[stream] = None,
            (_, News::Outside) => at[stream].is_none().then_some(())?,
            (_, News::Value(message)) => {
                let place = at[stream]?;
                (all.len() - place <= KEPT && all.get(place) == Some(message)).then_some(())?;
                at[stream] = Some(place + 1);
            }
            (_, News::Lagged(missed)) => {
                let oldest = all.len().checked_sub(KEPT)?;
                (*missed > 0 && at[stream]? + *missed as usize == oldest).then_some(())?;
                at[stream] = Some(oldest);
            }
            _ => return None,
        }
        Some((all, at))
    }

    fn waits(model: &Self::Model, stream: usize, op: &StreamOp) -> bool {
        matches!(op, StreamOp::Receive | StreamOp::Look) && model.1[stream] == Some(model.0.len())
    }
}

/// What the actor is told.
enum Mail {
    Note(u32),
    Read(abaca::actor::Reply<Vec<u32>>),
}

#[derive(Clone, Debug)]
enum MailOp {
    Send(u32),
    Read,
}

/// An actor that notes what it is sent.
struct Notes(ActorRef<Mail>);

impl Drop for Notes {
    fn drop(&mut self) {
        self.0.kill();
    }
}

impl System for Notes {
    type Op = MailOp;
    type Answer = Vec<u32>;
    type Held<'a> = ();
    type Model = Vec<u32>;

    const AFTERWARDS: &[MailOp] = &[MailOp::Read];

    fn new() -> Self {
        Self(crate::history::on_fibers(|| {
            actor::spawn(|mailbox: &mut Mailbox<Mail>| {
                let mut notes = Vec::new();
                loop {
                    match mailbox.receive() {
                        Mail::Note(n) => notes.push(n),
                        Mail::Read(reply) => reply.send(notes.clone()),
                    }
                }
            })
        }))
    }

    fn call(&self, _: usize, (): &mut (), op: &MailOp) -> Vec<u32> {
        match op {
            MailOp::Send(n) => {
                self.0.cast(Mail::Note(*n));
                Vec::new()
            }
            MailOp::Read => self.0.call(Duration::from_secs(60), Mail::Read).expect("it answers"),
        }
    }

    fn step(model: &Vec<u32>, _: usize, op: &MailOp, answer: &Vec<u32>) -> Option<Vec<u32>> {
        let mut notes = model.clone();
        match op {
            MailOp::Send(n) => notes.push(*n),
            MailOp::Read => (notes == *answer).then_some(())?,
        }
        Some(notes)
    }

    fn waits(_: &Vec<u32>, _: usize, _: &MailOp) -> bool {
        false
    }
}

abaca::fiber_local! {
    static OWN: Cell<u32> = const { Cell::new(0) };
}

#[derive(Clone, Debug)]
enum OwnOp {
    /// Puts a value in, waits for a moment, and tells what was there before.
    Put(u32),
    Get,
}

struct Owned;

impl System for Owned {
    type Op = OwnOp;
    type Answer = u32;
    type Held<'a> = ();
    type Model = [u32; 9];

    fn new() -> Self {
        Self
    }

    fn call(&self, _: usize, (): &mut (), op: &OwnOp) -> u32 {
        match op {
            OwnOp::Put(value) => {
                abaca::sleep(Duration::from_micros(30));
                OWN.replace(*value)
            }
            OwnOp::Get => OWN.get(),
        }
    }

    fn step(model: &[u32; 9], stream: usize, op: &OwnOp, answer: &u32) -> Option<[u32; 9]> {
        let mut next = *model;
        (next[stream] == *answer).then_some(())?;
        if let OwnOp::Put(value) = op {
            next[stream] = *value;
        }
        Some(next)
    }

    fn waits(_: &[u32; 9], _: usize, _: &OwnOp) -> bool {
        false
    }
}

fn stream_op() -> impl Strategy<Value = StreamOp> + Clone {
    use StreamOp::*;
    prop_oneof![
        3 => Just(Subscribe), 4 => any::<u32>().prop_map(Send), 4 => Just(Receive), 2 => Just(Look),
        1 => Just(Leave),
    ]
}

fn mail_op() -> impl Strategy<Value = MailOp> + Clone {
    prop_oneof![3 => any::<u32>().prop_map(MailOp::Send), 1 => Just(MailOp::Read)]
}

fn own_op() -> impl Strategy<Value = OwnOp> + Clone {
    prop_oneof![1 => any::<u32>().prop_map(OwnOp::Put), 1 => Just(OwnOp::Get)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_watch_shows_the_newest_value(program in program(stream_op())) {
        check::<Watched>(&program)?;
    }

    #[test]
    fn a_broadcast_reaches_all_in_order(program in program(stream_op())) {
        check::<Broadcast>(&program)?;
    }

    #[test]
    fn a_mailbox_keeps_the_order(program in program(mail_op())) {
        check::<Notes>(&program)?;
    }

    #[test]
    fn a_fiber_local_is_the_fibers_own(program in program(own_op())) {
        check::<Owned>(&program)?;
    }
}
