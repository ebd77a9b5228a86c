//! A worker: an OS thread that runs fibers, and the switches between them. Only this folder switches: `switching.rs`
//! between fibers that go on, `life.rs` at a fiber's start and end. This file has the worker and its queues.
//!
//! A worker has one context of its own, the *hub*, on its OS thread's stack. A fiber that parks switches straight
//! to the next fiber. The hub is entered only when there is no next fiber, when the tick is up (61 picks, or fewer), or when an
//! unstarted fiber needs a stack that the worker does not have in its cache. If a fiber ends and the next one is unstarted,
//! the next one runs on the same stack, without a switch.
//!
//! A fiber may be put into the ready list before its context is saved: the list is private to this thread, and nothing takes
//! from it until the fiber has switched away. For the same reason a wake-up from another thread needs no hand-shake with the
//! parking fiber: the wake-up lands in the inbox, which only this thread drains, in the same pick that the parking fiber makes
//! or in a later one. If that pick yields the fiber itself, the fiber just goes on. A roaming fiber, which other workers may
//! take, therefore always leaves through the hub.
//!
//! Where fibers have storage of their own, a worker may change its thread (`absence.rs`). "This thread" is then the worker's thread
//! of the moment, and the hub's context lies with the thread.

#![expect(unsafe_code, reason = "shares workers between threads, and follows pointers to cells that it owns")]

#[cfg_attr(not(feature = "own-tls"), path = "no_absence.rs")]
mod absence;
mod hooked;
mod life;
mod next;
mod panic_count;
mod position;
mod refused;
mod request;
mod switching;
mod unstarted;
mod unwinding;
mod waking;

use std::cell::{Cell, OnceCell, UnsafeCell};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use abaca_asm::Context;
use abaca_asm::stack::Stack;
use crossbeam_utils::CachePadded;

pub(super) use life::complete;
pub(crate) use panic_count::{can_end_hook, end_hook};
pub(crate) use position::Position;
pub(super) use request::Request;
pub(super) use unwinding::carry_panics_of_coroutines;

use super::budget::Pace;
use super::counters::Counters;
use super::here::prefetch_storage;
use super::parker::Parker;
use super::recording::WorkerRecorder;
use super::requests::Requests;
use super::shared::Shared;
use super::tick::Tick;
use super::turn_log::TurnLog;
use crate::cell::{CoarseTime, Depot, Flags, Header, LiveList, Magazines};
use crate::os::clock;
use crate::poller::Poller;
use crate::queue::{Backlog, Inbox, ReadyList, Stealer};
use crate::timer::Wheel;

/// If a worker has this many unstarted fibers, a fiber that spawns another lets as many run as it adds.
pub(super) const CROWDED: usize = 1 << 17;

/// A fiber in a queue that other workers may take from: an unstarted fiber, or a started one that roams.
#[derive(Clone, Copy)]
pub(crate) struct Stealable(pub(crate) NonNull<Header>);

// SAFETY: unstarted fibers are `Send` by `spawn`'s bound, roaming fibers by `spawn_roaming`'s contract, and the queue that
// carries the pointer orders all accesses.
unsafe impl Send for Stealable {}

/// See the module's documentation. Other threads may use `remote`, `index` and `shared`, and read `current`, `picks_left` and the
/// counts of `live`. Everything else belongs to the worker's own thread.
pub(crate) struct Worker {
    pub(crate) index: usize,
    /// On a line of its own: others read it, and each pick writes what is beside it.
    pub(super) shared: CachePadded<AtomicPtr<Shared>>,
    pub(super) remote: CachePadded<Remote>,
    /// The fiber that runs; null in the hub. Only this thread writes it.
    current: AtomicPtr<Header>,
    hub: Cell<Context>,
    /// The address of the poller with which fibers of this worker register descriptors; see [`polls_with`](Self::polls_with).
    poller: AtomicPtr<Poller>,
    /// The carrier of the worker's thread, if fibers have storage of their own. Only the worker's thread and the monitor use it.
    #[cfg(feature = "own-tls")]
    carrier: AtomicPtr<super::handoff::Carrier>,
    #[cfg(feature = "own-tls")]
    tenure: Cell<u64>,
    /// How many picks are left of the tick. Only this thread writes it.
    picks_left: AtomicU32,
    /// Started fibers that can go on, and unstarted fibers bound to this worker; first in, first out.
    pub(super) ready: ReadyList<Header>,
    /// Fibers that other workers may steal; newest first.
    pub(super) backlog: Backlog<Stealable>,
    /// Memory for the cells that its fibers spawn.
    cells: Magazines,
    /// Stacks of the default size, most recently used last.
    stacks: UnsafeCell<Vec<Stack>>,
    /// A stack of another size whose fiber has ended, for the hub to give back.
    retired: Cell<Option<(u32, Stack)>>,
    pub(crate) wheel: Wheel,
    pub(super) live: LiveList,
    pub(super) hub_state: super::hub::HubState,
    pub(super) tick: Tick,
    /// The time when the clock was last read here.
    coarse_now: Cell<CoarseTime>,
    pub(super) pace: Pace,
    pub(super) scavenger: super::scavenger::Scavenger,
    unwinding: unwinding::Unwinding,
    /// The worker's part of the flight recorder, if there is one. Other threads may copy the ring.
    recorder: OnceCell<Box<WorkerRecorder>>,
    /// The log of turns, if there is one in the recorder's place.
    pub(crate) log: TurnLog,
    /// The fiber around whose park a hook runs now: it has a waiter, but is not suspended.
    in_hook: Cell<*const Header>,
    pub(super) refusals: super::refusals::Refusals,
}

/// The part of a worker that other threads use.
pub(super) struct Remote {
    /// Wake-ups from other threads, and whether the worker sleeps.
    pub(super) inbox: Inbox<Header>,
    pub(super) stealer: Stealer<Stealable>,
    /// Counts passes through the hub. While the count stands still, the worker is busy with one fiber.
    pub(super) epoch: AtomicU32,
    /// Counts the fibers that the hub has resumed.
    pub(super) resumed: AtomicU64,
    /// The number of fibers placed here; see `Flags::DISTRIBUTED`. Acceptors on all workers read and write it.
    pub(super) placed: CachePadded<AtomicUsize>,
    /// The operating system's id of the worker's thread; 0 before the thread runs.
    thread_id: AtomicI32,
    /// Written by this worker's thread alone.
    pub(super) counters: CachePadded<Counters>,
    /// Where the worker sleeps if a poller thread does the polling.
    pub(super) parker: Parker,
    /// Requests about fibers that live here, or may.
    pub(super) requests: Requests,
    /// Fibers that went on elsewhere after the worker had left their thread, and come back.
    #[cfg(feature = "own-tls")]
    pub(super) returned: crossbeam_deque::Injector<Stealable>,
    /// How many guards keep the worker on its thread.
    #[cfg(feature = "own-tls")]
    pub(crate) pins: AtomicUsize,
    /// When the worker was last in its hub.
    #[cfg(feature = "own-tls")]
    pub(super) passed_ns: AtomicU64,
    /// Where other threads see the worker's sleep.
    #[cfg(feature = "own-tls")]
    pub(super) sleep: super::handoff::Sleep,
}

// SAFETY: the type's documentation says what other threads may use: `Sync` fields and constants.
unsafe impl Sync for Worker {}
// SAFETY: the runtime's thread builds the worker before the worker's own thread takes it over.
unsafe impl Send for Worker {}

/// Where a debugger finds the fields of a worker: its index, the fiber that runs, the first of its fibers; and its size.
pub(crate) const WORKER_OFFSETS: [usize; 4] = [
    std::mem::offset_of!(Worker, index),
    std::mem::offset_of!(Worker, current),
    std::mem::offset_of!(Worker, live) + LiveList::FIRST,
    size_of::<Worker>(),
];

impl Worker {
    pub(super) fn new(index: usize, depot: Arc<Depot>) -> Self {
        let backlog = Backlog::new();
        let stealer = backlog.stealer();
        let worker = Self {
            index,
            shared: CachePadded::new(AtomicPtr::new(ptr::null_mut())),
            remote: CachePadded::new(Remote {
                inbox: Inbox::new(),
                stealer,
                epoch: AtomicU32::new(0),
                resumed: AtomicU64::new(0),
                placed: CachePadded::default(),
                thread_id: AtomicI32::new(0),
                counters: CachePadded::default(),
                parker: Parker::default(),
                requests: Requests::default(),
                #[cfg(feature = "own-tls")]
                returned: crossbeam_deque::Injector::new(),
                #[cfg(feature = "own-tls")]
                pins: AtomicUsize::new(0),
                #[cfg(feature = "own-tls")]
                passed_ns: AtomicU64::new(0),
                #[cfg(feature = "own-tls")]
                sleep: super::handoff::Sleep::default(),
            }),
            current: AtomicPtr::new(ptr::null_mut()),
            hub: Cell::new(Context::dangling()),
            poller: AtomicPtr::new(ptr::null_mut()),
            #[cfg(feature = "own-tls")]
            carrier: AtomicPtr::new(ptr::null_mut()),
            #[cfg(feature = "own-tls")]
            tenure: Cell::new(0),
            picks_left: AtomicU32::new(Tick::default().picks()),
            ready: ReadyList::new(),
            backlog,
            cells: Magazines::new(depot),
            stacks: UnsafeCell::new(Vec::new()),
            retired: Cell::new(None),
            wheel: Wheel::new(0),
            live: LiveList::new(),
            hub_state: super::hub::HubState::default(),
            tick: Tick::default(),
            coarse_now: Cell::default(),
            pace: Pace::default(),
            scavenger: super::scavenger::Scavenger::default(),
            unwinding: unwinding::Unwinding::default(),
            recorder: OnceCell::new(),
            log: TurnLog::new(),
            in_hook: Cell::new(ptr::null()),
            refusals: super::refusals::Refusals::default(),
        };
        worker.remote.counters.begin_tick(worker.tick.picks(), 0);
        worker
    }

    pub(super) fn set_thread_id(&self, id: i32) {
        self.remote.thread_id.store(id, Ordering::Relaxed);
    }

    /// The operating system's id of the worker's thread; 0 before the thread runs.
    pub(super) fn thread_id(&self) -> i32 {
        // Relaxed: a number.
        self.remote.thread_id.load(Ordering::Relaxed)
    }

    /// The time, some milliseconds ago at the most: when the hub last looked at a clock.
    #[inline(always)]
    pub(crate) fn coarse_now(&self) -> CoarseTime {
        self.coarse_now.get()
    }

    /// Reads the clock for [`coarse_now`](Self::coarse_now), and returns what it says.
    #[inline(always)]
    pub(super) fn set_coarse_now(&self) -> u64 {
        let ticks = clock::ticks();
        self.coarse_now.set(CoarseTime::at(ticks));
        ticks
    }

    /// The memory for cells. For the worker's own thread, which must not switch meanwhile.
    pub(crate) fn cells(&self) -> &Magazines {
        &self.cells
    }

    pub(crate) fn shared(&self) -> &Shared {
        // SAFETY: the pointer is set before any thread can see the worker, and the runtime's shared state owns the workers.
        unsafe { &*self.shared.load(Ordering::Relaxed) }
    }

    /// Notes the runtime's shared state, before any thread can see the worker.
    pub(super) fn set_shared(&self, shared: &Shared) {
        self.shared.store(ptr::from_ref(shared).cast_mut(), Ordering::Relaxed);
        let poller: &Poller = shared.poller_for(self.index);
        self.poller.store(ptr::from_ref(poller).cast_mut(), Ordering::Relaxed);
    }

    /// Whether fibers of this worker register descriptors with `poller`.
    #[inline(always)]
    pub(crate) fn polls_with(&self, poller: &Poller) -> bool {
        // Relaxed: written before any thread could see the worker.
        ptr::eq(self.poller.load(Ordering::Relaxed), poller)
    }

    #[inline(always)]
    pub(crate) fn current(&self) -> Option<NonNull<Header>> {
        // Relaxed: only this thread writes it.
        NonNull::new(self.current.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn set_current(&self, fiber: Option<NonNull<Header>>) {
        // Relaxed: other threads only compare it with what they saw before.
        self.current.store(fiber.map_or(ptr::null_mut(), NonNull::as_ptr), Ordering::Relaxed);
    }

    /// Queues a fiber that can go on, or an unstarted one bound to this worker. On the worker's own thread.
    #[inline(always)]
    pub(crate) fn queue(&self, fiber: NonNull<Header>) {
        // SAFETY: the caller got the fiber by its claim, so the cell is alive and in no other list.
        let header = unsafe { fiber.as_ref() };
        if self.notes_wakeup_of_absent(header) {
            return;
        }
        if header.has(Flags::MORE_THAN_QUEUED) {
            return self.queue_and_note(fiber);
        }
        // SAFETY: as above.
        unsafe { self.ready.push_back(fiber) };
    }

    /// The next fiber to run, from the sources that cost nothing to look at. If it returns `None`, the caller must enter the hub.
    #[inline(always)]
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

    /// Prefetches the memory of the fibers that will be picked next, so that it arrives while this one runs: the stack of
    /// the first, whose header was prefetched at the pick before, and the header of the second. Among ten thousand
    /// fibers that only yield, this reduces the time of a switch to two thirds.
    #[inline(always)]
    fn prefetch_ready(&self) {
        let [first, second] = self.ready.first_two();
        if let Some(first) = first {
            // SAFETY: a fiber in the list is alive, and its context is this thread's.
            let first = unsafe { first.as_ref() };
            first.context.get().prefetch();
            prefetch_storage(first);
        }
        if let Some(second) = second {
            Header::prefetch(second);
        }
    }

    #[inline]
    pub(super) fn pick_beyond_ready(&self) -> Option<NonNull<Header>> {
        if self.drain_inbox() {
            return self.ready.pop_front().or_else(|| self.pick_unstarted());
        }
        self.pick_unstarted()
    }

    #[inline]
    pub(super) fn pick_unstarted(&self) -> Option<NonNull<Header>> {
        let fiber = self.backlog.pop()?.0;
        if let Some(next) = self.backlog.newest() {
            // Another worker may have made it.
            Header::prefetch(next.0);
        }
        Some(fiber)
    }

    /// The current time slice of `me`.
    pub(super) fn slice_of(&self, me: NonNull<Header>) -> (usize, u32) {
        (me.addr().get(), self.picks_left.load(Ordering::Relaxed))
    }

    /// Whether another fiber could run in the place of the current one.
    pub(super) fn has_others(&self) -> bool {
        !self.ready.is_empty() || self.remote.inbox.has_items() || !self.backlog.is_empty()
    }

    pub(super) fn tick_is_up(&self) -> bool {
        self.picks_left.load(Ordering::Relaxed) == 0
    }

    /// Starts a new tick: the hub has looked at everything.
    pub(super) fn renew_tick(&self) {
        let picks = self.tick.picks();
        self.remote.counters.begin_tick(picks, self.picks_left.load(Ordering::Relaxed));
        self.picks_left.store(picks, Ordering::Relaxed);
    }
}
