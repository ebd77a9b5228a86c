//! Every interleaving of the cancellation of a fiber from another thread with the start of the fiber, its waits, their
//! notification, and its end: a request is never lost, a wait ends once, and nothing is used after it was freed.
//!
//! Nearly all of it is the code that ships: the cell with its header, identity, join word and result; the waiter; `block`;
//! `cancel` and the hub with its sleep; the delivery of wake-ups through the inbox; the last steps of a fiber. Loom
//! reports a waiter that is claimed, or a header that a canceller visits, without being ordered before its end
//! (`atomic::Alive`). A lost request leaves a fiber asleep that nothing else wakes, which is a deadlock.
//!
//! The differences: the fiber runs on its worker's thread as a call, so that the hub is entered by a call as well and
//! not by a switch (`Worker::suspend`); the worker sleeps in `model_parker.rs` (the poller has a thread of its own); the
//! requests are in `model_requests.rs`.
//!
//! A cancel scope that fires meanwhile is the other way to end a wait, and is modelled as well.
//!
//! Left out: roaming fibers, shields, and waits during an unwinding; timers; several workers; the count of guards, which
//! keeps the runtime alive (the model keeps it); how a join handle gives its fiber an identity to be cancelled by, which
//! `cell/join.rs` checks.

#![expect(unsafe_code, reason = "takes the parts of a join handle and of a primitive's queue")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use loom::sync::Mutex;
use loom::thread::{self, JoinHandle};

use super::wait::block;
use super::{cancel, end_wait_within, unwind, wake};
use crate::cell::{
    CancelScope, Cancelled, Fiber, Flags, Header, Outcome, Reason, Supply, Waiter, allocate, take_result,
};
use crate::poller::Poller;
use crate::pool::{Pool, Settings};
use crate::scheduler::{Hooks, Pollers, Reporting, Shared, StackSupply, Stealable, current_fiber};

/// The size of a thread's stack, in words.
const STACK_WORDS: usize = 1 << 15;

/// A primitive in which a fiber waits to be notified once, under the primitive's lock.
struct Primitive(Mutex<Entry>);

struct Entry {
    is_notified: bool,
    waiter: Option<NonNull<Waiter>>,
}

// SAFETY: the waiter is `Sync`, and is used under the lock, while it is registered.
unsafe impl Send for Entry {}

impl Primitive {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Entry { is_notified: false, waiter: None })))
    }

    /// Waits for the notification, or unwinds.
    fn wait(&self) {
        if self.wait_for_outcome() == Outcome::Cancelled {
            // With nothing of loom's on the stack: its threads share the count of panics.
            unwind();
        }
    }

    fn wait_for_outcome(&self) -> Outcome {
        let me = current_fiber().expect("a fiber waits");
        let waiter = Waiter::new(Some(me));
        let mut entry = self.0.lock().unwrap();
        if entry.is_notified {
            return Outcome::Notified;
        }
        entry.waiter = Some(NonNull::from(&waiter));
        drop(entry);
        let outcome = block(me, &waiter, Reason::Park, None);
        self.0.lock().unwrap().waiter = None;
        outcome
    }

    /// Notifies. Returns true if that has ended a wait.
    fn notify(&self) -> bool {
        let mut entry = self.0.lock().unwrap();
        entry.is_notified = true;
        // SAFETY: the fiber removes the address under the lock before the waiter's frame ends.
        let wakeup = entry.waiter.and_then(|waiter| unsafe { waiter.as_ref() }.claim(Outcome::Notified));
        drop(entry);
        wakeup.map(wake).is_some()
    }
}

/// Fires the cancel scope of a fiber, as a `CancellationToken` does: under its lock, while the cancel scope is attached.
struct Trigger(Mutex<Attached>);

struct Attached {
    is_fired: bool,
    cancel_scope: Option<NonNull<CancelScope>>,
}

// SAFETY: other threads only fire the cancel scope, which they may, under the lock and while it is attached.
unsafe impl Send for Attached {}

impl Trigger {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Attached { is_fired: false, cancel_scope: None })))
    }

    /// Waits inside of a cancel scope until notified, or until the cancel scope is fired.
    fn wait_inside(&self, primitive: &Primitive) -> Outcome {
        let me = current_fiber().expect("a fiber waits");
        // SAFETY: the caller is this fiber.
        let chain = unsafe { &me.as_ref().cancel_scopes };
        let mut cancel_scope = CancelScope::signal();
        let inside = chain.push(&mut cancel_scope);
        let mut attached = self.0.lock().unwrap();
        attached.cancel_scope = Some(NonNull::from(inside.cancel_scope()));
        if attached.is_fired {
            assert!(inside.cancel_scope().fire().is_none(), "nothing waits in it yet");
        }
        drop(attached);
        let outcome = primitive.wait_for_outcome();
        self.0.lock().unwrap().cancel_scope = None;
        assert!(outcome != Outcome::Cancelled || inside.cancel_scope().has_fired());
        outcome
    }

    /// Fires the cancel scope.
    fn fire(&self) {
        let mut attached = self.0.lock().unwrap();
        attached.is_fired = true;
        // SAFETY: the fiber detaches the cancel scope under the lock before its frame ends.
        let fired = attached.cancel_scope.and_then(|cancel_scope| unsafe { cancel_scope.as_ref() }.fire());
        drop(attached);
        if let Some(fired) = fired {
            end_wait_within(fired);
        }
    }
}

/// A runtime with one worker, and one fiber of it.
struct Runtime {
    shared: Arc<Shared>,
    fiber: Fiber,
    unstarted: NonNull<Header>,
    /// How often the fiber's closure was dropped, by its call or without one.
    ends: Arc<AtomicUsize>,
}

/// Counts its drop.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Runtime {
    fn new(body: impl FnOnce() + 'static) -> Self {
        let stacks = StackSupply::new(1 << 16);
        let pollers = Pollers::Thread(Poller::new().unwrap());
        let blocking = Arc::new(Pool::new("model", Settings::default()));
        // Nothing watches the worker: the model has no monitor.
        let mut reporting = Reporting::default();
        reporting.threshold = None;
        let hooks = Hooks::default();
        let shared = Shared::new(1, stacks, pollers, blocking, usize::MAX, hooks, reporting).unwrap();
        let fiber = Fiber::new(None);
        let ends = Arc::new(AtomicUsize::new(0));
        let counted = Counted(Arc::clone(&ends));
        let closure = move || {
            let _counted = counted;
            body();
        };
        let (fiber_again, supply) = (Some(fiber.clone()), Supply::Allocator);
        let unstarted = allocate(closure, Flags::default(), 0, fiber_again, shared.address(), supply);
        Self { shared, fiber, unstarted, ends }
    }

    /// Starts the worker's thread, which takes the unstarted fiber out of some queue.
    fn start(&self) -> JoinHandle<()> {
        let (shared, unstarted) = (Arc::clone(&self.shared), Stealable(self.unstarted));
        spawn(move || {
            let Stealable(unstarted) = { unstarted };
            shared.workers[0].run_in_model(unstarted);
        })
    }

    fn canceller(&self) -> JoinHandle<()> {
        let (shared, fiber) = (Arc::clone(&self.shared), self.fiber.clone());
        spawn(move || {
            cancel(&fiber);
            drop(shared);
        })
    }

    /// Whether the fiber, which has ended, was cancelled.
    fn was_cancelled(self) -> bool {
        assert_eq!(self.ends.load(Relaxed), 1, "the closure is dropped once");
        // SAFETY: the join word's other side has not been released, so the cell is alive.
        assert!(unsafe { self.unstarted.as_ref() }.join.is_complete());
        // SAFETY: the join word says that the cell is the owner's, which is the caller; the closure returns `()`.
        match unsafe { take_result::<()>(self.unstarted, None) } {
            Ok(()) => false,
            Err(payload) => {
                assert!(payload.is::<Cancelled>(), "it has failed by itself");
                true
            }
        }
    }
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    let model = Arc::new(model);
    builder.check(move || {
        let model = Arc::clone(&model);
        spawn(move || model()).join().unwrap();
    });
}

/// Spawns a thread whose stack is large enough to create a runtime, unlike loom's default.
fn spawn(f: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().stack_size(STACK_WORDS).spawn(f).unwrap()
}

#[test]
fn a_request_ends_the_wait_that_begins_meanwhile_or_the_fiber_before_it() {
    check(3, || {
        let primitive = Primitive::new();
        let runtime = Runtime::new(move || primitive.wait());
        let worker = runtime.start();
        cancel(&runtime.fiber);
        worker.join().unwrap();
        assert!(runtime.was_cancelled());
    });
}

#[test]
fn two_requests_end_the_wait_once() {
    check(1, || {
        let primitive = Primitive::new();
        let runtime = Runtime::new(move || primitive.wait());
        let others = [runtime.start(), runtime.canceller()];
        cancel(&runtime.fiber);
        others.map(|other| other.join().unwrap());
        assert!(runtime.was_cancelled());
    });
}

#[test]
fn a_wait_is_ended_by_a_notification_or_a_request_and_not_by_both() {
    check(2, || {
        let primitive = Primitive::new();
        let waits = Arc::clone(&primitive);
        let runtime = Runtime::new(move || waits.wait());
        let others = [runtime.start(), runtime.canceller()];
        let has_notified = primitive.notify();
        others.map(|other| other.join().unwrap());
        let was_cancelled = runtime.was_cancelled();
        assert!(
            !(has_notified && was_cancelled),
            "the notification is lost with the fiber that it has woken"
        );
    });
}

#[test]
fn a_request_that_comes_too_late_for_one_wait_ends_the_next() {
    check(2, || {
        let primitives = [Primitive::new(), Primitive::new()];
        let waits = primitives.each_ref().map(Arc::clone);
        let runtime = Runtime::new(move || waits.iter().for_each(|primitive| primitive.wait()));
        let others = [runtime.start(), runtime.canceller()];
        primitives[0].notify();
        others.map(|other| other.join().unwrap());
        assert!(runtime.was_cancelled());
    });
}

#[test]
fn a_request_reaches_a_fiber_before_its_end_or_not_at_all() {
    check(3, || {
        let runtime = Runtime::new(|| ());
        let worker = runtime.start();
        cancel(&runtime.fiber);
        worker.join().unwrap();
        // The fiber was cancelled if the request came before the start.
        runtime.was_cancelled();
    });
}

#[test]
fn a_request_keeps_a_detached_fiber_from_being_freed() {
    check(2, || {
        let primitive = Primitive::new();
        let waits = Arc::clone(&primitive);
        let runtime = Runtime::new(move || waits.wait());
        let others = [runtime.start(), runtime.canceller()];
        primitive.notify();
        // SAFETY: the cell is alive until both sides have released it.
        if unsafe { runtime.unstarted.as_ref() }.join.detach() {
            // SAFETY: the join word says that the cell is the caller's; what is left in it is a result.
            let _ = unsafe { take_result::<()>(runtime.unstarted, None) };
        }
        others.map(|other| other.join().unwrap());
        assert_eq!(runtime.ends.load(Relaxed), 1);
    });
}

#[test]
fn a_cancel_scope_that_fires_ends_the_wait_that_begins_meanwhile() {
    check(3, || {
        let (primitive, trigger) = (Primitive::new(), Trigger::new());
        let firing = Arc::clone(&trigger);
        let runtime = Runtime::new(move || assert_eq!(trigger.wait_inside(&primitive), Outcome::Cancelled));
        let worker = runtime.start();
        firing.fire();
        worker.join().unwrap();
        assert!(!runtime.was_cancelled(), "the unwinding would end at the cancel scope");
    });
}

#[test]
fn either_a_cancel_scope_or_a_notification_ends_the_wait() {
    check(2, || {
        let (primitive, trigger) = (Primitive::new(), Trigger::new());
        let (notified, firing) = (Arc::clone(&primitive), Arc::clone(&trigger));
        let seen = Arc::new(std::sync::Mutex::new(None));
        let sees = Arc::clone(&seen);
        let runtime = Runtime::new(move || {
            let outcome = trigger.wait_inside(&primitive);
            *sees.lock().unwrap() = Some(outcome);
        });
        let others = [runtime.start(), spawn(move || firing.fire())];
        let has_notified = notified.notify();
        others.map(|other| other.join().unwrap());
        assert!(!runtime.was_cancelled());
        let outcome = seen.lock().unwrap().expect("the fiber has ended");
        assert!(!has_notified || outcome == Outcome::Notified, "the notification is lost");
    });
}
