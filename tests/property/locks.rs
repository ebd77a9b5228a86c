//! Mutexes, reader-writer locks, condition variables.

use std::sync::{PoisonError, TryLockError, TryLockResult};

use abaca::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use proptest::prelude::*;

use crate::history::{System, check};
use crate::program::{config, program};

/// A stream that is cancelled poisons what it holds, which is beside the point here.
fn tried<T>(result: TryLockResult<T>) -> Option<T> {
    match result {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What is asked of a lock. A stream that holds it asks for nothing but its end.
#[derive(Clone, Debug)]
enum LockOp {
    Lock,
    TryLock,
    Unlock,
}

/// Whether the stream holds the lock now, and the count that it found and raised when it has just got it.
type Got = Option<u32>;

struct Mutual(Mutex<u32>);

impl System for Mutual {
    type Op = LockOp;
    type Answer = Got;
    type Held<'a> = Option<MutexGuard<'a, u32>>;
    /// Who holds it, and how often it was locked.
    type Model = (Option<usize>, u32);

    const LAST: &[LockOp] = &[LockOp::Unlock];
    const AFTERWARDS: &[LockOp] = &[LockOp::TryLock];

    fn new() -> Self {
        Self(Mutex::new(0))
    }

    fn call<'a>(&'a self, _: usize, held: &mut Self::Held<'a>, op: &LockOp) -> Got {
        let guard = match op {
            LockOp::Unlock => return held.take().map(|_| 0),
            _ if held.is_some() => return None,
            LockOp::Lock => self.0.lock().unwrap_or_else(PoisonError::into_inner),
            LockOp::TryLock => tried(self.0.try_lock())?,
        };
        let count = {
            let guard = held.insert(guard);
            **guard += 1;
            **guard
        };
        Some(count)
    }

    fn step(model: &Self::Model, stream: usize, op: &LockOp, answer: &Got) -> Option<Self::Model> {
        let (holder, count) = *model;
        match (op, answer) {
            (LockOp::Unlock, Some(_)) => (holder == Some(stream)).then_some((None, count)),
            (LockOp::Unlock, None) => (holder != Some(stream)).then_some(*model),
            (_, Some(got)) => (holder.is_none() && *got == count + 1).then_some((Some(stream), count + 1)),
            (LockOp::Lock, None) => (holder == Some(stream)).then_some(*model),
            (LockOp::TryLock, None) => holder.is_some().then_some(*model),
        }
    }

    fn waits(model: &Self::Model, stream: usize, op: &LockOp) -> bool {
        matches!(op, LockOp::Lock) && model.0.is_some_and(|holder| holder != stream)
    }
}

#[derive(Clone, Debug)]
enum RwOp {
    Read,
    TryRead,
    Write,
    TryWrite,
    Downgrade,
    Release,
}

#[derive(Default)]
enum RwHeld<'a> {
    #[default]
    Nothing,
    Read(RwLockReadGuard<'a, u32>),
    Write(RwLockWriteGuard<'a, u32>),
}

/// `None`: the stream held it already, or not, and nothing was done. `Some(None)`: it was not to be had.
type RwGot = Option<Option<u32>>;

struct Shared(RwLock<u32>);

impl System for Shared {
    type Op = RwOp;
    type Answer = RwGot;
    type Held<'a> = RwHeld<'a>;
    /// A bit for each reader, the writer, and how often it was written.
    type Model = (u16, Option<usize>, u32);

    const LAST: &[RwOp] = &[RwOp::Release];
    const AFTERWARDS: &[RwOp] = &[RwOp::TryWrite, RwOp::Downgrade];

    fn new() -> Self {
        Self(RwLock::new(0))
    }

    fn call<'a>(&'a self, _: usize, held: &mut RwHeld<'a>, op: &RwOp) -> RwGot {
        match (op, std::mem::take(held)) {
            (RwOp::Read | RwOp::TryRead, RwHeld::Nothing) => {
                let guard = match op {
                    RwOp::Read => Some(self.0.read().unwrap_or_else(PoisonError::into_inner)),
                    _ => tried(self.0.try_read()),
                };
                let Some(guard) = guard else { return Some(None) };
                let count = *guard;
                *held = RwHeld::Read(guard);
                Some(Some(count))
            }
            (RwOp::Write | RwOp::TryWrite, RwHeld::Nothing) => {
                let guard = match op {
                    RwOp::Write => Some(self.0.write().unwrap_or_else(PoisonError::into_inner)),
                    _ => tried(self.0.try_write()),
                };
                let Some(mut guard) = guard else { return Some(None) };
                *guard += 1;
                let count = *guard;
                *held = RwHeld::Write(guard);
                Some(Some(count))
            }
            (RwOp::Downgrade, RwHeld::Write(guard)) => {
                let count = *guard;
                *held = RwHeld::Read(RwLockWriteGuard::downgrade(guard));
                Some(Some(count))
            }
            (RwOp::Release, RwHeld::Nothing) => None,
            (RwOp::Release, RwHeld::Read(guard)) => {
                drop(guard);
                Some(Some(0))
            }
            (RwOp::Release, RwHeld::Write(guard)) => {
                drop(guard);
                Some(Some(0))
            }
            (_, before) => {
                *held = before;
                None
            }
        }
    }

    fn step(model: &Self::Model, stream: usize, op: &RwOp, answer: &RwGot) -> Option<Self::Model> {
        let (readers, writer, count) = *model;
        let own = 1_u16 << stream;
        let holds = readers & own != 0 || writer == Some(stream);
        let (op, answer) = match (op, answer) {
            (RwOp::Downgrade, None) => return (writer != Some(stream)).then_some(*model),
            (RwOp::Release, None) => return (!holds).then_some(*model),
            (_, None) => return holds.then_some(*model),
            (op, Some(answer)) => (op, *answer),
        };
        match (op, answer) {
            (RwOp::Read | RwOp::TryRead, Some(seen)) => {
                (writer.is_none() && seen == count).then_some((readers | own, None, count))
            }
            (RwOp::Write | RwOp::TryWrite, Some(made)) => {
                let is_free = readers == 0 && writer.is_none();
                (is_free && made == count + 1).then_some((0, Some(stream), count + 1))
            }
            (RwOp::Downgrade, Some(seen)) => {
                (writer == Some(stream) && seen == count).then_some((own, None, count))
            }
            (RwOp::Release, Some(_)) if readers & own != 0 => Some((readers & !own, None, count)),
            (RwOp::Release, Some(_)) => (writer == Some(stream)).then_some((readers, None, count)),
            (RwOp::TryRead, None) => writer.is_some().then_some(*model),
            (RwOp::TryWrite, None) => (readers != 0 || writer.is_some()).then_some(*model),
            _ => None,
        }
    }

    fn waits(model: &Self::Model, stream: usize, op: &RwOp) -> bool {
        let (readers, writer, _) = *model;
        let others = readers & !(1 << stream);
        let holds = others != readers || writer == Some(stream);
        match op {
            // Readers stand back for a writer that waits, who in turn waits for a reader.
            RwOp::Read => !holds && (writer.is_some() || others != 0),
            RwOp::Write => !holds && (writer.is_some() || others != 0),
            _ => false,
        }
    }

    /// Readers stand back for a writer that waits; a lock that is given back may go to somebody who waits.
    fn excuses(other: &RwOp, op: &RwOp, answer: &RwGot) -> bool {
        let waits = matches!(other, RwOp::Read | RwOp::Write);
        matches!(op, RwOp::TryRead | RwOp::TryWrite) && *answer == Some(None) && waits
    }
}

#[derive(Clone, Debug)]
enum CellOp {
    /// Puts a token in, and tells one who waits.
    Put,
    /// Waits for a token, and takes it.
    Take,
    /// Puts three in, and tells all.
    PutMany,
}

/// Tokens under a mutex, with a condition variable.
struct Tokens(Mutex<u32>, Condvar);

impl System for Tokens {
    type Op = CellOp;
    type Answer = u32;
    type Held<'a> = ();
    type Model = u32;

    fn new() -> Self {
        Self(Mutex::new(0), Condvar::new())
    }

    fn call(&self, _: usize, (): &mut (), op: &CellOp) -> u32 {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match op {
            CellOp::Take => {
                tokens =
                    self.1.wait_while(tokens, |tokens| *tokens == 0).unwrap_or_else(PoisonError::into_inner);
                *tokens -= 1;
            }
            CellOp::Put => {
                *tokens += 1;
                self.1.notify_one();
            }
            CellOp::PutMany => {
                *tokens += 3;
                self.1.notify_all();
            }
        }
        *tokens
    }

    fn step(model: &u32, _: usize, op: &CellOp, answer: &u32) -> Option<u32> {
        let next = match op {
            CellOp::Take => model.checked_sub(1)?,
            CellOp::Put => model + 1,
            CellOp::PutMany => model + 3,
        };
        (next == *answer).then_some(next)
    }

    fn waits(model: &u32, _: usize, op: &CellOp) -> bool {
        matches!(op, CellOp::Take) && *model == 0
    }
}

fn lock_op() -> impl Strategy<Value = LockOp> + Clone {
    prop_oneof![3 => Just(LockOp::Lock), 1 => Just(LockOp::TryLock), 3 => Just(LockOp::Unlock)]
}

fn rw_op() -> impl Strategy<Value = RwOp> + Clone {
    use RwOp::*;
    prop_oneof![
        3 => Just(Read), 1 => Just(TryRead), 2 => Just(Write), 1 => Just(TryWrite), 1 => Just(Downgrade),
        4 => Just(Release),
    ]
}

fn cell_op() -> impl Strategy<Value = CellOp> + Clone {
    prop_oneof![3 => Just(CellOp::Put), 5 => Just(CellOp::Take), 1 => Just(CellOp::PutMany)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_mutex_is_held_by_one(program in program(lock_op())) {
        check::<Mutual>(&program)?;
    }

    #[test]
    fn a_lock_is_shared_by_readers_or_held_by_a_writer(program in program(rw_op())) {
        check::<Shared>(&program)?;
    }

    #[test]
    fn a_condition_is_seen_by_those_who_wait_for_it(program in program(cell_op())) {
        check::<Tokens>(&program)?;
    }
}
