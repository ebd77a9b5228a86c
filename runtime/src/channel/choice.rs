//! The select itself: which of several operations is begun. README.md argues why it is right.

#![expect(unsafe_code, reason = "holds the locks of several channels at once")]

use std::time::Instant;

use super::arm::{Arm, Operation, Purpose, Target};
use super::clock::earlier;
use super::exchange::Patience;
use super::receiver::{Flavor, Receiver};
use super::sender::Sender;
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, Waiter};

/// The arms of a select.
pub(super) trait Arms {
    fn count(&self) -> usize;
    fn get(&self, index: usize) -> &dyn Operation;
}

/// How to choose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Whether the first of those that are ready wins, instead of a random one.
    pub(super) is_biased: bool,
    pub(super) patience: Patience,
    pub(super) purpose: Purpose,
}

/// Room for one entry for each arm: the address of its lock, and its index.
pub(super) type Room = (usize, usize);

/// Waits until an arm is selected (or found ready, as the rule's purpose says) and returns its index; `None` when the
/// patience has ended.
pub(super) fn choose<A: Arms + ?Sized>(arms: &A, rule: Rule, room: &mut [Room]) -> Option<usize> {
    park::spend_as(|| rule.patience.cost());
    loop {
        let order = Order::new(arms, rule.is_biased);
        // The usual case: one is ready. This looks at one channel after the other, which is no proof that none is.
        if rule.purpose == Purpose::Select
            && let Some(index) = order.indices().find(|&index| arms.get(index).attempt())
        {
            if arms.get(index).settle() {
                return Some(index);
            }
            continue;
        }
        let locks = Locks::take(arms, room);
        // SAFETY: all locks are held.
        let found = order.indices().find(|&index| unsafe {
            match rule.purpose {
                Purpose::Select => arms.get(index).attempt_locked(),
                Purpose::Watch => arms.get(index).is_ready(),
            }
        });
        if let Some(index) = found {
            drop(locks);
            if rule.purpose == Purpose::Watch {
                return Some(index);
            }
            arms.get(index).deliver();
            if arms.get(index).settle() {
                return Some(index);
            }
            continue;
        }
        let Patience::Until(limit) = rule.patience else {
            drop(locks);
            park::spend(Cost::InVain);
            return None;
        };
        if limit.is_some_and(|at| at <= Instant::now()) {
            return None;
        }
        let clocks = (0..arms.count()).filter_map(|index| arms.get(index).deadline()).min();
        let (outcome, selected) = wait(arms, &order, locks, rule.purpose, earlier(limit, clocks));
        match (outcome, selected) {
            (Outcome::Notified, Some(index)) if arms.get(index).settle() => return Some(index),
            // A side is gone, or what was watched has changed, or a promise was broken, or a clock has struck: the next
            // look tells.
            (Outcome::Notified | Outcome::TimedOut, _) => {}
            (Outcome::Cancelled, _) => park::unwind(),
        }
    }
}

/// Links all arms, releases the locks, and waits. How that ended, and which arm was selected by the other side.
fn wait<A: Arms + ?Sized>(
    arms: &A,
    order: &Order,
    locks: Locks<'_, A>,
    purpose: Purpose,
    deadline: Option<Instant>,
) -> (Outcome, Option<usize>) {
    let waiter: Waiter = park::waiter();
    let mut linked = Linked { arms, purpose, is_linked: true };
    // In the order of looking: of two arms that work on the same channel, the other side finds the first one.
    order.indices().for_each(|index| {
        // SAFETY: all locks are held; `linked` unlinks the arms before they or the waiter are gone.
        unsafe { arms.get(index).join(&waiter, purpose) };
    });
    drop(locks);
    for index in 0..arms.count() {
        arms.get(index).deliver();
    }
    let outcome = park::wait(&waiter, Reason::Select, deadline);
    (outcome, linked.leave())
}

/// Arms that wait in their lists. They leave also when the wait unwinds.
struct Linked<'a, A: Arms + ?Sized> {
    arms: &'a A,
    purpose: Purpose,
    is_linked: bool,
}

impl<A: Arms + ?Sized> Linked<'_, A> {
    /// Unlinks all of them. Which one was selected.
    fn leave(&mut self) -> Option<usize> {
        self.is_linked = false;
        let mut selected = None;
        for index in 0..self.arms.count() {
            // SAFETY: the purpose is that with which all have joined, and no lock is held.
            if unsafe { self.arms.get(index).leave(self.purpose) } {
                selected = Some(index);
            }
        }
        selected
    }
}

impl<A: Arms + ?Sized> Drop for Linked<'_, A> {
    fn drop(&mut self) {
        if self.is_linked {
            self.leave();
        }
    }
}

/// The locks of all arms, held, each once.
struct Locks<'a, A: Arms + ?Sized> {
    arms: &'a A,
    room: &'a [Room],
}

impl<'a, A: Arms + ?Sized> Locks<'a, A> {
    /// Takes them in the order of their addresses, as everybody who takes several.
    fn take(arms: &'a A, room: &'a mut [Room]) -> Self {
        for (index, place) in room.iter_mut().enumerate() {
            *place = (arms.get(index).lock_address(), index);
        }
        room.sort_unstable();
        let locks = Self { arms, room };
        locks.each(|arm| arm.lock());
        locks
    }

    fn each(&self, f: impl Fn(&dyn Operation)) {
        let mut last = 0;
        for &(address, index) in self.room {
            if address != last {
                f(self.arms.get(index));
            }
            last = address;
        }
    }
}

impl<A: Arms + ?Sized> Drop for Locks<'_, A> {
    fn drop(&mut self) {
        // SAFETY: `take` has locked exactly these, and nobody has unlocked them.
        self.each(|arm| unsafe { arm.unlock() });
    }
}

/// In which order the arms are looked at: from a random one on, in random steps, so that of any two that are ready each
/// is found first as often as the other.
struct Order {
    count: usize,
    start: usize,
    step: usize,
}

impl Order {
    fn new<A: Arms + ?Sized>(arms: &A, is_biased: bool) -> Self {
        let count = arms.count();
        if is_biased || count < 2 {
            return Self { count, start: 0, step: 1 };
        }
        let random = (0..count).find_map(|index| arms.get(index).turn()).unwrap_or(0);
        let mut step = 1 + (random >> 32) % (count - 1);
        while !are_coprime(step, count) {
            step = 1 + step % (count - 1);
        }
        // Forwards as often as backwards.
        if random & 1 == 1 {
            step = count - step;
        }
        Self { count, start: (random >> 1 & 0x7fff_ffff) % count, step }
    }

    fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.count).scan(self.start, |next, _| {
            let index = *next;
            *next = (index + self.step) % self.count;
            Some(index)
        })
    }
}

fn are_coprime(mut one: usize, mut other: usize) -> bool {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

/// The arm that receives from `receiver`.
pub(super) fn receiving<T>(receiver: &Receiver<T>) -> Arm<'_, T> {
    Arm::new(match &receiver.flavor {
        Flavor::Exchange(exchange) => Target::Receiver(exchange),
        Flavor::Clock(clock) => Target::Clock(clock),
        Flavor::Never => Target::Never,
    })
}

/// The arm that sends to `sender`.
pub(super) fn sending<T>(sender: &Sender<T>) -> Arm<'_, T> {
    Arm::new(Target::Sender(&sender.exchange))
}
