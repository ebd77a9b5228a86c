//! Semaphores.

use abaca::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use proptest::prelude::*;

use crate::history::{System, check};
use crate::program::{config, program};

#[derive(Clone, Debug)]
enum PermitOp {
    Acquire(u32),
    TryAcquire(u32),
    /// Gives back what the stream has, less what it forgets.
    Release,
    Add(u32),
    Close,
    Available,
}

#[derive(Clone, Debug, PartialEq)]
enum Permits {
    Done(u32),
    Missing,
    Closed,
}

/// What is acquired at most at once.
const MOST: i64 = 4;

struct Permitted(Semaphore);

impl System for Permitted {
    type Op = PermitOp;
    type Answer = Permits;
    type Held<'a> = Vec<SemaphorePermit<'a>>;
    /// How many are out beyond the first three, which are free, and whether it is closed; what each stream has.
    type Model = (i64, bool, [u32; 9]);

    const LAST: &[PermitOp] = &[PermitOp::Release];
    const AFTERWARDS: &[PermitOp] = &[PermitOp::Available];

    fn new() -> Self {
        Self(Semaphore::new(3))
    }

    fn call<'a>(&'a self, _: usize, held: &mut Self::Held<'a>, op: &PermitOp) -> Permits {
        match op {
            PermitOp::Acquire(n) => match self.0.acquire_many(*n) {
                Ok(permit) => held.push(permit),
                Err(_) => return Permits::Closed,
            },
            PermitOp::TryAcquire(n) => match self.0.try_acquire_many(*n) {
                Ok(permit) => held.push(permit),
                Err(TryAcquireError::NoPermits) => return Permits::Missing,
                Err(_) => return Permits::Closed,
            },
            // One after the other would be calls of their own: merged, they are one.
            PermitOp::Release => {
                let mut all = held.drain(..);
                if let Some(mut first) = all.next() {
                    all.for_each(|permit| first.merge(permit));
                }
            }
            PermitOp::Add(n) => self.0.add_permits(*n as usize),
            PermitOp::Close => self.0.close(),
            PermitOp::Available => return Permits::Done(self.0.available_permits() as u32),
        }
        Permits::Done(0)
    }

    fn step(model: &Self::Model, stream: usize, op: &PermitOp, answer: &Permits) -> Option<Self::Model> {
        let (out, is_closed, mut has) = *model;
        let free = 3 - out;
        match (op, answer) {
            (PermitOp::Acquire(n) | PermitOp::TryAcquire(n), Permits::Done(_)) => {
                has[stream] += n;
                (!is_closed && i64::from(*n) <= free).then_some((out + i64::from(*n), is_closed, has))
            }
            (PermitOp::Acquire(_) | PermitOp::TryAcquire(_), Permits::Closed) => is_closed.then_some(*model),
            (PermitOp::TryAcquire(n), Permits::Missing) => {
                (!is_closed && i64::from(*n) > free).then_some(*model)
            }
            (PermitOp::Release, _) => {
                let given = std::mem::take(&mut has[stream]);
                Some((out - i64::from(given), is_closed, has))
            }
            (PermitOp::Add(n), _) => Some((out - i64::from(*n), is_closed, has)),
            (PermitOp::Close, _) => Some((out, true, has)),
            (PermitOp::Available, Permits::Done(n)) => (i64::from(*n) == free).then_some(*model),
            _ => None,
        }
    }

    /// Or for those who came first, and wait for more.
    fn waits(model: &Self::Model, _: usize, op: &PermitOp) -> bool {
        matches!(op, PermitOp::Acquire(_)) && !model.1 && 3 - model.0 < MOST
    }

    /// Permits may be promised to those who came first.
    fn excuses(other: &PermitOp, op: &PermitOp, answer: &Permits) -> bool {
        let is_short = match op {
            PermitOp::TryAcquire(_) => *answer == Permits::Missing,
            PermitOp::Available => true,
            _ => false,
        };
        is_short && matches!(other, PermitOp::Acquire(_))
    }
}

fn permit_op() -> impl Strategy<Value = PermitOp> + Clone {
    use PermitOp::*;
    prop_oneof![
        8 => (1..=MOST as u32).prop_map(Acquire), 3 => (1..4_u32).prop_map(TryAcquire), 8 => Just(Release),
        2 => (1..3_u32).prop_map(Add), 1 => Just(Close), 2 => Just(Available),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_semaphore_gives_no_more_than_it_has(program in program(permit_op())) {
        check::<Permitted>(&program)?;
    }
}
