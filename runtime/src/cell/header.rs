//! The header: the part of a fiber's cell that does not depend on the type of its closure.
//!
//! Who may touch what:
//!
//! * From allocation until the task is queued: only the spawner.
//! * While it is a task in a queue: whoever takes it out, that is, one worker.
//! * Once started: only its home worker's thread, except the fields that say otherwise. A roaming fiber's home
//!   is the worker that last resumed it; it changes hands through the deque, which orders the accesses.
//! * [`Header::join`] and [`Header::identity`] are atomics that the join handle's owner shares.
//!
//! The cell is freed by the second of the two who know it: the worker that ends the fiber and the owner of the
//! join handle. See `join.rs`.
//!
//! `park/model_cancel.rs` checks what cancellation has to do with it, with loom.

#![expect(unsafe_code, reason = "cells are shared between threads by pointer, under the rules above")]

use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};

use abaca_asm::Context;
use abaca_asm::stack::{Release, Stack};

use super::flags::Flags;
use super::local::Locals;
use super::wait::{Due, Wait};
use super::{Chain, Fiber, Identity, JoinWord, Reason, Waiter};
use crate::atomic::{Alive, AtomicPtr, AtomicU8, Ordering};
use crate::queue::{Link, Next};

/// What is done to a fiber whose closure's type is no longer known.
pub(super) struct VTable {
    /// Runs the closure and stores its result, which may be a panic's payload. Call once, on the fiber's stack.
    pub(super) run: unsafe fn(NonNull<Header>),
    /// Drops the closure of a task that will never start and stores `payload` as its result.
    pub(super) refuse: unsafe fn(NonNull<Header>, Box<dyn std::any::Any + Send>),
    /// Moves the result to the given place, which has its type.
    pub(super) take: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the closure or result that is left in the cell. May run the user's destructors, which may park.
    pub(super) clear: unsafe fn(NonNull<Header>),
    pub(super) is_clear: unsafe fn(NonNull<Header>) -> bool,
    /// Frees a cell that was cleared or whose result was taken.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// The bit of `home` that says that it is not a worker.
const TASK: usize = 1;

const NOT_CANCELLED: u8 = 0;
/// Its next blocking call unwinds.
const REQUESTED: u8 = 1;
/// It unwinds, or has unwound, because of a cancellation: it is never cancelled twice.
const UNWINDING: u8 = 2;

/// See the module's documentation.
#[repr(C)]
pub(crate) struct Header {
    /// The intrusive link of the one list the fiber is in: ready list or inbox.
    next: Next<Header>,
    /// The links of the list of started fibers: its home's, or the runtime's if it roams.
    pub(super) live_previous: Cell<Option<NonNull<Header>>>,
    pub(super) live_next: Cell<Option<NonNull<Header>>>,
    /// Where to continue it; meaningful while it is started and not running.
    pub(crate) context: Cell<Context>,
    /// The worker that runs it, as the scheduler's own type. Written by that worker before the fiber first runs
    /// there, read by wakers, who learn of the fiber from something it did later. For a task, its runtime's shared
    /// state, marked with `TASK`.
    pub(crate) home: AtomicPtr<()>,
    /// Its stack while it is started.
    stack: Cell<Option<Stack>>,
    /// The join protocol's word.
    pub(crate) join: JoinWord,
    /// Its name, id and park token, made when somebody first asks; an `Arc` in raw form.
    identity: AtomicPtr<Identity>,
    /// The values of `fiber_local!` keys, made at the first use.
    pub(crate) locals: Locals,
    /// The blocking call it is in, for cancellation; null when it is in none that may be cancelled, or has been made
    /// ready.
    waiting: AtomicPtr<Waiter>,
    /// The frames to which a cancellation may unwind.
    pub(crate) boundaries: Chain,
    pub(super) vtable: &'static VTable,
    /// Bytes of stack it asked for; 0 is the runtime's default.
    pub(crate) stack_bytes: Cell<u32>,
    flags: Cell<Flags>,
    is_roaming: bool,
    /// How far its cancellation has come: one of the three constants.
    cancellation: AtomicU8,
    wait: Cell<Wait>,
    alive: Alive,
}

// SAFETY: the module's documentation says which thread may touch which field when.
unsafe impl Sync for Header {}

// SAFETY: `next` is used for nothing but the one list that the fiber is in.
unsafe impl Link for Header {
    #[inline(always)]
    fn next(&self) -> &Next<Self> {
        &self.next
    }
}

impl Header {
    /// Where the address of its identity lies; see `glimpse.rs`.
    pub(super) const IDENTITY: usize = std::mem::offset_of!(Self, identity);

    pub(super) fn new(
        vtable: &'static VTable,
        flags: Flags,
        stack_bytes: u32,
        identity: Option<Fiber>,
        runtime: *const (),
    ) -> Self {
        debug_assert!(!runtime.is_null() && runtime.addr() & TASK == 0, "a task belongs to a runtime");
        Self {
            next: Next::new(),
            live_previous: Cell::new(None),
            live_next: Cell::new(None),
            context: Cell::new(Context::dangling()),
            home: AtomicPtr::new(runtime.map_addr(|address| address | TASK).cast_mut()),
            stack: Cell::new(None),
            join: JoinWord::new(),
            identity: AtomicPtr::new(identity.map_or(ptr::null_mut(), Fiber::into_raw)),
            locals: Locals::new(),
            waiting: AtomicPtr::new(ptr::null_mut()),
            boundaries: Chain::new(),
            cancellation: AtomicU8::new(NOT_CANCELLED),
            vtable,
            stack_bytes: Cell::new(stack_bytes),
            flags: Cell::new(flags),
            is_roaming: flags.has(Flags::ROAMING),
            wait: Cell::new(Wait::begun(Reason::None)),
            alive: Alive::new(),
        }
    }

    /// Asks for the memory of a header that will be looked at soon; it need not be alive.
    #[inline(always)]
    pub(crate) fn prefetch(header: NonNull<Self>) {
        let header = header.as_ptr().cast_const();
        abaca_asm::prefetch(header);
        // It is longer than a line, and what a pick asks for is at both ends.
        abaca_asm::prefetch(header.wrapping_add(1).cast::<u8>().wrapping_sub(1));
    }

    #[inline(always)]
    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags.get().has(flag)
    }

    /// Whether it may resume on another worker. Set before the fiber is known to anybody, so anybody may ask.
    pub(crate) fn has_roaming(&self) -> bool {
        self.is_roaming
    }

    pub(crate) fn set_flag(&self, flag: Flags) {
        self.flags.set(self.flags.get().with(flag));
    }

    pub(crate) fn unset_flag(&self, flag: Flags) {
        self.flags.set(self.flags.get().without(flag));
    }

    /// Whether it has started, that is, whether it has a home and a stack.
    #[inline(always)]
    pub(crate) fn is_started(&self) -> bool {
        // Relaxed: asked by the worker that took it out of a queue, which orders the accesses.
        self.home.load(Ordering::Relaxed).addr() & TASK == 0
    }

    /// Its home if it has started, else its runtime's shared state.
    pub(crate) fn whereabouts(&self) -> Result<*const (), *const ()> {
        let home = self.home.load(Ordering::Relaxed).cast_const();
        if home.addr() & TASK == 0 { Ok(home) } else { Err(home.map_addr(|address| address & !TASK)) }
    }

    /// Gives the starting task its stack, whose owner it becomes.
    #[inline]
    pub(crate) fn put_stack(&self, stack: Stack) {
        // Relaxed: read by this thread's signal handler, and by a scan that runs on the home worker.
        stack.owner().store(ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
        self.stack.set(Some(stack));
    }

    /// Takes the stack of a fiber that has ended, or that hands it to the task it continues with.
    #[inline]
    pub(crate) fn take_stack(&self) -> Option<Stack> {
        self.stack.take()
    }

    /// The addresses of its guard and of the stack above it: `(guard, top)`. Safe in a signal handler that
    /// interrupted this very fiber.
    pub(crate) fn stack_range(&self) -> Option<(std::ops::Range<usize>, usize)> {
        // SAFETY: nobody changes the cell while the fiber runs, and its own thread is asking.
        let stack = unsafe { (*self.stack.as_ptr()).as_ref() }?;
        Some((stack.guard(), stack.top() as usize))
    }

    /// A round of tidying: adds what lies below the frames of one that waits since the last. True if the next may find more.
    ///
    /// # Safety
    /// The fiber is suspended, and is not continued before `release` is flushed or dropped.
    pub(crate) unsafe fn rest(&self, release: &mut Release) -> bool {
        let (wait, due) = self.wait.get().after_a_round();
        self.wait.set(wait);
        if due == Due::Now
            // SAFETY: nobody changes the cell while the fiber is suspended.
            && let Some(stack) = unsafe { (*self.stack.as_ptr()).as_ref() }
        {
            // SAFETY: the caller's promise; the switch that suspended the fiber has saved the context.
            unsafe { release.add_unused(stack, self.context.get()) };
        }
        due == Due::NextRound
    }

    /// The call in which it blocks, for as long as `wait` says so.
    #[inline(always)]
    pub(crate) fn set_waiting(&self, waiter: *const Waiter, reason: Reason) {
        // Release: pairs with the Acquire in `waiting`, for a canceller of a roaming fiber.
        self.waiting.store(waiter.cast_mut(), Ordering::Release);
        self.wait.set(Wait::begun(reason));
    }

    #[inline(always)]
    pub(crate) fn waiting(&self) -> *const Waiter {
        self.waiting.load(Ordering::Acquire)
    }

    /// Makes its next blocking call unwind, unless it is being cancelled already.
    pub(crate) fn request_cancellation(&self) {
        self.alive.touch();
        // Relaxed: a flag; the fiber sees it at its next blocking call at the latest.
        let _ = self.cancellation.compare_exchange(
            NOT_CANCELLED,
            REQUESTED,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Whether its next blocking call is to unwind.
    #[inline(always)]
    pub(crate) fn must_unwind(&self) -> bool {
        self.cancellation.load(Ordering::Relaxed) == REQUESTED
    }

    /// The unwinding begins: from now on its blocking calls wait to their end again, for its destructors.
    pub(crate) fn begin_unwinding(&self) {
        self.cancellation.store(UNWINDING, Ordering::Relaxed);
    }

    /// Whether it unwinds, or has unwound, because it was cancelled; or was cancelled before it ran.
    pub(crate) fn has_obeyed(&self) -> bool {
        self.cancellation.load(Ordering::Relaxed) == UNWINDING
    }

    /// Runs the task's closure to its end and stores the result.
    ///
    /// # Safety
    ///
    /// Once per cell, by the worker that started it, on the stack it was given.
    #[inline]
    pub(crate) unsafe fn run(this: NonNull<Self>) {
        // SAFETY: the cell lives until both its owners are done with it, and the caller is one of them.
        let vtable = unsafe { this.as_ref() }.vtable;
        // SAFETY: passed on to the caller.
        unsafe { (vtable.run)(this) }
    }

    /// Ends a task that will never start: drops its closure and stores `payload` as its result.
    ///
    /// # Safety
    ///
    /// Once per cell, instead of `run`.
    pub(crate) unsafe fn refuse(this: NonNull<Self>, payload: Box<dyn std::any::Any + Send>) {
        // SAFETY: as in `run`.
        let vtable = unsafe { this.as_ref() }.vtable;
        // SAFETY: passed on to the caller.
        unsafe { (vtable.refuse)(this, payload) }
    }

    /// Drops what is left in the cell. Runs destructors of the user's types, which may panic and may park: the
    /// header stays in place meanwhile.
    ///
    /// # Safety
    ///
    /// By whom the join protocol names as the cell's owner.
    pub(crate) unsafe fn clear(this: NonNull<Self>) {
        // SAFETY: as in `run`.
        let vtable = unsafe { this.as_ref() }.vtable;
        // SAFETY: passed on to the caller.
        unsafe { (vtable.clear)(this) }
    }

    /// Whether there is nothing left to clear.
    ///
    /// # Safety
    ///
    /// As for `clear`.
    pub(crate) unsafe fn is_clear(this: NonNull<Self>) -> bool {
        // SAFETY: as in `run`.
        let vtable = unsafe { this.as_ref() }.vtable;
        // SAFETY: passed on to the caller.
        unsafe { (vtable.is_clear)(this) }
    }

    /// Frees a cleared cell.
    ///
    /// # Safety
    ///
    /// As for `clear`; nobody uses the cell afterwards.
    pub(crate) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: as in `run`.
        let vtable = unsafe { this.as_ref() }.vtable;
        // SAFETY: passed on to the caller.
        unsafe { (vtable.free)(this) }
    }

    /// The fiber's handle, made at the first call.
    pub(crate) fn identity(&self) -> Fiber {
        // Acquire: pairs with the Release below, made by whoever was first.
        let known = self.identity.load(Ordering::Acquire);
        if !known.is_null() {
            // SAFETY: a non-null identity is a raw handle that this header owns until it is dropped.
            return unsafe { Fiber::clone_raw(known) };
        }
        let made = Fiber::new(None).into_raw();
        // AcqRel: publishes the new identity; on failure sees the one that was published first.
        match self.identity.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: `made` is now the header's; the clone is the caller's.
            Ok(_) => unsafe { Fiber::clone_raw(made) },
            Err(other) => {
                // SAFETY: `made` was not published, so it is still ours to drop.
                drop(unsafe { Fiber::from_raw(made) });
                // SAFETY: as above, `other` is the header's.
                unsafe { Fiber::clone_raw(other) }
            }
        }
    }

    /// The handle of a fiber that cannot end before this returns, by which it can be reached until it does.
    ///
    /// # Safety
    ///
    /// The fiber is alive, and what keeps it from ending orders this before its end.
    pub(crate) unsafe fn known(this: NonNull<Self>) -> Fiber {
        // SAFETY: the caller's promise.
        let identity = unsafe { this.as_ref() }.identity();
        identity.identity().aim(this);
        identity
    }

    /// Nobody can cancel the fiber through its identity any more: it is about to end.
    #[inline]
    pub(crate) fn withdraw(&self) {
        if let Some(identity) = self.peek_identity() {
            identity.withdraw();
        }
    }

    /// The fiber's name without making an identity; safe in a signal handler.
    pub(crate) fn peek_identity(&self) -> Option<&Identity> {
        // SAFETY: a non-null identity lives as long as the header, whose borrow bounds the result.
        unsafe { self.identity.load(Ordering::Acquire).as_ref() }
    }
}

impl Drop for Header {
    fn drop(&mut self) {
        // Relaxed: nobody else has the header any more.
        let identity = self.identity.load(Ordering::Relaxed);
        if !identity.is_null() {
            // SAFETY: the header owned one count of it.
            drop(unsafe { Fiber::from_raw(identity) });
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("started", &self.is_started())
            .field("reason", &self.wait.get().reason())
            .finish_non_exhaustive()
    }
}
