//! What happens once: once-cells, closures that are called once, promises, channels for one message.

use std::sync::Mutex as Lock;
use std::time::Duration;

use abaca::channel::oneshot::{self, error::TryRecvError};
use abaca::promise::{Promise, Resolver};
use abaca::sync::{Once, OnceLock};
use proptest::prelude::*;

use crate::history::{System, check};
use crate::program::{config, program};

#[derive(Clone, Debug)]
enum OnceOp {
    Set(u32),
    Get,
    /// Its initialiser yields, so that it may be cut short.
    GetOrInit(u32),
    Wait,
}

/// What the cell held after the call; `Err` if a value was refused.
type Kept = Result<Option<u32>, ()>;

struct Filled(OnceLock<u32>);

impl System for Filled {
    type Op = OnceOp;
    type Answer = Kept;
    type Held<'a> = ();
    type Model = Option<u32>;

    const AFTERWARDS: &[OnceOp] = &[OnceOp::Get];

    fn new() -> Self {
        Self(OnceLock::new())
    }

    fn call(&self, _: usize, (): &mut (), op: &OnceOp) -> Kept {
        Ok(Some(match op {
            OnceOp::Set(value) => self.0.set(*value).map(|()| *value).map_err(drop)?,
            OnceOp::Get => return Ok(self.0.get().copied()),
            OnceOp::GetOrInit(value) => *self.0.get_or_init(|| {
                abaca::sleep(Duration::from_micros(20));
                *value
            }),
            OnceOp::Wait => *self.0.wait(),
        }))
    }

    fn step(model: &Option<u32>, _: usize, op: &OnceOp, answer: &Kept) -> Option<Option<u32>> {
        match (op, answer) {
            (OnceOp::Set(_), Err(())) => model.is_some().then_some(*model),
            (OnceOp::Set(value), _) => model.is_none().then_some(Some(*value)),
            (OnceOp::Get, Ok(seen)) => (seen == model).then_some(*model),
            (OnceOp::Wait, Ok(Some(seen))) => (*model == Some(*seen)).then_some(*model),
            (OnceOp::GetOrInit(value), Ok(Some(seen))) => {
                (model.unwrap_or(*value) == *seen).then_some(Some(*seen))
            }
            _ => None,
        }
    }

    fn waits(model: &Option<u32>, _: usize, op: &OnceOp) -> bool {
        matches!(op, OnceOp::Wait) && model.is_none()
    }
}

/// A promise, with a resolver that the first takes.
struct Promised(Promise<u32>, Lock<Option<Resolver<u32>>>);

impl System for Promised {
    type Op = OnceOp;
    type Answer = Kept;
    type Held<'a> = ();
    type Model = Option<u32>;

    fn new() -> Self {
        let (promise, resolver) = Promise::pending();
        Self(promise, Lock::new(Some(resolver)))
    }

    fn call(&self, _: usize, (): &mut (), op: &OnceOp) -> Kept {
        match op {
            OnceOp::Set(value) | OnceOp::GetOrInit(value) => {
                let resolver = self.1.lock().unwrap().take().ok_or(())?;
                resolver.resolve(*value);
                Ok(Some(*value))
            }
            OnceOp::Get => Ok(self.0.wait_timeout(Duration::ZERO).map(|value| value.unwrap())),
            OnceOp::Wait => Ok(Some(self.0.wait().unwrap())),
        }
    }

    fn step(model: &Option<u32>, _: usize, op: &OnceOp, answer: &Kept) -> Option<Option<u32>> {
        match (op, answer) {
            // Somebody else has the resolver, and may not have used it yet.
            (OnceOp::Set(_) | OnceOp::GetOrInit(_), Err(())) => Some(*model),
            (OnceOp::Set(_) | OnceOp::GetOrInit(_), Ok(value)) => model.is_none().then_some(*value),
            (OnceOp::Get | OnceOp::Wait, Ok(seen)) => (seen == model).then_some(*model),
            _ => None,
        }
    }

    fn waits(model: &Option<u32>, _: usize, op: &OnceOp) -> bool {
        matches!(op, OnceOp::Wait) && model.is_none()
    }
}

#[derive(Clone, Debug)]
enum CallOp {
    /// Its closure waits for a moment, so that it may be cut short.
    Call,
    Look,
    Wait,
}

/// A closure that is run by one.
struct Called(Once);

impl System for Called {
    type Op = CallOp;
    /// Whether this call has run it; whether it has been run.
    type Answer = bool;
    type Held<'a> = ();
    type Model = bool;

    const AFTERWARDS: &[CallOp] = &[CallOp::Look];

    fn new() -> Self {
        Self(Once::new())
    }

    fn call(&self, _: usize, (): &mut (), op: &CallOp) -> bool {
        let mut has_run = true;
        match op {
            CallOp::Call => {
                has_run = false;
                self.0.call_once(|| {
                    abaca::sleep(Duration::from_micros(20));
                    has_run = true;
                });
            }
            CallOp::Look => has_run = self.0.is_completed(),
            CallOp::Wait => self.0.wait(),
        }
        has_run
    }

    fn step(model: &bool, _: usize, op: &CallOp, answer: &bool) -> Option<bool> {
        match op {
            CallOp::Call => (*model != *answer).then_some(true),
            CallOp::Look | CallOp::Wait => (model == answer).then_some(*model),
        }
    }

    fn waits(model: &bool, _: usize, op: &CallOp) -> bool {
        matches!(op, CallOp::Wait) && !model
    }
}

#[derive(Clone, Debug)]
enum ShotOp {
    Send(u32),
    /// Drops the sender.
    Leave,
    Receive,
    TryReceive,
    Close,
}

#[derive(Clone, Debug, PartialEq)]
enum Shot {
    Done,
    Got(u32),
    Empty,
    /// There is no sender, or no receiver, any more.
    Closed,
    /// Another stream has this end at the moment, or has used it up.
    Away,
}

/// A channel for one message, whose ends are taken by who needs them.
struct OneShot(Lock<Option<oneshot::Sender<u32>>>, Lock<Option<oneshot::Receiver<u32>>>);

/// Puts the receiver back, also if the wait is cut short.
struct Back<'a>(&'a OneShot, Option<oneshot::Receiver<u32>>);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        *self.0.1.lock().unwrap() = self.1.take();
    }
}

impl OneShot {
    fn receive(&self, f: impl FnOnce(&mut oneshot::Receiver<u32>) -> Shot) -> Shot {
        let Some(receiver) = self.1.lock().unwrap().take() else { return Shot::Away };
        let mut back = Back(self, Some(receiver));
        f(back.1.as_mut().expect("taken out at the end"))
    }
}

/// What a channel for one message goes through.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct ShotModel {
    message: Option<u32>,
    has_no_sender: bool,
    is_closed: bool,
}

impl System for OneShot {
    type Op = ShotOp;
    type Answer = Shot;
    type Held<'a> = ();
    type Model = ShotModel;

    const AFTERWARDS: &[ShotOp] = &[ShotOp::TryReceive];

    fn new() -> Self {
        let (sender, receiver) = oneshot::channel();
        Self(Lock::new(Some(sender)), Lock::new(Some(receiver)))
    }

    fn call(&self, _: usize, (): &mut (), op: &ShotOp) -> Shot {
        match op {
            ShotOp::Send(message) => {
                let Some(sender) = self.0.lock().unwrap().take() else { return Shot::Away };
                sender.send(*message).map_or(Shot::Closed, |()| Shot::Done)
            }
            ShotOp::Leave => self.0.lock().unwrap().take().map_or(Shot::Away, |_| Shot::Done),
            ShotOp::Receive => {
                self.receive(|receiver| receiver.recv_timeout(Duration::MAX).map_or(Shot::Closed, Shot::Got))
            }
            ShotOp::TryReceive => self.receive(|receiver| match receiver.try_recv() {
                Ok(message) => Shot::Got(message),
                Err(TryRecvError::Empty) => Shot::Empty,
                Err(TryRecvError::Closed) => Shot::Closed,
            }),
            ShotOp::Close => self.receive(|receiver| {
                receiver.close();
                Shot::Done
            }),
        }
    }

    fn step(model: &ShotModel, _: usize, op: &ShotOp, answer: &Shot) -> Option<ShotModel> {
        let ShotModel { message, has_no_sender, is_closed } = *model;
        let sent = ShotModel { has_no_sender: true, ..*model };
        match (op, answer) {
            // Whoever has it may not have done anything with it yet.
            (_, Shot::Away) => Some(*model),
            (ShotOp::Send(_) | ShotOp::Leave, _) if has_no_sender => None,
            (ShotOp::Send(_), Shot::Closed) => is_closed.then_some(sent),
            (ShotOp::Send(new), _) => (!is_closed).then_some(ShotModel { message: Some(*new), ..sent }),
            (ShotOp::Leave, _) => Some(sent),
            (ShotOp::Close, _) => Some(ShotModel { is_closed: true, ..*model }),
            (_, Shot::Got(got)) => (message == Some(*got)).then_some(ShotModel { message: None, ..*model }),
            (_, Shot::Empty) => (message.is_none() && !has_no_sender && !is_closed).then_some(*model),
            (_, Shot::Closed) => (message.is_none() && (has_no_sender || is_closed)).then_some(*model),
            _ => None,
        }
    }

    fn waits(model: &ShotModel, _: usize, op: &ShotOp) -> bool {
        let is_open = model.message.is_none() && !model.has_no_sender && !model.is_closed;
        matches!(op, ShotOp::Receive) && is_open
    }
}

fn once_op() -> impl Strategy<Value = OnceOp> + Clone {
    prop_oneof![
        2 => any::<u32>().prop_map(OnceOp::Set), 2 => Just(OnceOp::Get),
        2 => any::<u32>().prop_map(OnceOp::GetOrInit), 2 => Just(OnceOp::Wait),
    ]
}

fn call_op() -> impl Strategy<Value = CallOp> + Clone {
    prop_oneof![2 => Just(CallOp::Call), 1 => Just(CallOp::Look), 2 => Just(CallOp::Wait)]
}

fn shot_op() -> impl Strategy<Value = ShotOp> + Clone {
    use ShotOp::*;
    prop_oneof![
        2 => any::<u32>().prop_map(Send), 1 => Just(Leave), 5 => Just(Receive), 3 => Just(TryReceive), 1 => Just(Close),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_cell_is_set_once(program in program(once_op())) {
        check::<Filled>(&program)?;
    }

    #[test]
    fn a_promise_is_resolved_once(program in program(once_op())) {
        check::<Promised>(&program)?;
    }

    #[test]
    fn a_closure_is_called_once(program in program(call_op())) {
        check::<Called>(&program)?;
    }

    #[test]
    fn a_message_is_received_once(program in program(shot_op())) {
        check::<OneShot>(&program)?;
    }
}
