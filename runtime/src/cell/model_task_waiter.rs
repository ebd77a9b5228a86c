//! Every interleaving of a few that end one future's wait with the task that owns it: one of them does, the task is
//! woken once if that was another, and the place on the heap is freed once.
//!
//! Loom reports a place that stays, or that is given back twice. Only a wake-up lets a task poll again, so one that is
//! lost is a deadlock. A claim that may lose is made under a lock, as the contract in `waiter.rs` has it; what races is
//! the compare-and-swap with those under other locks and with `give_up`, and the delivery with all that the owner does.

#![expect(unsafe_code, reason = "the waiter crosses threads by pointer")]

use std::ptr::NonNull;
use std::sync::Arc as Plain;
use std::task::{Context, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread::{self, JoinHandle};

use super::{Outcome, TaskWaiter, Waiter, Woken, wake_task};

const MESSAGE: u32 = 7;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A task. Its wakers refer to it, so its count is that of the wakers that are left.
struct Sleeper {
    wakes: AtomicUsize,
    /// What its executor waits for between two polls.
    notify: Notify,
}

impl Wake for Sleeper {
    fn wake(self: Plain<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.notify.notify();
    }
}

impl Sleeper {
    fn new() -> Plain<Self> {
        Plain::new(Self { wakes: AtomicUsize::new(0), notify: Notify::new() })
    }

    fn waiter(self: &Plain<Self>) -> TaskWaiter {
        TaskWaiter::new(&Context::from_waker(&Waker::from(Plain::clone(self))))
    }

    fn poll(self: &Plain<Self>, waiter: &TaskWaiter) -> Option<Outcome> {
        waiter.poll(&Context::from_waker(&Waker::from(Plain::clone(self))))
    }

    /// Polls as an executor does: again only when the task has been woken.
    fn run(self: &Plain<Self>, waiter: &TaskWaiter) -> Outcome {
        self.poll(waiter).unwrap_or_else(|| {
            while self.wakes.load(Relaxed) == 0 {
                self.notify.wait();
            }
            self.poll(waiter).expect("a wake-up comes after the claim")
        })
    }

    /// How often it was woken in all.
    fn wakes(self: Plain<Self>) -> usize {
        Plain::into_inner(self).expect("a waker is dropped with its place, if not before").wakes.load(Relaxed)
    }
}

/// One that may end the wait, as a channel does, or a timer.
struct Ender {
    outcome: Outcome,
    /// Claimed under the lock, and taken out by its owner before it is freed.
    waiter: Mutex<Option<NonNull<Waiter>>>,
    /// Written before the claim: loom reports an owner that reads it without being ordered after the claim.
    message: UnsafeCell<u32>,
}

// SAFETY: the waiter is `Sync`, and is used as its field says; loom checks the message.
unsafe impl Send for Ender {}
// SAFETY: as above.
unsafe impl Sync for Ender {}

impl Ender {
    fn new(outcome: Outcome, waiter: &TaskWaiter) -> Arc<Self> {
        let waiter = Mutex::new(Some(NonNull::from(waiter.waiter())));
        Arc::new(Self { outcome, waiter, message: UnsafeCell::new(0) })
    }

    /// Claims the waiter if it is still there, and wakes its task after that; whether it did.
    fn end(&self) -> bool {
        // SAFETY: what is being checked.
        self.message.with_mut(|message| unsafe { *message = MESSAGE });
        let linked = self.waiter.lock().unwrap();
        // SAFETY: the owner takes it out under the lock, unless it is claimed, before it is freed.
        let woken = linked.and_then(|waiter| unsafe { waiter.as_ref() }.claim(self.outcome));
        drop(linked);
        match woken {
            Some(Woken::Task(task)) => wake_task(task),
            Some(_) => unreachable!("a task waits"),
            None => return false,
        }
        true
    }

    /// The message for an owner whose wait this has ended.
    fn message(&self) -> u32 {
        // SAFETY: what is being checked.
        self.message.with(|message| unsafe { *message })
    }

    /// The owner is about to free the waiter.
    fn forget(&self) {
        self.waiter.lock().unwrap().take();
    }
}

/// Ends the wait on another thread.
fn start(ender: &Arc<Ender>) -> JoinHandle<bool> {
    let ender = Arc::clone(ender);
    thread::spawn(move || ender.end())
}

#[test]
fn a_drop_frees_the_place_unless_a_claim_has_taken_it_over() {
    check(|| {
        let sleeper = Sleeper::new();
        let waiter = sleeper.waiter();
        let ender = Ender::new(Outcome::Notified, &waiter);
        let ending = start(&ender);
        ender.forget();
        drop(waiter);
        let has_ended = ending.join().unwrap();
        assert_eq!(sleeper.wakes(), usize::from(has_ended));
    });
}

#[test]
fn of_two_claims_one_wakes_the_task_once() {
    check(|| {
        let sleeper = Sleeper::new();
        let waiter = sleeper.waiter();
        let enders = [Outcome::Notified, Outcome::TimedOut].map(|outcome| Ender::new(outcome, &waiter));
        let ending = enders.each_ref().map(start);
        let outcome = sleeper.run(&waiter);
        let winner = enders.iter().find(|ender| ender.outcome == outcome).expect("one of them ended it");
        assert_eq!(winner.message(), MESSAGE);
        enders.iter().for_each(|ender| ender.forget());
        drop(waiter);
        let have_ended = ending.map(|ending| ending.join().unwrap());
        assert_eq!(have_ended, enders.map(|ender| ender.outcome == outcome));
        assert_eq!(sleeper.wakes(), 1);
    });
}

#[test]
fn a_poll_while_a_claim_is_delivered_sees_it_or_its_waker_is_woken() {
    for is_moved in [false, true] {
        check(move || {
            let first = Sleeper::new();
            let second = if is_moved { Sleeper::new() } else { Plain::clone(&first) };
            let waiter = first.waiter();
            let ender = Ender::new(Outcome::Notified, &waiter);
            let ending = start(&ender);
            assert_eq!(second.run(&waiter), Outcome::Notified);
            assert_eq!(ender.message(), MESSAGE);
            // The claim was seen, so nobody uses the waiter any more; the delivery may be yet to come.
            drop(waiter);
            assert!(ending.join().unwrap());
            let wakes = if is_moved {
                first.wakes() + second.wakes()
            } else {
                drop(second);
                first.wakes()
            };
            assert_eq!(wakes, 1);
        });
    }
}

#[test]
fn a_wait_is_given_up_or_ended_by_the_claim() {
    for outcome in [Outcome::Notified, Outcome::TimedOut] {
        check(move || {
            let sleeper = Sleeper::new();
            let waiter = sleeper.waiter();
            let ender = Ender::new(outcome, &waiter);
            let ending = start(&ender);
            let is_given_up = waiter.give_up();
            if is_given_up {
                ender.forget();
            } else {
                assert_eq!(ender.message(), MESSAGE, "a claim that is lost comes after the other's message");
            }
            let seen = if is_given_up { Outcome::Cancelled } else { outcome };
            assert_eq!(sleeper.poll(&waiter), Some(seen));
            assert!(!waiter.give_up(), "it has ended");
            drop(waiter);
            let has_ended = ending.join().unwrap();
            assert_ne!(is_given_up, has_ended);
            assert_eq!(sleeper.wakes(), usize::from(has_ended));
        });
    }
}
