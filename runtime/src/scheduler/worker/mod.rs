//! A worker: an OS thread that runs fibers, and the switches between them. The only folder that switches:
//! `switching.rs` between fibers that go on, `life.rs` at a fiber's start and end. This file has the worker and its queues.
//!
//! A worker has one context of its own, the *hub*, on its OS thread's stack. A fiber that parks switches straight
//! to the next fiber; the hub is entered only when there is none, when the tick is up (61 picks, or fewer), or when a task
//! needs a stack that the worker does not have at hand. A fiber that ends and finds a task next continues with
//! it on the same stack, without a switch.
//!
//! Why a fiber may be put into the ready list before its context is saved: the list is private to this thread,
//! and nothing takes from it until the fiber has switched away. For the same reason a wake-up from another
//! thread needs no hand-shake with the parking fiber: it lands in the inbox, which only this thread drains, in
//! the same pick that the parking fiber makes or in a later one. If that pick yields the fiber itself, it
//! just goes on. A roaming fiber, which others may take, therefore always leaves through the hub.

#![expect(unsafe_code, reason = "shares workers between threads, and follows pointers to cells that it owns")]

mod ballast;
mod life;
mod refused;
mod request;
mod switching;
mod unwinding;

use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use abaca_asm::Context;
use abaca_asm::stack::Stack;
use crossbeam_deque as deque;
use crossbeam_utils::CachePadded;

pub(super) use life::let_go;
pub(super) use request::Request;
pub(super) use unwinding::carry_panics_of_coroutines;

use super::bed::Bed;
use super::budget::Pace;
use super::hub::WORTH_WAKING;
use super::requests::Requests;
use super::shared::Shared;
use super::tick::Tick;
use crate::cell::{Flags, Header, LiveList, Reason};
use crate::queue::{Inbox, LifoSlot, ReadyList};
use crate::timer::Wheel;

/// A fiber that spawns beside so many tasks lets as many run as it adds.
const CROWDED: usize = 1 << 17;

/// A fiber in a queue that other workers may take from: a task, or a started fiber that roams.
pub(crate) struct Stealable(pub(crate) NonNull<Header>);

// SAFETY: tasks are `Send` by `spawn`'s bound, roaming fibers by `spawn_roaming`'s contract, and the queue that
// carries the pointer orders all accesses.
unsafe impl Send for Stealable {}

/// See the module's documentation. Others may use `remote`, `index` and `shared`, and read `current` and `picks_left`;
/// everything else belongs to the worker's own thread.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(super) shared: AtomicPtr<Shared>,
    pub(super) remote: CachePadded<Remote>,
    /// The fiber that runs; null in the hub. Written by this thread alone, as the next.
    current: AtomicPtr<Header>,
    hub: Cell<Context>,
    picks_left: AtomicU32,
    /// Started fibers that can go on, and tasks bound to this worker; first in, first out.
    pub(super) ready: ReadyList<Header>,
    /// Tasks that others may steal; newest first.
    pub(super) tasks: deque::Worker<Stealable>,
    /// Stacks of the default size, most recently used last.
    stacks: UnsafeCell<Vec<Stack>>,
    /// A stack of another size that was left behind, for the hub to give back.
    retired: Cell<Option<(u32, Stack)>>,
    pub(crate) wheel: Wheel,
    pub(super) live: LiveList,
    pub(super) idle: super::hub::Idling,
    pub(super) tick: Tick,
    pub(super) pace: Pace,
    pub(super) tidying: super::tidying::Tidying,
    unwinding: unwinding::Unwinding,
    pub(super) refusals: super::refusals::Refusals,
}

/// See [`Worker::position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    visits: u32,
    picks_left: u32,
    current: *mut Header,
}

impl Position {
    /// The fiber that runs; it may be gone by the time that anybody looks. `None` in the hub.
    pub(super) fn fiber(self) -> Option<NonNull<Header>> {
        NonNull::new(self.current)
    }
}

/// The part of a worker that other threads use.
pub(super) struct Remote {
    /// Wake-ups from other threads, and whether the worker sleeps.
    pub(super) inbox: Inbox<Header>,
    /// The newest task; stealable like the others, once the worker has been busy for a while.
    pub(super) newest: LifoSlot<Header>,
    pub(super) stealer: deque::Stealer<Stealable>,
    /// Counts visits to the hub. A worker whose count stands still is busy with one fiber.
    pub(super) visits: AtomicU32,
    /// Connections placed here; see `Flags::SPREADS`.
    pub(super) placed: AtomicUsize,
    /// The operating system's id of the worker's thread; 0 before it runs.
    thread_id: AtomicI32,
    /// How many started fibers live here.
    pub(super) fibers: AtomicUsize,
    /// What a worker sleeps on when a poller thread does the polling.
    pub(super) bed: Bed,
    /// Fibers that are to be cancelled, if they live here.
    pub(super) cancellations: Requests,
}

// SAFETY: the type's documentation says what other threads may use: `Sync` fields and constants.
unsafe impl Sync for Worker {}
// SAFETY: built by the runtime's thread before the worker's thread takes it over.
unsafe impl Send for Worker {}

#[cfg(not(loom))]
thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

// All threads of a model are one of the operating system's.
#[cfg(loom)]
loom::thread_local! {
    static CURRENT: Cell<*const Worker> = Cell::new(ptr::null());
}

/// The worker whose thread this is.
///
/// The one accessor of the one thread-local. It is never inlined, so that no address of a thread-local lives
/// across a switch: a roaming fiber may come back on another thread. For the same reason the reference must not
/// be used after a switch of a roaming fiber: ask again.
#[inline(never)]
pub(crate) fn current_worker() -> Option<&'static Worker> {
    // SAFETY: the pointer is set by a worker's thread to its worker, which outlives the thread.
    unsafe { CURRENT.with(Cell::get).as_ref() }
}

impl Worker {
    pub(super) fn new(index: usize) -> Self {
        let tasks = deque::Worker::new_lifo();
        let stealer = tasks.stealer();
        Self {
            index,
            shared: AtomicPtr::new(ptr::null_mut()),
            remote: CachePadded::new(Remote {
                inbox: Inbox::new(),
                newest: LifoSlot::new(),
                stealer,
                visits: AtomicU32::new(0),
                placed: AtomicUsize::new(0),
                thread_id: AtomicI32::new(0),
                fibers: AtomicUsize::new(0),
                bed: Bed::default(),
                cancellations: Requests::default(),
            }),
            current: AtomicPtr::new(ptr::null_mut()),
            hub: Cell::new(Context::dangling()),
            picks_left: AtomicU32::new(Tick::default().picks()),
            ready: ReadyList::new(),
            tasks,
            stacks: UnsafeCell::new(Vec::new()),
            retired: Cell::new(None),
            wheel: Wheel::new(0),
            live: LiveList::new(),
            idle: super::hub::Idling::default(),
            tick: Tick::default(),
            pace: Pace::default(),
            tidying: super::tidying::Tidying::default(),
            unwinding: unwinding::Unwinding::default(),
            refusals: super::refusals::Refusals::default(),
        }
    }

    pub(super) fn set_thread_id(&self, id: i32) {
        self.remote.thread_id.store(id, Ordering::Relaxed);
    }

    /// The operating system's id of the worker's thread; 0 before it runs.
    pub(super) fn thread_id(&self) -> i32 {
        // Relaxed: a number.
        self.remote.thread_id.load(Ordering::Relaxed)
    }

    /// Where it stands, for other threads: as long as this does not change, it runs one fiber without a switch.
    pub(super) fn position(&self) -> Position {
        // Relaxed: whoever compares two of them has waited in between.
        Position {
            visits: self.remote.visits.load(Ordering::Relaxed),
            picks_left: self.picks_left.load(Ordering::Relaxed),
            current: self.current.load(Ordering::Relaxed),
        }
    }

    /// Makes this the calling thread's worker.
    pub(super) fn enter_thread(&self) {
        CURRENT.with(|current| current.set(self));
    }

    pub(super) fn leave_thread(&self) {
        CURRENT.with(|current| current.set(ptr::null()));
    }

    pub(crate) fn shared(&self) -> &Shared {
        // SAFETY: set before any thread can see the worker; the runtime's shared state owns the workers.
        unsafe { &*self.shared.load(Ordering::Relaxed) }
    }

    #[inline(always)]
    pub(crate) fn current(&self) -> Option<NonNull<Header>> {
        // Relaxed: only this thread writes it.
        NonNull::new(self.current.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn set_current(&self, fiber: Option<NonNull<Header>>) {
        // Relaxed: others only compare it with what they saw before.
        self.current.store(fiber.map_or(ptr::null_mut(), NonNull::as_ptr), Ordering::Relaxed);
    }

    /// Puts a started fiber that can go on where it will be picked. On the worker's own thread.
    #[inline]
    pub(crate) fn make_ready(&self, fiber: NonNull<Header>) {
        // SAFETY: the caller was handed the fiber by its claim, so the cell is alive and in no other list.
        let header = unsafe { fiber.as_ref() };
        if header.has(Flags::ROAMING) && header.is_started() && !header.has(Flags::ANCHORED) {
            // From here on others may run it, so a canceller must not touch its waiter any more.
            header.set_waiting(ptr::null(), Reason::None);
            self.tasks.push(Stealable(fiber));
        } else {
            // SAFETY: as above.
            unsafe { self.ready.push_back(fiber) };
        }
    }

    /// Queues a task of the current fiber: the newest in the slot, the one before it in the deque. Whether there are more
    /// than a fiber should leave to others.
    #[inline]
    pub(super) fn push_task(&self, task: NonNull<Header>) -> bool {
        let Some(older) = self.remote.newest.put(task) else { return false };
        self.tasks.push(Stealable(older));
        let count = self.tasks.len();
        if count >= WORTH_WAKING && self.shared().sleepers.anyone_asleep() {
            self.shared().wake_a_sleeper();
        }
        count >= CROWDED
    }

    /// Gives a task to the worker that has the fewest placed fibers, this one included.
    #[cold]
    pub(super) fn place(&self, task: NonNull<Header>) {
        let shared = self.shared();
        let target = shared.least_loaded();
        // SAFETY: a task that is in no queue yet is ours.
        unsafe { task.as_ref() }.set_flag(Flags::PLACED);
        // Relaxed: a load figure.
        target.remote.placed.fetch_add(1, Ordering::Relaxed);
        if ptr::eq(target, self) {
            self.make_ready(task);
        } else {
            shared.deliver(target, task);
        }
    }

    /// The next fiber to run, from the sources that cost nothing to look at; `None` sends the caller to the hub.
    #[inline]
    fn pick(&self) -> Option<NonNull<Header>> {
        // Relaxed: as for `current`.
        let left = self.picks_left.load(Ordering::Relaxed) - 1;
        self.picks_left.store(left, Ordering::Relaxed);
        if left == 0 {
            return None;
        }
        match self.ready.pop_front() {
            Some(fiber) => {
                self.prefetch_ready();
                Some(fiber)
            }
            None => self.pick_beyond_ready(),
        }
    }

    /// Asks for the memory of the fibers that will be picked next, so that it arrives while this one runs: the stack of
    /// the first, whose header was asked for at the pick before, and the header of the second. Among ten thousand
    /// fibers that only yield, a switch takes two thirds of the time then.
    #[inline(always)]
    fn prefetch_ready(&self) {
        let [first, second] = self.ready.first_two();
        if let Some(first) = first {
            // SAFETY: a fiber in the list is alive, and its context is this thread's.
            unsafe { first.as_ref() }.context.get().prefetch();
        }
        if let Some(second) = second {
            Header::prefetch(second);
        }
    }

    #[inline]
    pub(super) fn pick_beyond_ready(&self) -> Option<NonNull<Header>> {
        if self.drain_inbox() {
            return self.ready.pop_front().or_else(|| self.pick_task());
        }
        self.pick_task()
    }

    #[inline]
    pub(super) fn pick_task(&self) -> Option<NonNull<Header>> {
        self.remote.newest.take().or_else(|| self.tasks.pop().map(|task| task.0))
    }

    /// Moves the inbox's fibers to where they will be picked; false when it was empty.
    #[inline]
    pub(super) fn drain_inbox(&self) -> bool {
        if !self.remote.inbox.has_mail() {
            return false;
        }
        let arrived = self.remote.inbox.drain();
        while let Some(fiber) = arrived.pop_front() {
            self.make_ready(fiber);
        }
        true
    }

    /// What tells the current turn of `me` from others.
    pub(super) fn turn_of(&self, me: NonNull<Header>) -> (usize, u32) {
        (me.addr().get(), self.picks_left.load(Ordering::Relaxed))
    }

    /// Whether anybody could run in the place of the current fiber.
    pub(super) fn has_others(&self) -> bool {
        !self.ready.is_empty()
            || self.remote.inbox.has_mail()
            || !self.remote.newest.is_empty()
            || !self.tasks.is_empty()
    }

    pub(super) fn tick_is_up(&self) -> bool {
        self.picks_left.load(Ordering::Relaxed) == 0
    }

    /// Starts a new tick: the hub has looked at everything.
    pub(super) fn renew_tick(&self) {
        self.picks_left.store(self.tick.picks(), Ordering::Relaxed);
    }
}
