//! What is made of several: groups that are waited for, sets of fibers; and the ticks of an interval.

use std::sync::Mutex as Lock;
use std::time::{Duration, Instant};

use abaca::JoinSet;
use abaca::sync::WaitGroup;
use abaca::time::{Interval, MissedTickBehavior, interval_at};
use proptest::prelude::*;

use crate::history::{System, check};
use crate::program::{STREAMS, THREADS, config, program};

#[derive(Clone, Debug)]
enum GroupOp {
    /// Takes a part of the group, unless it has one.
    Enter,
    Leave,
    /// Lets nobody in any more.
    Close,
    /// Waits for all who have a part; one who has a part does not.
    Wait,
}

/// A group that is entered until it is closed.
struct Group(Lock<Option<WaitGroup>>);

impl System for Group {
    type Op = GroupOp;
    /// Whether there was anything to do.
    type Answer = bool;
    type Held<'a> = Option<WaitGroup>;
    /// Whether it is closed, and a bit for each who has a part.
    type Model = (bool, u16);

    const LAST: &[GroupOp] = &[GroupOp::Leave];
    const AFTERWARDS: &[GroupOp] = &[GroupOp::Close];

    fn new() -> Self {
        Self(Lock::new(Some(WaitGroup::new())))
    }

    fn call<'a>(&'a self, _: usize, held: &mut Option<WaitGroup>, op: &GroupOp) -> bool {
        match op {
            GroupOp::Enter if held.is_none() => {
                *held = self.0.lock().unwrap().clone();
                held.is_some()
            }
            GroupOp::Leave => held.take().is_some(),
            GroupOp::Close => self.0.lock().unwrap().take().is_some(),
            GroupOp::Wait if held.is_none() => {
                let part = self.0.lock().unwrap().clone();
                part.map(WaitGroup::wait).is_some()
            }
            GroupOp::Enter | GroupOp::Wait => false,
        }
    }

    fn step(model: &(bool, u16), stream: usize, op: &GroupOp, answer: &bool) -> Option<(bool, u16)> {
        let (is_closed, parts) = *model;
        let own = 1_u16 << stream;
        match (op, answer) {
            (GroupOp::Enter, true) => (!is_closed && parts & own == 0).then_some((false, parts | own)),
            (GroupOp::Leave, true) => (parts & own != 0).then_some((is_closed, parts & !own)),
            (GroupOp::Leave, false) => (parts & own == 0).then_some(*model),
            (GroupOp::Close, _) => (is_closed != *answer).then_some((true, parts)),
            (GroupOp::Wait, true) => (is_closed && parts == 0).then_some(*model),
            (GroupOp::Enter | GroupOp::Wait, false) => (is_closed || parts & own != 0).then_some(*model),
        }
    }

    fn waits(model: &(bool, u16), _: usize, op: &GroupOp) -> bool {
        matches!(op, GroupOp::Wait) && (!model.0 || model.1 != 0)
    }
}

#[derive(Clone, Debug)]
enum SetOp {
    /// A fiber that waits for so many microseconds and returns a number of its own.
    Spawn(u32, u64),
    Join,
    TryJoin,
    CancelAll,
    Detach,
    Len,
}

#[derive(Clone, Debug, PartialEq)]
enum Joined {
    Done,
    Nobody,
    Returned(u32),
    Cancelled,
    Count(usize),
}

/// Each stream has a set of its own.
struct Sets;

/// Who is in a set, in no order: those who run, and those who were cancelled and may have returned before; how many of the
/// latter were joined as cancelled.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Set {
    running: Vec<u32>,
    cancelled: Vec<u32>,
    joined: usize,
}

impl Set {
    fn len(&self) -> usize {
        self.running.len() + self.cancelled.len() - self.joined
    }
}

impl System for Sets {
    type Op = SetOp;
    type Answer = Joined;
    type Held<'a> = JoinSet<u32>;
    type Model = [Set; 9];

    fn new() -> Self {
        Self
    }

    fn call<'a>(&'a self, stream: usize, set: &mut JoinSet<u32>, op: &SetOp) -> Joined {
        let words = |joined: Option<std::thread::Result<u32>>| match joined {
            None => Joined::Nobody,
            Some(Ok(number)) => Joined::Returned(number),
            Some(Err(payload)) if payload.is::<abaca::Cancelled>() => Joined::Cancelled,
            Some(Err(payload)) => std::panic::resume_unwind(payload),
        };
        match op {
            // Spawned by fibers alone.
            SetOp::Spawn(..) if stream >= STREAMS - THREADS => Joined::Nobody,
            SetOp::Spawn(number, micros) => {
                let (number, micros) = (*number, *micros);
                set.spawn(move || {
                    abaca::sleep(Duration::from_micros(micros));
                    number
                });
                Joined::Done
            }
            SetOp::Join => words(set.join_next()),
            SetOp::TryJoin => words(set.try_join_next()),
            SetOp::CancelAll => {
                set.cancel_all();
                Joined::Done
            }
            SetOp::Detach => {
                set.detach_all();
                Joined::Done
            }
            SetOp::Len => Joined::Count(set.len()),
        }
    }

    fn step(model: &Self::Model, stream: usize, op: &SetOp, answer: &Joined) -> Option<Self::Model> {
        let mut next = model.clone();
        let set = &mut next[stream];
        match (op, answer) {
            (SetOp::Spawn(..), Joined::Nobody) => {}
            (SetOp::Spawn(number, _), _) => {
                set.running.push(*number);
                set.running.sort_unstable();
            }
            (SetOp::CancelAll, _) => {
                set.cancelled.append(&mut set.running);
                set.cancelled.sort_unstable();
            }
            (SetOp::Detach, _) => *set = Set::default(),
            (SetOp::Len, Joined::Count(count)) => (set.len() == *count).then_some(())?,
            // Nobody has ended yet.
            (SetOp::TryJoin, Joined::Nobody) => {}
            (SetOp::Join, Joined::Nobody) => (set.len() == 0).then_some(())?,
            (_, Joined::Cancelled) => {
                (set.joined < set.cancelled.len()).then_some(())?;
                set.joined += 1;
            }
            (_, Joined::Returned(number)) => {
                let place = |list: &[u32]| list.iter().position(|other| other == number);
                if let Some(at) = place(&set.running) {
                    set.running.remove(at);
                } else {
                    let at = place(&set.cancelled)?;
                    (set.joined < set.cancelled.len()).then_some(())?;
                    set.cancelled.remove(at);
                }
            }
            _ => return None,
        }
        Some(next)
    }

    fn waits(_: &Self::Model, _: usize, _: &SetOp) -> bool {
        false
    }
}

#[derive(Clone, Debug)]
enum TickOp {
    /// Begins an interval of so many microseconds; ticks that are missed are made up for as it says.
    Begin(u64, MissedTickBehavior),
    Tick,
    /// Lets as many microseconds pass without a tick.
    Miss(u64),
}

/// Each stream has an interval of its own.
struct Ticks;

/// An interval that has begun.
struct Begun {
    ticks: Interval,
    began: Instant,
}

/// When a tick was due and when it came, in nanoseconds since the interval began.
type Tick = Option<(u64, u64)>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Beat {
    period: u64,
    misses: u8,
    last: Option<u64>,
}

impl System for Ticks {
    type Op = TickOp;
    type Answer = Tick;
    type Held<'a> = Option<Begun>;
    type Model = [Option<Beat>; 9];

    fn new() -> Self {
        Self
    }

    fn call<'a>(&'a self, _: usize, held: &mut Option<Begun>, op: &TickOp) -> Tick {
        match op {
            TickOp::Begin(micros, behavior) => {
                let began = Instant::now();
                let mut ticks = interval_at(began, Duration::from_micros(*micros));
                ticks.set_missed_tick_behavior(*behavior);
                *held = Some(Begun { ticks, began });
                None
            }
            TickOp::Tick => {
                let Begun { ticks, began } = held.as_mut()?;
                let due = ticks.tick();
                let nanos = |at: Instant| at.saturating_duration_since(*began).as_nanos() as u64;
                Some((nanos(due), nanos(Instant::now())))
            }
            TickOp::Miss(micros) => {
                abaca::sleep(Duration::from_micros(*micros));
                None
            }
        }
    }

    fn step(model: &Self::Model, stream: usize, op: &TickOp, answer: &Tick) -> Option<Self::Model> {
        let mut next = model.clone();
        let beat = &mut next[stream];
        match (op, answer) {
            (TickOp::Begin(micros, behavior), _) => {
                *beat = Some(Beat { period: micros * 1000, misses: *behavior as u8, last: None });
            }
            (TickOp::Tick, Some((due, came))) => {
                let Beat { period, misses, last } = beat.as_mut()?;
                (came >= due).then_some(())?;
                let is_right = match *last {
                    None => *due == 0,
                    Some(last) if *misses == MissedTickBehavior::Burst as u8 => *due == last + *period,
                    Some(last) if *misses == MissedTickBehavior::Skip as u8 => {
                        *due > last && (due - last) % *period == 0
                    }
                    Some(last) => *due >= last + *period,
                };
                is_right.then_some(())?;
                *last = Some(*due);
            }
            (TickOp::Tick, None) => beat.is_none().then_some(())?,
            (TickOp::Miss(_), _) => {}
        }
        Some(next)
    }

    fn waits(_: &Self::Model, _: usize, _: &TickOp) -> bool {
        false
    }
}

fn group_op() -> impl Strategy<Value = GroupOp> + Clone {
    use GroupOp::*;
    prop_oneof![4 => Just(Enter), 3 => Just(Leave), 1 => Just(Close), 4 => Just(Wait)]
}

fn set_op() -> impl Strategy<Value = SetOp> + Clone {
    use SetOp::*;
    prop_oneof![
        6 => (any::<u32>(), 0..200_u64).prop_map(|(number, micros)| Spawn(number, micros)),
        5 => Just(Join), 3 => Just(TryJoin), 1 => Just(CancelAll), 1 => Just(Detach), 2 => Just(Len),
    ]
}

fn tick_op() -> impl Strategy<Value = TickOp> + Clone {
    let behavior = prop::sample::select(vec![
        MissedTickBehavior::Burst,
        MissedTickBehavior::Delay,
        MissedTickBehavior::Skip,
    ]);
    prop_oneof![
        2 => (1..100_u64, behavior).prop_map(|(micros, behavior)| TickOp::Begin(micros, behavior)),
        6 => Just(TickOp::Tick), 1 => (0..300_u64).prop_map(TickOp::Miss),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_group_is_waited_for_until_all_have_left(program in program(group_op())) {
        check::<Group>(&program)?;
    }

    #[test]
    fn a_set_gives_each_of_its_fibers_once(program in program(set_op())) {
        check::<Sets>(&program)?;
    }

    #[test]
    fn an_interval_ticks_on_time_and_loses_no_tick(program in program(tick_op())) {
        check::<Ticks>(&program)?;
    }
}
