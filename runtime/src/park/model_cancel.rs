//! Every interleaving of the cancellation of a fiber from another thread with the start of the fiber, its waits, their
//! notification, and its end: a request is never lost, a wait ends once, and nobody uses what is gone.
//!
//! Nearly all of it is the code that ships: the cell with its header, identity, join word and result; the waiter; `block`;
//! `cancel` and the hub with its sleep; the delivery of wake-ups through the inbox; the last steps of a fiber. Loom
//! reports a waiter that is claimed, or a header that a canceller visits, without being ordered before its end
//! (`atomic::Alive`). A request that is lost leaves a fiber asleep that nobody else wakes, which is a deadlock.
//!
//! What is different: the fiber runs on its worker's thread as a call, so that the hub is entered by a call as well and
//! not by a switch (`Worker::suspend`); the worker sleeps in `model_bed.rs` (the poller has a thread of its own); the
//! requests are in `model_requests.rs`.
//!
//! A boundary that is fired meanwhile is the other way to end a wait, and is here as well.
//!
//! Left out: fibers that roam, shields, and waits during an unwinding; timers; several workers; the count of visitors,
//! which keeps the runtime (the model keeps it); how a join handle gives its fiber a name to be cancelled by, which
//! `cell/join.rs` checks.

#![expect(unsafe_code, reason = "takes the parts of a join handle and of a primitive's queue")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use abaca_asm::stack::StackPool;
use loom::sync::Mutex;
use loom::thread::{self, JoinHandle};

use super::wait::block;
use super::{cancel, tell, unwind, wake};
use crate::cell::{
    Boundary, Cancelled, Fiber, Flags, Header, Outcome, Reason, Waiter, allocate, take_result,
};
use crate::poller::Poller;
use crate::pool::{Pool, Settings};
use crate::scheduler::{Hooks, Pollers, Reporting, Shared, StackSupply, Stealable, current_fiber};

/// What a thread's stack has room for.
const STACK_WORDS: usize = 1 << 15;

/// Where a fiber waits to be notified once, as it does in a primitive: under the primitive's lock.
struct Place(Mutex<Entry>);

struct Entry {
    is_notified: bool,
    waiter: Option<NonNull<Waiter>>,
}

// SAFETY: the waiter is `Sync`, and is used under the lock, while it is entered.
unsafe impl Send for Entry {}

impl Place {
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

    /// Notifies; true if that has ended a wait.
    fn notify(&self) -> bool {
        let mut entry = self.0.lock().unwrap();
        entry.is_notified = true;
        // SAFETY: the fiber takes it out under the lock before the waiter's frame ends.
        let woken = entry.waiter.and_then(|waiter| unsafe { waiter.as_ref() }.claim(Outcome::Notified));
        drop(entry);
        woken.map(wake).is_some()
    }
}

/// Who may fire the boundary of a fiber, as a `CancelToken` does: under its lock, while the boundary is there.
struct Trigger(Mutex<Aim>);

struct Aim {
    is_pulled: bool,
    boundary: Option<NonNull<Boundary>>,
}

// SAFETY: other threads fire the boundary, which they may, under the lock and while it is entered.
unsafe impl Send for Aim {}

impl Trigger {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Aim { is_pulled: false, boundary: None })))
    }

    /// Waits inside of a boundary until notified, or until the boundary is fired.
    fn wait_inside(&self, place: &Place) -> Outcome {
        let me = current_fiber().expect("a fiber waits");
        // SAFETY: the caller is this fiber.
        let chain = unsafe { &me.as_ref().boundaries };
        let mut boundary = Boundary::signal();
        let inside = chain.push(&mut boundary);
        let mut aim = self.0.lock().unwrap();
        aim.boundary = Some(NonNull::from(inside.boundary()));
        if aim.is_pulled {
            assert!(inside.boundary().fire().is_none(), "nothing waits in it yet");
        }
        drop(aim);
        let outcome = place.wait_for_outcome();
        self.0.lock().unwrap().boundary = None;
        assert!(outcome != Outcome::Cancelled || inside.boundary().has_fired());
        outcome
    }

    /// Fires it.
    fn pull(&self) {
        let mut aim = self.0.lock().unwrap();
        aim.is_pulled = true;
        // SAFETY: the fiber takes it out under the lock before its frame ends.
        let fired = aim.boundary.and_then(|boundary| unsafe { boundary.as_ref() }.fire());
        drop(aim);
        if let Some(fired) = fired {
            tell(fired);
        }
    }
}

/// A runtime with one worker, and one fiber of it.
struct World {
    shared: Arc<Shared>,
    fiber: Fiber,
    task: NonNull<Header>,
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

impl World {
    fn new(body: impl FnOnce() + 'static) -> Self {
        let stacks = StackSupply::new(StackPool::new(1 << 16));
        let pollers = Pollers::Thread(Poller::new().unwrap());
        let blocking = Arc::new(Pool::new("model", Settings::default()));
        // Nobody looks after the worker: the model has no monitor.
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
        let task = allocate(closure, Flags::default(), 0, Some(fiber.clone()), shared.address());
        Self { shared, fiber, task, ends }
    }

    /// The worker's thread, which takes the task out of some queue.
    fn start(&self) -> JoinHandle<()> {
        let (shared, task) = (Arc::clone(&self.shared), Stealable(self.task));
        spawn(move || {
            let Stealable(task) = { task };
            shared.workers[0].live_through(task);
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
        // SAFETY: nobody has let go of the join word's other end, so the cell is alive.
        assert!(unsafe { self.task.as_ref() }.join.has_ended_for_good());
        // SAFETY: the join word says that the cell is the owner's, which is the caller; the closure returns `()`.
        match unsafe { take_result::<()>(self.task) } {
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

/// A thread on whose stack a runtime can be made, unlike on those that loom gives unasked.
fn spawn(f: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().stack_size(STACK_WORDS).spawn(f).unwrap()
}

#[test]
fn a_request_ends_the_wait_that_begins_meanwhile_or_the_fiber_before_it() {
    check(3, || {
        let place = Place::new();
        let world = World::new(move || place.wait());
        let worker = world.start();
        cancel(&world.fiber);
        worker.join().unwrap();
        assert!(world.was_cancelled());
    });
}

#[test]
fn of_two_requests_one_ends_the_wait() {
    check(1, || {
        let place = Place::new();
        let world = World::new(move || place.wait());
        let others = [world.start(), world.canceller()];
        cancel(&world.fiber);
        others.map(|other| other.join().unwrap());
        assert!(world.was_cancelled());
    });
}

#[test]
fn a_wait_is_ended_by_a_notification_or_a_request_and_not_by_both() {
    check(2, || {
        let place = Place::new();
        let waits = Arc::clone(&place);
        let world = World::new(move || waits.wait());
        let others = [world.start(), world.canceller()];
        let has_woken = place.notify();
        others.map(|other| other.join().unwrap());
        let was_cancelled = world.was_cancelled();
        assert!(!(has_woken && was_cancelled), "the notification is lost with the fiber that it has woken");
    });
}

#[test]
fn a_request_that_comes_too_late_for_one_wait_ends_the_next() {
    check(2, || {
        let places = [Place::new(), Place::new()];
        let waits = places.each_ref().map(Arc::clone);
        let world = World::new(move || waits.iter().for_each(|place| place.wait()));
        let others = [world.start(), world.canceller()];
        places[0].notify();
        others.map(|other| other.join().unwrap());
        assert!(world.was_cancelled());
    });
}

#[test]
fn a_request_reaches_a_fiber_before_its_end_or_not_at_all() {
    check(3, || {
        let world = World::new(|| ());
        let worker = world.start();
        cancel(&world.fiber);
        worker.join().unwrap();
        // Cancelled if that came before the start.
        world.was_cancelled();
    });
}

#[test]
fn a_request_keeps_a_fiber_that_nobody_joins_from_being_freed() {
    check(2, || {
        let place = Place::new();
        let waits = Arc::clone(&place);
        let world = World::new(move || waits.wait());
        let others = [world.start(), world.canceller()];
        place.notify();
        // SAFETY: the cell is alive until both have let go of it.
        if unsafe { world.task.as_ref() }.join.detach() {
            // SAFETY: the join word says that the cell is the caller's; what is left in it is a result.
            let _ = unsafe { take_result::<()>(world.task) };
        }
        others.map(|other| other.join().unwrap());
        assert_eq!(world.ends.load(Relaxed), 1);
    });
}

#[test]
fn a_boundary_that_is_fired_ends_the_wait_that_begins_meanwhile() {
    check(3, || {
        let (place, trigger) = (Place::new(), Trigger::new());
        let pulled = Arc::clone(&trigger);
        let world = World::new(move || assert_eq!(trigger.wait_inside(&place), Outcome::Cancelled));
        let worker = world.start();
        pulled.pull();
        worker.join().unwrap();
        assert!(!world.was_cancelled(), "the unwinding would end at the boundary");
    });
}

#[test]
fn of_a_boundary_and_a_notification_one_ends_the_wait() {
    check(2, || {
        let (place, trigger) = (Place::new(), Trigger::new());
        let (notified, pulled) = (Arc::clone(&place), Arc::clone(&trigger));
        let seen = Arc::new(std::sync::Mutex::new(None));
        let sees = Arc::clone(&seen);
        let world = World::new(move || {
            let outcome = trigger.wait_inside(&place);
            *sees.lock().unwrap() = Some(outcome);
        });
        let others = [world.start(), spawn(move || pulled.pull())];
        let has_notified = notified.notify();
        others.map(|other| other.join().unwrap());
        assert!(!world.was_cancelled());
        let outcome = seen.lock().unwrap().expect("the fiber has ended");
        assert!(!has_notified || outcome == Outcome::Notified, "the notification is lost");
    });
}
