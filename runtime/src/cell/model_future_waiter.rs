//! Every interleaving of a few claims of one future's waiter with the task that owns it: one of them succeeds, the task is
//! woken once unless it has ended the wait itself, and the allocation is freed once.
//!
//! Loom reports an allocation that is leaked or freed twice. A task polls again only after a wake-up, so a lost wake-up is a
//! deadlock. A claim that may lose is made under a lock, as the contract in `waiter.rs` demands. The races are those of the
//! compare-and-swap with claims under other locks and with `give_up`, and of the delivery with all that the owner does.

#![expect(unsafe_code, reason = "the waiter crosses threads by pointer")]

use std::ptr::NonNull;
use std::sync::Arc as Plain;
use std::task::{Context, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread::{self, JoinHandle};

use super::{FutureWaiter, Outcome, Waiter, Wakeup, wake_task};

const MESSAGE: u32 = 7;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A task. Its wakers refer to it, so its reference count tells how many wakers are left.
struct ModelTask {
    wakes: AtomicUsize,
    /// The task's executor waits for this between two polls.
    notify: Notify,
}

impl Wake for ModelTask {
    fn wake(self: Plain<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.notify.notify();
    }
}

impl ModelTask {
    fn new() -> Plain<Self> {
        Plain::new(Self { wakes: AtomicUsize::new(0), notify: Notify::new() })
    }

    fn waiter(self: &Plain<Self>) -> FutureWaiter {
        FutureWaiter::new(&Context::from_waker(&Waker::from(Plain::clone(self))))
    }

    fn poll(self: &Plain<Self>, waiter: &FutureWaiter) -> Option<Outcome> {
        waiter.poll(&Context::from_waker(&Waker::from(Plain::clone(self))))
    }

    /// Polls as an executor does: a second time only after the task has been woken.
    fn run(self: &Plain<Self>, waiter: &FutureWaiter) -> Outcome {
        self.poll(waiter).unwrap_or_else(|| {
            while self.wakes.load(Relaxed) == 0 {
                self.notify.wait();
            }
            self.poll(waiter).expect("a wake-up comes after the claim")
        })
    }

    /// How often the task was woken in all.
    fn wakes(self: Plain<Self>) -> usize {
        let task = Plain::into_inner(self).expect("a waker is dropped with its waiter, if not before");
        task.wakes.load(Relaxed)
    }
}

/// Claims the waiter, as a channel or a timer does.
struct Claimer {
    outcome: Outcome,
    /// Claimed under the lock, and removed by its owner before it is freed.
    waiter: Mutex<Option<NonNull<Waiter>>>,
    /// Written before the claim: loom reports an owner that reads it without being ordered after the claim.
    message: UnsafeCell<u32>,
}

// SAFETY: the waiter is `Sync`, and is used as its field says; loom checks the message.
unsafe impl Send for Claimer {}
// SAFETY: as above.
unsafe impl Sync for Claimer {}

impl Claimer {
    fn new(outcome: Outcome, waiter: &FutureWaiter) -> Arc<Self> {
        let waiter = Mutex::new(Some(NonNull::from(waiter.waiter())));
        Arc::new(Self { outcome, waiter, message: UnsafeCell::new(0) })
    }

    /// Claims the waiter if it is still registered, and then wakes its task. Returns whether the claim has succeeded.
    fn end(&self) -> bool {
        // SAFETY: what is being checked.
        self.message.with_mut(|message| unsafe { *message = MESSAGE });
        let linked = self.waiter.lock().unwrap();
        // SAFETY: unless the waiter is claimed, its owner removes it under the lock before it is freed.
        let wakeup = linked.and_then(|waiter| unsafe { waiter.as_ref() }.claim(self.outcome));
        drop(linked);
        match wakeup {
            Some(Wakeup::Future(task)) => wake_task(task),
            Some(_) => unreachable!("a task waits"),
            None => return false,
        }
        true
    }

    /// The message for the owner, if this has ended its wait.
    fn message(&self) -> u32 {
        // SAFETY: what is being checked.
        self.message.with(|message| unsafe { *message })
    }

    /// Removes the waiter, which its owner is about to free.
    fn remove_waiter(&self) {
        self.waiter.lock().unwrap().take();
    }
}

/// Ends the wait on another thread.
fn start(claimer: &Arc<Claimer>) -> JoinHandle<bool> {
    let claimer = Arc::clone(claimer);
    thread::spawn(move || claimer.end())
}

#[test]
fn a_drop_frees_the_allocation_unless_a_claim_has_taken_it_over() {
    check(|| {
        let task = ModelTask::new();
        let waiter = task.waiter();
        let claimer = Claimer::new(Outcome::Notified, &waiter);
        let ending = start(&claimer);
        claimer.remove_waiter();
        drop(waiter);
        let has_ended = ending.join().unwrap();
        assert_eq!(task.wakes(), usize::from(has_ended));
    });
}

#[test]
fn two_claims_wake_the_task_once() {
    check(|| {
        let task = ModelTask::new();
        let waiter = task.waiter();
        let claimers = [Outcome::Notified, Outcome::TimedOut].map(|outcome| Claimer::new(outcome, &waiter));
        let ending = claimers.each_ref().map(start);
        let outcome = task.run(&waiter);
        let winner =
            claimers.iter().find(|claimer| claimer.outcome == outcome).expect("one of them ended it");
        assert_eq!(winner.message(), MESSAGE);
        claimers.iter().for_each(|claimer| claimer.remove_waiter());
        drop(waiter);
        let have_ended = ending.map(|ending| ending.join().unwrap());
        assert_eq!(have_ended, claimers.map(|claimer| claimer.outcome == outcome));
        assert_eq!(task.wakes(), 1);
    });
}

#[test]
fn a_poll_while_a_claim_is_delivered_sees_it_or_its_waker_is_woken() {
    for is_moved in [false, true] {
        check(move || {
            let first = ModelTask::new();
            let second = if is_moved { ModelTask::new() } else { Plain::clone(&first) };
            let waiter = first.waiter();
            let claimer = Claimer::new(Outcome::Notified, &waiter);
            let ending = start(&claimer);
            assert_eq!(second.run(&waiter), Outcome::Notified);
            assert_eq!(claimer.message(), MESSAGE);
            // The claim was seen, so nothing uses the waiter any more. The delivery may still be to come.
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
            let task = ModelTask::new();
            let waiter = task.waiter();
            let claimer = Claimer::new(outcome, &waiter);
            let ending = start(&claimer);
            let is_given_up = waiter.give_up();
            if is_given_up {
                claimer.remove_waiter();
            } else {
                assert_eq!(
                    claimer.message(),
                    MESSAGE,
                    "a claim that is lost comes after the other's message"
                );
            }
            let seen = if is_given_up { Outcome::Cancelled } else { outcome };
            assert_eq!(task.poll(&waiter), Some(seen));
            assert!(!waiter.give_up(), "the wait has ended");
            drop(waiter);
            let has_ended = ending.join().unwrap();
            assert_ne!(is_given_up, has_ended);
            assert_eq!(task.wakes(), usize::from(has_ended));
        });
    }
}

#[test]
fn a_waiter_that_is_renewed_waits_for_another_claim() {
    check(|| {
        let task = ModelTask::new();
        let mut waiter = task.waiter();
        let mut ending = Vec::new();
        for round in 1..=2 {
            let claimer = Claimer::new(Outcome::Notified, &waiter);
            ending.push(start(&claimer));
            while task.wakes.load(Relaxed) < round {
                task.notify.wait();
            }
            assert_eq!(task.poll(&waiter), Some(Outcome::Notified));
            assert_eq!(claimer.message(), MESSAGE);
            let context = Waker::from(Plain::clone(&task));
            if round == 1 && !waiter.renew(&Context::from_waker(&context)) {
                // The first wake-up is still being delivered.
                waiter = task.waiter();
            }
        }
        drop(waiter);
        assert!(ending.into_iter().all(|ending| ending.join().unwrap()));
        assert_eq!(task.wakes(), 2);
    });
}

#[test]
fn a_waiter_is_not_renewed_while_it_waits() {
    check(|| {
        let task = ModelTask::new();
        let mut waiter = task.waiter();
        let claimer = Claimer::new(Outcome::Notified, &waiter);
        let ending = start(&claimer);
        let context = Waker::from(Plain::clone(&task));
        let is_renewed = waiter.renew(&Context::from_waker(&context));
        drop(context);
        if is_renewed {
            // The claim was over, and its wake-up may still come.
            assert_eq!(task.poll(&waiter), None);
        }
        claimer.remove_waiter();
        drop(waiter);
        let has_ended = ending.join().unwrap();
        assert!(has_ended || !is_renewed);
        assert_eq!(task.wakes(), usize::from(has_ended));
    });
}
