//! What streams meet at or pass: barriers, notifications, tokens, park and unpark.

use std::sync::Mutex as Lock;

use abaca::Fiber;
use abaca::cancel::CancelToken;
use abaca::sync::{Barrier, Notify};
use proptest::prelude::*;

use crate::history::{System, check};
use crate::program::{config, program};

/// Three meet, again and again.
struct Meeting(Barrier);

impl System for Meeting {
    type Op = ();
    /// Whether it was the leader.
    type Answer = bool;
    type Held<'a> = ();
    /// How many of three have gone on, and whether the leader is among them: they go on at one moment.
    type Model = (u8, bool);

    fn new() -> Self {
        Self(Barrier::new(3))
    }

    fn call(&self, _: usize, (): &mut (), (): &()) -> bool {
        self.0.wait().is_leader()
    }

    fn step(model: &(u8, bool), _: usize, (): &(), is_leader: &bool) -> Option<(u8, bool)> {
        let (count, led) = *model;
        match (count, led, *is_leader) {
            (_, true, true) | (2, false, false) => None,
            (2, ..) => Some((0, false)),
            _ => Some((count + 1, led || *is_leader)),
        }
    }

    /// Two may wait; the third lets all go on.
    fn waits(model: &(u8, bool), _: usize, (): &()) -> bool {
        model.0 == 0
    }

    fn may_end(model: &(u8, bool)) -> bool {
        model.0 == 0
    }
}

#[derive(Clone, Debug)]
enum NotifyOp {
    One,
    All,
    Wait,
}

struct Notified(Notify);

impl System for Notified {
    type Op = NotifyOp;
    type Answer = ();
    type Held<'a> = ();
    /// Whether a permit is kept; whether all who waited have just been told, each of whom goes on at that moment.
    type Model = (bool, bool);

    fn new() -> Self {
        Self(Notify::new())
    }

    fn call(&self, _: usize, (): &mut (), op: &NotifyOp) {
        match op {
            NotifyOp::One => self.0.notify_one(),
            NotifyOp::All => self.0.notify_waiters(),
            NotifyOp::Wait => self.0.notified(),
        }
    }

    fn step(model: &(bool, bool), _: usize, op: &NotifyOp, (): &()) -> Option<(bool, bool)> {
        let (is_kept, are_told) = *model;
        match op {
            NotifyOp::One => Some((true, false)),
            NotifyOp::All => Some((is_kept, true)),
            // Who was told takes no permit.
            NotifyOp::Wait if are_told => Some((is_kept, true)),
            NotifyOp::Wait => is_kept.then_some((false, false)),
        }
    }

    /// Whoever comes after all were told takes the permit.
    fn alternative(model: &(bool, bool), _: usize, op: &NotifyOp, (): &()) -> Option<(bool, bool)> {
        (matches!(op, NotifyOp::Wait) && *model == (true, true)).then_some((false, true))
    }

    /// Whoever came after all were told waits for the next time.
    fn waits(model: &(bool, bool), _: usize, op: &NotifyOp) -> bool {
        matches!(op, NotifyOp::Wait) && !model.0
    }
}

#[derive(Clone, Debug)]
enum TokenOp {
    Cancel,
    CancelChild,
    Look,
    LookAtChild,
    Wait,
    WaitForChild,
}

struct Tokens(CancelToken, CancelToken);

impl System for Tokens {
    type Op = TokenOp;
    type Answer = bool;
    type Held<'a> = ();
    /// Whether the parent is cancelled, and whether the child is.
    type Model = (bool, bool);

    const AFTERWARDS: &[TokenOp] = &[TokenOp::Look, TokenOp::LookAtChild];

    fn new() -> Self {
        let parent = CancelToken::new();
        let child = parent.child_token();
        Self(parent, child)
    }

    fn call(&self, _: usize, (): &mut (), op: &TokenOp) -> bool {
        match op {
            TokenOp::Cancel => self.0.cancel(),
            TokenOp::CancelChild => self.1.cancel(),
            TokenOp::Look => return self.0.is_cancelled(),
            TokenOp::LookAtChild => return self.1.is_cancelled(),
            TokenOp::Wait => self.0.cancelled(),
            TokenOp::WaitForChild => self.1.cancelled(),
        }
        true
    }

    fn step(model: &(bool, bool), _: usize, op: &TokenOp, answer: &bool) -> Option<(bool, bool)> {
        let (parent, child) = *model;
        match op {
            TokenOp::Cancel => Some((true, true)),
            TokenOp::CancelChild => Some((parent, true)),
            TokenOp::Look => (parent == *answer).then_some(*model),
            TokenOp::LookAtChild => (child == *answer).then_some(*model),
            TokenOp::Wait => parent.then_some(*model),
            TokenOp::WaitForChild => child.then_some(*model),
        }
    }

    fn waits(model: &(bool, bool), _: usize, op: &TokenOp) -> bool {
        match op {
            TokenOp::Wait => !model.0,
            TokenOp::WaitForChild => !model.1,
            _ => false,
        }
    }
}

#[derive(Clone, Debug)]
enum ParkOp {
    /// Says who the stream is; later calls change nothing.
    Enter,
    Park,
    Unpark(usize),
}

struct Parking(Lock<[Option<Fiber>; 9]>);

impl System for Parking {
    type Op = ParkOp;
    /// Whether there was somebody to unpark.
    type Answer = bool;
    type Held<'a> = ();
    /// For each stream: whether it is known, and whether it has a token.
    type Model = ([bool; 9], [bool; 9]);

    fn new() -> Self {
        Self(Lock::default())
    }

    fn call(&self, stream: usize, (): &mut (), op: &ParkOp) -> bool {
        match op {
            ParkOp::Enter => self.0.lock().unwrap()[stream] = Some(abaca::current()),
            ParkOp::Park => abaca::park(),
            ParkOp::Unpark(other) => {
                let fiber = self.0.lock().unwrap()[*other].clone();
                fiber.as_ref().inspect(|fiber| fiber.unpark());
                return fiber.is_some();
            }
        }
        true
    }

    fn step(model: &Self::Model, stream: usize, op: &ParkOp, answer: &bool) -> Option<Self::Model> {
        let (mut known, mut has) = *model;
        match op {
            ParkOp::Enter => known[stream] = true,
            ParkOp::Park => {
                has[stream].then_some(())?;
                has[stream] = false;
            }
            ParkOp::Unpark(other) => {
                // It is looked up first: somebody may enter in between.
                (known[*other] || !answer).then_some(())?;
                has[*other] |= answer;
            }
        }
        Some((known, has))
    }

    fn waits(model: &Self::Model, stream: usize, op: &ParkOp) -> bool {
        matches!(op, ParkOp::Park) && !model.1[stream]
    }
}

fn notify_op() -> impl Strategy<Value = NotifyOp> + Clone {
    prop_oneof![3 => Just(NotifyOp::One), 1 => Just(NotifyOp::All), 4 => Just(NotifyOp::Wait)]
}

fn token_op() -> impl Strategy<Value = TokenOp> + Clone {
    use TokenOp::*;
    prop_oneof![
        1 => Just(Cancel), 2 => Just(CancelChild), 3 => Just(Look), 3 => Just(LookAtChild), 3 => Just(Wait),
        3 => Just(WaitForChild),
    ]
}

fn park_op() -> impl Strategy<Value = ParkOp> + Clone {
    prop_oneof![
        2 => Just(ParkOp::Enter), 3 => Just(ParkOp::Park), 4 => (0..8_usize).prop_map(ParkOp::Unpark),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_barrier_lets_three_go_on_with_one_leader(program in program(Just(()))) {
        check::<Meeting>(&program)?;
    }

    #[test]
    fn a_notification_reaches_one_or_all(program in program(notify_op())) {
        check::<Notified>(&program)?;
    }

    #[test]
    fn a_token_is_cancelled_once_and_for_all(program in program(token_op())) {
        check::<Tokens>(&program)?;
    }

    #[test]
    fn an_unpark_is_good_for_one_park(program in program(park_op())) {
        check::<Parking>(&program)?;
    }
}
