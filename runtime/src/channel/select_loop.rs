//! The select loop: waits until one of several operations can begin. README.md argues why it is right.

#![expect(unsafe_code, reason = "holds the locks of several channels at once")]

use std::time::Instant;

use super::case::{Case, Operation, Purpose, Target};
use super::clock::earlier;
use super::ends::Ends;
use super::receiver::{Flavor, Receiver};
use super::sender::Sender;
use super::shared::Block;
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, Waiter};

/// The cases of a select.
pub(super) trait Cases {
    fn count(&self) -> usize;
    fn get(&self, index: usize) -> &dyn Operation;
}

/// How to select.
#[derive(Clone, Copy, Debug)]
pub(super) struct SelectMode {
    /// Whether the first of the ready cases wins, instead of a random one.
    pub(super) is_biased: bool,
    pub(super) block: Block,
    pub(super) purpose: Purpose,
}

/// An entry of the order of locking, one for each case: the address of the case's lock, and its index.
pub(super) type LockEntry = (usize, usize);

/// What a fiber in a select waits for, for dumps.
pub(crate) struct AwaitedCases<'a> {
    pub(crate) count: usize,
    /// The ends of the channel of the case with this index; `None` if the case has none.
    pub(crate) ends: &'a dyn Fn(usize) -> Option<&'a Ends>,
}

/// Waits until a case is selected (or found ready, as the mode's purpose says) and returns its index; `None` when the
/// deadline has passed, or when nothing is ready and the mode says not to wait.
pub(super) fn run<C: Cases + ?Sized>(
    cases: &C,
    mode: SelectMode,
    entries: &mut [LockEntry],
) -> Option<usize> {
    park::spend_as(|| mode.block.cost());
    loop {
        let order = Order::new(cases, mode.is_biased);
        // Usually one is ready. This tries one channel after the other, which does not prove that none is ready.
        if mode.purpose == Purpose::Select
            && let Some(index) = order.indices().find(|&index| cases.get(index).try_select())
        {
            if cases.get(index).resolve_handoff() {
                return Some(index);
            }
            continue;
        }
        let locks = Locks::take(cases, entries);
        // SAFETY: all locks are held.
        let found = order.indices().find(|&index| unsafe {
            match mode.purpose {
                Purpose::Select => cases.get(index).try_select_locked(),
                Purpose::Watch => cases.get(index).is_ready(),
            }
        });
        if let Some(index) = found {
            drop(locks);
            if mode.purpose == Purpose::Watch {
                return Some(index);
            }
            cases.get(index).deliver();
            if cases.get(index).resolve_handoff() {
                return Some(index);
            }
            continue;
        }
        let Block::Until(limit) = mode.block else {
            drop(locks);
            park::spend(Cost::TryFailed);
            return None;
        };
        if limit.is_some_and(|at| at <= Instant::now()) {
            return None;
        }
        let clocks = (0..cases.count()).filter_map(|index| cases.get(index).deadline()).min();
        let (outcome, selected) = wait(cases, &order, locks, mode.purpose, earlier(limit, clocks));
        match (outcome, selected) {
            (Outcome::Notified, Some(index)) if cases.get(index).resolve_handoff() => return Some(index),
            // A side is gone, or a watched channel has changed, or a handoff was abandoned, or a clock is due: the next
            // round finds out.
            (Outcome::Notified | Outcome::TimedOut, _) => {}
            (Outcome::Cancelled, _) => park::unwind(),
        }
    }
}

/// Links all cases, releases the locks, and waits. Returns how the wait ended, and which case the other side selected.
fn wait<C: Cases + ?Sized>(
    cases: &C,
    order: &Order,
    locks: Locks<'_, C>,
    purpose: Purpose,
    deadline: Option<Instant>,
) -> (Outcome, Option<usize>) {
    let ends = |index: usize| cases.get(index).ends();
    let awaited = AwaitedCases { count: cases.count(), ends: &ends };
    let waiter: Waiter = park::waiter().on((&raw const awaited).cast());
    let mut linked = Linked { cases, purpose, is_linked: true };
    // In the order of trying: of two cases on the same channel, the other side finds the first one.
    order.indices().for_each(|index| {
        // SAFETY: all locks are held; `linked` unlinks the cases before they or the waiter are gone.
        unsafe { cases.get(index).join(&waiter, purpose) };
    });
    drop(locks);
    for index in 0..cases.count() {
        cases.get(index).deliver();
    }
    let outcome = park::wait(&waiter, Reason::Select, deadline);
    (outcome, linked.leave())
}

/// Cases that wait in their lists. They also leave if the wait unwinds.
struct Linked<'a, C: Cases + ?Sized> {
    cases: &'a C,
    purpose: Purpose,
    is_linked: bool,
}

impl<C: Cases + ?Sized> Linked<'_, C> {
    /// Unlinks all cases. Returns the one that was selected.
    fn leave(&mut self) -> Option<usize> {
        self.is_linked = false;
        let mut selected = None;
        for index in 0..self.cases.count() {
            // SAFETY: all cases joined with this purpose, and no lock is held.
            if unsafe { self.cases.get(index).leave(self.purpose) } {
                selected = Some(index);
            }
        }
        selected
    }
}

impl<C: Cases + ?Sized> Drop for Linked<'_, C> {
    fn drop(&mut self) {
        if self.is_linked {
            self.leave();
        }
    }
}

/// The locks of all cases, each held once.
struct Locks<'a, C: Cases + ?Sized> {
    cases: &'a C,
    entries: &'a [LockEntry],
}

impl<'a, C: Cases + ?Sized> Locks<'a, C> {
    /// Takes the locks in the order of their addresses, as every select does.
    fn take(cases: &'a C, entries: &'a mut [LockEntry]) -> Self {
        for (index, entry) in entries.iter_mut().enumerate() {
            *entry = (cases.get(index).lock_address(), index);
        }
        entries.sort_unstable();
        let locks = Self { cases, entries };
        locks.each(|case| case.lock());
        locks
    }

    fn each(&self, f: impl Fn(&dyn Operation)) {
        let mut last = 0;
        for &(address, index) in self.entries {
            if address != last {
                f(self.cases.get(index));
            }
            last = address;
        }
    }
}

impl<C: Cases + ?Sized> Drop for Locks<'_, C> {
    fn drop(&mut self) {
        // SAFETY: `take` has locked exactly these locks, and nobody has unlocked them.
        self.each(|case| unsafe { case.unlock() });
    }
}

/// The order in which the cases are tried: from a random start, in random steps, so that of any two ready cases each is
/// found first as often as the other.
struct Order {
    count: usize,
    start: usize,
    step: usize,
}

impl Order {
    fn new<C: Cases + ?Sized>(cases: &C, is_biased: bool) -> Self {
        let count = cases.count();
        if is_biased || count < 2 {
            return Self { count, start: 0, step: 1 };
        }
        let random = (0..count).find_map(|index| cases.get(index).seed()).unwrap_or(0) as u64;
        let mut step = 1 + below(count - 1, (random >> 32) as u32);
        // Of two or three cases every step finds all.
        while count > 3 && !are_coprime(step, count) {
            step = 1 + step % (count - 1);
        }
        // Forwards as often as backwards.
        if random & 1 == 1 {
            step = count - step;
        }
        Self { count, start: below(count, random as u32), step }
    }

    fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.count).scan(self.start, |next, _| {
            let index = *next;
            let after = index + self.step;
            *next = if after < self.count { after } else { after - self.count };
            Some(index)
        })
    }
}

/// A number below `count` from 32 random bits, mostly from the upper ones. A remainder would be a division, which takes as long as all
/// else that a select does with a ready case.
fn below(count: usize, random: u32) -> usize {
    ((count as u64 * u64::from(random)) >> 32) as usize
}

fn are_coprime(mut one: usize, mut other: usize) -> bool {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

/// The case that receives from `receiver`.
pub(super) fn receiving<T>(receiver: &Receiver<T>) -> Case<'_, T> {
    Case::new(match &receiver.flavor {
        Flavor::Channel(channel) => Target::Receiver(channel),
        Flavor::Clock(clock) => Target::Clock(clock),
        Flavor::Never => Target::Never,
    })
}

/// The case that sends to `sender`.
pub(super) fn sending<T>(sender: &Sender<T>) -> Case<'_, T> {
    Case::new(Target::Sender(&sender.channel))
}
