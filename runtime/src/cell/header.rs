//! The header: the part of a fiber's cell that does not depend on the type of its closure.
//!
//! Which thread may touch a header:
//!
//! * From allocation until the fiber is queued: only the spawner.
//! * While the fiber is unstarted and in a queue: only the worker that takes it out.
//! * Once started: only its home worker's thread, except the fields that say otherwise. A roaming fiber's home
//!   is the worker that last resumed it; the fiber moves through the deque, which orders the accesses.
//! * [`Header::join`] and [`Header::identity`] are atomics that the join handle's owner shares.
//!
//! The cell has two owners, the worker that ends the fiber and the owner of the join handle. The second of them to finish
//! frees it; see `join.rs`.
//!
//! `park/model_cancel.rs` checks the part of cancellation in this, with loom.

#![expect(unsafe_code, reason = "cells are shared between threads by pointer, under the rules above")]

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::ptr::{self, NonNull};

use abaca_asm::Context;
use abaca_asm::stack::Stack;

use super::flags::{FlagCell, Flags, Kind};
use super::local::Locals;
use super::magazine::{self, Magazines, Size};
use super::own::Own;
use super::wait::{CoarseTime, Wait};
use super::{Chain, Fiber, Identity, JoinWord, Reason, Waiter};
use crate::atomic::{Alive, AtomicPtr, AtomicU8, Ordering};
use crate::queue::{Link, Linked, Links, Next};

/// The operations on a cell that depend on the type of its closure.
pub(super) struct VTable {
    /// Runs the closure and stores its result, which may be a panic's payload. Must be called once, on the fiber's stack.
    pub(super) run: unsafe fn(NonNull<Header>),
    /// Drops the closure of a fiber that will never start and stores `payload` as its result.
    pub(super) abort_unstarted: unsafe fn(NonNull<Header>, Box<dyn std::any::Any + Send>),
    /// Moves the result to the given address, which is for a value of the result's type.
    pub(super) take: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the closure or result that is left in the cell. May run the user's destructors, which may park.
    pub(super) clear: unsafe fn(NonNull<Header>),
    pub(super) is_clear: unsafe fn(NonNull<Header>) -> bool,
    /// The size of the cell's memory.
    pub(super) size: Size,
}

/// The bit of `home` that marks an unstarted fiber: the address is then not a worker's.
const UNSTARTED: usize = 1;

const NOT_CANCELLED: u8 = 0;
/// The fiber's next blocking call unwinds.
const REQUESTED: u8 = 1;
/// The fiber unwinds, or has unwound, because of a cancellation: it is never cancelled twice.
const UNWINDING: u8 = 2;

/// See the module's documentation.
#[repr(C)]
pub(crate) struct Header {
    /// The intrusive link of the one list that the fiber is in: ready list or inbox.
    next: Next<Header>,
    /// The links of the list of started fibers: the home's list, or the runtime's if the fiber roams.
    pub(super) live: Links<Header>,
    /// The saved context; valid while the fiber is started and not running.
    pub(crate) context: Cell<Context>,
    /// The worker that runs the fiber, as the scheduler's own type. That worker writes it before the fiber first runs
    /// there. Wakers read it, which learn of the fiber from something that it does later. For an unstarted fiber, its
    /// runtime's shared state, marked with `UNSTARTED`.
    pub(crate) home: AtomicPtr<()>,
    /// The fiber's stack while it is started.
    pub(super) stack: Cell<Option<Stack>>,
    /// The join protocol's word.
    pub(crate) join: JoinWord,
    /// The fiber's name, id and park token, made at the first use; an `Arc` in raw form.
    identity: AtomicPtr<Identity>,
    /// The values of `fiber_local!` keys, made at the first use.
    pub(crate) locals: Locals,
    /// The waiter of the current blocking call, for cancellation. Null if the fiber is in no call that may be cancelled, or has
    /// been made ready.
    pub(super) waiting: AtomicPtr<Waiter>,
    /// The frames to which a cancellation may unwind.
    pub(crate) cancel_scopes: Chain,
    pub(super) vtable: &'static VTable,
    /// The size of the fiber's stack in bytes; 0 is the runtime's default.
    pub(crate) stack_bytes: Cell<u32>,
    pub(super) flags: FlagCell,
    /// Written only before the fiber is in a queue.
    pub(super) kind: Cell<Kind>,
    /// The state of the fiber's cancellation: `NOT_CANCELLED`, `REQUESTED` or `UNWINDING`.
    cancellation: AtomicU8,
    pub(super) wait: Cell<Wait>,
    /// Where the fiber was spawned; for dumps.
    pub(super) spawn_site: &'static Location<'static>,
    pub(super) own: Own,
    alive: Alive,
}

// SAFETY: the module's documentation says which thread may touch which field when.
unsafe impl Sync for Header {}

// SAFETY: `next` is used only for the one list that the fiber is in.
unsafe impl Link for Header {
    #[inline(always)]
    fn next(&self) -> &Next<Self> {
        &self.next
    }
}

// SAFETY: `live` is used only for the one live list that the fiber is in.
unsafe impl Linked for Header {
    #[inline(always)]
    fn links(&self) -> &Links<Self> {
        &self.live
    }
}

impl Header {
    /// The offset of the identity's address; see `snapshot.rs`.
    pub(super) const IDENTITY: usize = std::mem::offset_of!(Self, identity);

    pub(super) fn new(
        vtable: &'static VTable,
        flags: Flags,
        stack_bytes: u32,
        identity: Option<Fiber>,
        runtime: *const (),
        spawn_site: &'static Location<'static>,
    ) -> Self {
        debug_assert!(!runtime.is_null() && runtime.addr() & UNSTARTED == 0, "a fiber belongs to a runtime");
        Self {
            next: Next::new(),
            live: Links::new(),
            context: Cell::new(Context::dangling()),
            home: AtomicPtr::new(runtime.map_addr(|address| address | UNSTARTED).cast_mut()),
            stack: Cell::new(None),
            join: JoinWord::new(),
            identity: AtomicPtr::new(identity.map_or(ptr::null_mut(), Fiber::into_raw)),
            locals: Locals::new(),
            waiting: AtomicPtr::new(ptr::null_mut()),
            cancel_scopes: Chain::new(),
            cancellation: AtomicU8::new(NOT_CANCELLED),
            vtable,
            stack_bytes: Cell::new(stack_bytes),
            flags: FlagCell::new(flags),
            kind: Cell::new(if flags.has(Flags::ROAMING) { Kind::Roaming } else { Kind::AtHome }),
            wait: Cell::new(Wait::begun(Reason::None, CoarseTime::default())),
            spawn_site,
            own: Own::default(),
            alive: Alive::new(),
        }
    }

    /// Prefetches a header that will be used soon. The header need not be alive.
    #[inline(always)]
    pub(crate) fn prefetch(header: NonNull<Self>) {
        let header = header.as_ptr().cast_const();
        abaca_asm::prefetch(header);
        // A header is longer than a cache line, and a pick reads both ends of it.
        abaca_asm::prefetch(header.wrapping_add(1).cast::<u8>().wrapping_sub(1));
    }

    /// Whether the fiber has started, that is, whether it has a home and a stack.
    #[inline(always)]
    pub(crate) fn is_started(&self) -> bool {
        // Relaxed: the caller is the worker that took the fiber out of a queue, which orders the accesses.
        self.home.load(Ordering::Relaxed).addr() & UNSTARTED == 0
    }

    /// `Ok` with the fiber's home if the fiber has started, else `Err` with its runtime's shared state.
    pub(crate) fn owner(&self) -> Result<*const (), *const ()> {
        let home = self.home.load(Ordering::Relaxed).cast_const();
        if home.addr() & UNSTARTED == 0 {
            Ok(home)
        } else {
            Err(home.map_addr(|address| address & !UNSTARTED))
        }
    }

    /// Gives the starting fiber its stack, and makes the fiber the stack's owner.
    #[inline]
    pub(crate) fn put_stack(&self, stack: Stack) {
        // Relaxed: a signal handler reads the owner, and only compares it with null (`scheduler/report.rs`).
        stack.owner().store(ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
        self.stack.set(Some(stack));
    }

    /// Takes the stack of a fiber that has ended.
    #[inline]
    pub(crate) fn take_stack(&self) -> Option<Stack> {
        self.stack.take()
    }

    /// The addresses of the stack's guard and of its top: `(guard, top)`. Safe in a signal handler that interrupted this very
    /// fiber.
    pub(crate) fn stack_range(&self) -> Option<(std::ops::Range<usize>, usize)> {
        // SAFETY: nothing changes the cell while the fiber runs, and the caller is on its thread.
        let stack = unsafe { (*self.stack.as_ptr()).as_ref() }?;
        Some((stack.guard(), stack.top() as usize))
    }

    /// The size of the cell, which begins with the header.
    pub(crate) fn cell_bytes(&self) -> usize {
        self.vtable.size.bytes()
    }

    /// Where the fiber was spawned.
    pub(crate) fn spawn_site(&self) -> &'static Location<'static> {
        self.spawn_site
    }

    /// Makes the fiber's next blocking call unwind, unless the fiber is being cancelled already.
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

    /// Whether the fiber's next blocking call must unwind.
    #[inline(always)]
    pub(crate) fn must_unwind(&self) -> bool {
        self.cancellation.load(Ordering::Relaxed) == REQUESTED
    }

    /// Notes that the unwinding begins: from now on blocking calls wait to their end again, for the fiber's destructors.
    pub(crate) fn begin_unwinding(&self) {
        self.cancellation.store(UNWINDING, Ordering::Relaxed);
    }

    /// Whether the fiber unwinds, or has unwound, because it was cancelled, or was cancelled before it ran.
    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancellation.load(Ordering::Relaxed) == UNWINDING
    }

    /// Runs the fiber's closure to its end and stores the result.
    ///
    /// # Safety
    ///
    /// Must be called once per cell, by the worker that started the fiber, on the fiber's stack.
    #[inline]
    pub(crate) unsafe fn run(this: NonNull<Self>) {
        // SAFETY: the cell lives until both its owners have finished with it, and the caller is one of them.
        let vtable = unsafe { this.as_ref() }.vtable;
        // SAFETY: passed on to the caller.
        unsafe { (vtable.run)(this) }
    }

    /// Ends a fiber that will never run: drops its closure and stores `payload` as its result.
    ///
    /// # Safety
    ///
    /// Must be called once per cell, instead of `run`.
    pub(crate) unsafe fn abort_unstarted(this: NonNull<Self>, payload: Box<dyn std::any::Any + Send>) {
        // SAFETY: as in `run`.
        let vtable = unsafe { this.as_ref() }.vtable;
        // SAFETY: passed on to the caller.
        unsafe { (vtable.abort_unstarted)(this, payload) }
    }

    /// Drops the closure or result that is left in the cell. Runs destructors of the user's types, which may panic and may
    /// park: the header stays in place meanwhile.
    ///
    /// # Safety
    ///
    /// The caller must be the cell's owner by the join protocol.
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

    /// Frees a cell that was cleared, or whose result was taken, into the magazines of the calling thread's worker if there is one.
    ///
    /// # Safety
    ///
    /// As for `clear`; the cell must not be used afterwards.
    #[inline]
    pub(crate) unsafe fn free(this: NonNull<Self>, magazines: Option<&Magazines>) {
        // SAFETY: as in `run`.
        let size = unsafe { this.as_ref() }.vtable.size;
        // SAFETY: the caller is the cell's last user. The payload is a union, which drops nothing, and the phase a plain value.
        unsafe { ptr::drop_in_place(this.as_ptr()) };
        // SAFETY: `allocate` obtained the memory for the size of the cell's type, which the type's table has.
        unsafe { magazine::free(this.cast(), size, magazines) };
    }

    /// The fiber's handle, made at the first call.
    pub(crate) fn identity(&self) -> Fiber {
        // Acquire: pairs with the Release below, of the thread that was first.
        let known = self.identity.load(Ordering::Acquire);
        if !known.is_null() {
            // SAFETY: a non-null identity is a raw handle that this header owns until it is dropped.
            return unsafe { Fiber::clone_raw(known) };
        }
        let made = Fiber::new(None).into_raw();
        // AcqRel: publishes the new identity; on failure sees the identity that was published first.
        match self.identity.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: the header now owns `made`; the caller gets the clone.
            Ok(_) => unsafe { Fiber::clone_raw(made) },
            Err(other) => {
                // SAFETY: `made` was not published, so it is still ours to drop.
                drop(unsafe { Fiber::from_raw(made) });
                // SAFETY: as above, the header owns `other`.
                unsafe { Fiber::clone_raw(other) }
            }
        }
    }

    /// The handle of a fiber that cannot end before this returns. The fiber can be reached by the handle until it ends.
    ///
    /// # Safety
    ///
    /// The fiber must be alive, and whatever keeps it from ending must order this call before its end.
    pub(crate) unsafe fn handle(this: NonNull<Self>) -> Fiber {
        // SAFETY: the caller's promise.
        let identity = unsafe { this.as_ref() }.identity();
        identity.identity().attach(this);
        identity
    }

    /// Detaches the fiber, which is about to end, from its identity: no handle can cancel it any more.
    #[inline]
    pub(crate) fn detach(&self) {
        if let Some(identity) = self.peek_identity() {
            identity.detach();
        }
    }

    /// The fiber's identity if it has been made. Safe in a signal handler.
    pub(crate) fn peek_identity(&self) -> Option<&Identity> {
        // SAFETY: a non-null identity lives as long as the header, whose borrow bounds the result.
        unsafe { self.identity.load(Ordering::Acquire).as_ref() }
    }
}

impl Drop for Header {
    fn drop(&mut self) {
        // Relaxed: no other thread has the header any more.
        let identity = self.identity.load(Ordering::Relaxed);
        if !identity.is_null() {
            // SAFETY: the header owns one count of the identity.
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
