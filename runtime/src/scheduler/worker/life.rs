//! The start and the end of a fiber: its stack, its first frame, and what comes after its last.

#![expect(unsafe_code, reason = "prepares stacks, and settles who frees a cell")]

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use abaca_asm::stack::Stack;
use abaca_asm::{Context, Exit, prepare};

use super::refused::{REFUSED, refuse_and_end};
use super::{Request, Worker, current_worker};
use crate::cell::{Boundary, Cancelled, Ended, Flags, Header, contained};
use crate::scheduler::hooks::call_around;
use crate::scheduler::shared::Phase;

/// What comes after the end of a fiber.
pub(super) enum Next {
    /// This task, on the same stack.
    Run(NonNull<Header>),
    /// The fiber goes on once more, for the destructor of its result; then `Worker::finish_cleared`.
    Clear,
    /// The final switch away.
    Exit(Exit),
}

impl Next {
    fn exit(to: Context, request: Request) -> Self {
        Self::Exit(Exit { to, word: request.encode() })
    }
}

/// Aborts when it is dropped by an unwinding: nothing may unwind out of a fiber's entry.
struct AbortGuard;

impl Drop for AbortGuard {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// The first Rust frame of every fiber's stack: runs the fiber, and then task after task.
unsafe extern "C" fn fiber_main(word: usize, argument: *mut ()) -> Exit {
    let guard = AbortGuard;
    let fiber = NonNull::new(argument.cast::<Header>()).expect("`start` passes the fiber's header");
    let mut next = if word == REFUSED { refuse_and_end(fiber) } else { Next::Run(fiber) };
    loop {
        match next {
            Next::Run(fiber) => next = live_and_end(fiber),
            Next::Exit(exit) => {
                std::mem::forget(guard);
                return exit;
            }
            Next::Clear => unreachable!("a result is cleared once"),
        }
    }
}

/// All of a fiber that has just started.
#[inline]
fn live_and_end(fiber: NonNull<Header>) -> Next {
    live_in_hook(fiber, || live(fiber));
    let next = this_worker().finish(fiber);
    if !matches!(next, Next::Clear) {
        return next;
    }
    clear(fiber);
    // Asked again: a roaming fiber may have come to another worker.
    this_worker().finish_cleared(fiber)
}

/// Calls `live` with the runtime's hook around it.
#[inline]
pub(super) fn live_in_hook(fiber: NonNull<Header>, live: impl FnOnce()) {
    // SAFETY: the cell is alive until `finish`.
    if unsafe { fiber.as_ref() }.has(Flags::HOOKED) {
        call_around(this_worker().shared().hooks.fiber.as_ref(), live);
    } else {
        live();
    }
}

/// What [`Next::Clear`] asks for.
#[inline]
pub(super) fn clear(fiber: NonNull<Header>) {
    clear_quietly(fiber);
    // SAFETY: the cell is the worker's until `finish_cleared`.
    let header = unsafe { fiber.as_ref() };
    if header.locals.any() {
        // What that destructor has made.
        destroy_locals(header);
    }
}

/// The life of the calling fiber, which has just started, to the last of its user's code.
#[inline]
fn live(fiber: NonNull<Header>) {
    run_or_refuse(fiber);
    wind_up(fiber);
}

/// The last of the user's code in a fiber whose closure is gone.
#[inline]
pub(super) fn wind_up(fiber: NonNull<Header>) {
    // SAFETY: the cell is alive until `finish`.
    let header = unsafe { fiber.as_ref() };
    if header.join.is_detached() {
        // Before the fiber-local values, which its destructor may use: the order of std.
        clear_quietly(fiber);
    }
    if header.locals.any() {
        destroy_locals(header);
    }
}

/// Runs the closure of the calling fiber, which has just started, unless it was cancelled before.
#[inline]
fn run_or_refuse(fiber: NonNull<Header>) {
    // SAFETY: the caller is this fiber.
    if unsafe { fiber.as_ref() }.must_unwind() {
        refuse(fiber);
    } else {
        // SAFETY: this worker started the fiber just now, and nobody else runs it.
        unsafe { Header::run(fiber) };
    }
}

/// Instead of the closure of a fiber that was cancelled before it ran: drops it. Here and not in the hub, since its
/// destructors may block, as any other's.
#[cold]
pub(super) fn refuse(fiber: NonNull<Header>) {
    // SAFETY: as below.
    unsafe { fiber.as_ref() }.begin_unwinding();
    // SAFETY: this worker started the fiber just now, and it has not run.
    unsafe { Header::refuse(fiber, Box::new(Cancelled::new())) };
}

/// Drops the local values of the calling fiber, whose destructors are not cancelled: an unwinding would find nobody to tell.
#[cold]
fn destroy_locals(header: &Header) {
    let mut shield = Boundary::shield();
    let _inside = header.boundaries.push(&mut shield);
    header.locals.destroy();
}

pub(super) fn this_worker() -> &'static Worker {
    current_worker().expect("a fiber runs on a worker")
}

/// Drops a result that nobody will take. Its destructor may panic, which the panic hook has reported then.
fn clear_quietly(fiber: NonNull<Header>) {
    // SAFETY: the join word made the cell the worker's, which is the caller.
    contained(|| unsafe { Header::clear(fiber) });
}

/// The end of a fiber for those who know it: its handles reach it no more, and whoever joins it is woken. True if the cell
/// is the caller's; else it is gone.
#[inline]
pub(in crate::scheduler) fn let_go(fiber: NonNull<Header>) -> bool {
    // SAFETY: the cell is alive until the join word's protocol lets it go, which is below.
    let header = unsafe { fiber.as_ref() };
    header.withdraw();
    match header.join.end(|| header.withdraw()) {
        Ended::Owner(woken) => {
            if let Some(woken) = woken {
                crate::scheduler::wake(woken);
            }
            false
        }
        Ended::Worker => true,
    }
}

impl Worker {
    /// A roaming fiber changes its home when it is resumed on another worker.
    pub(super) fn adopt(&self, header: &Header) {
        // Relaxed: wakers learn of the fiber from something it does after this.
        header.home.store(ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
    }

    /// A stack for a task, from the worker's own ones if it wants the default size.
    pub(super) fn obtain_stack(&self, header: &Header) -> std::io::Result<Stack> {
        if header.stack_bytes.get() != 0 {
            return self.shared().stacks.take_sized(header.stack_bytes.get());
        }
        self.default_stack()
    }

    /// A stack of the default size that the worker has, if it has one.
    pub(in crate::scheduler) fn cached_stack(&self) -> Option<Stack> {
        // SAFETY: this thread is the only user, and no borrow outlives a statement.
        unsafe { &mut *self.stacks.get() }.pop()
    }

    /// A stack of the default size.
    #[inline]
    pub(in crate::scheduler) fn default_stack(&self) -> std::io::Result<Stack> {
        // SAFETY: this thread is the only user, and no borrow outlives a statement.
        let stacks = unsafe { &mut *self.stacks.get() };
        if stacks.is_empty() {
            self.shared().stacks.refill(stacks)?;
        }
        Ok(stacks.pop().expect("a refill gives at least one stack or an error"))
    }

    /// Turns a task into a started fiber on `stack`; returns the context of its first switch.
    #[inline]
    pub(super) fn start(&self, task: NonNull<Header>, stack: Stack) -> Context {
        let top = stack.top();
        self.settle(task, stack);
        // SAFETY: `top` is the top of a stack that nobody else uses, and the cell outlives the fiber.
        unsafe { prepare(top, fiber_main, task.as_ptr().cast()) }
    }

    /// Gives a task its stack and its home.
    #[inline]
    fn settle(&self, task: NonNull<Header>, stack: Stack) {
        // SAFETY: the task came out of a queue, which made it ours.
        unsafe { task.as_ref() }.put_stack(stack);
        self.move_in(task);
    }

    /// Gives a task its home and enters it in the list of started fibers.
    #[inline]
    fn move_in(&self, task: NonNull<Header>) {
        // SAFETY: as in `settle`.
        let header = unsafe { task.as_ref() };
        self.adopt(header);
        if !self.shared().is_plain() {
            self.tell(header);
        }
        if header.has(Flags::ROAMING) {
            self.shared().roaming.insert(task);
        } else {
            // SAFETY: alive, in no list yet, removed in `finish` before it is freed.
            unsafe { self.live.insert(task) };
            // Relaxed: a hint for placement, written by this thread alone.
            self.remote.fibers.store(self.live.len(), Ordering::Relaxed);
        }
    }

    /// Tells a starting fiber what is special about its runtime.
    #[cold]
    fn tell(&self, fiber: &Header) {
        if self.shared().phase() == Phase::Closing {
            // It came too late to be cancelled with the others, and will not run its closure.
            fiber.request_cancellation();
        }
        if self.shared().hooks.are_there() {
            fiber.set_flag(Flags::HOOKED);
        }
    }

    /// The end of a fiber, on its own stack: takes everything back, settles the join, and picks what comes next.
    #[inline]
    pub(super) fn finish(&self, fiber: NonNull<Header>) -> Next {
        // SAFETY: the cell is alive until the join word's protocol lets it go, which is below.
        let bytes = unsafe { fiber.as_ref() }.stack_bytes.get();
        let stack = self.unsettle(fiber);
        self.shared().dismiss();
        if let_go(fiber) {
            // SAFETY: the cell is ours now.
            if !unsafe { Header::is_clear(fiber) } {
                // The handle was dropped at the last moment, so the result's destructor is ours to run,
                // as this fiber: it may park.
                self.settle(fiber, stack);
                self.set_current(Some(fiber));
                return Next::Clear;
            }
            // SAFETY: as above; it is clear.
            unsafe { Header::free(fiber) };
        }
        self.follow(stack, bytes)
    }

    /// The end of a fiber that went on after `finish` to clear its cell.
    #[cold]
    pub(super) fn finish_cleared(&self, fiber: NonNull<Header>) -> Next {
        // SAFETY: the cell is the worker's since `finish`, and is freed below.
        let bytes = unsafe { fiber.as_ref() }.stack_bytes.get();
        let stack = self.unsettle(fiber);
        // SAFETY: as above. The destructor that has just run may have made a handle.
        unsafe { fiber.as_ref() }.withdraw();
        // SAFETY: as above; it is clear.
        unsafe { Header::free(fiber) };
        self.follow(stack, bytes)
    }

    /// Undoes `settle` and makes nobody current.
    #[inline]
    fn unsettle(&self, fiber: NonNull<Header>) -> Stack {
        // SAFETY: called while the cell is alive, by the worker that runs the fiber.
        let header = unsafe { fiber.as_ref() };
        let stack = header.take_stack().expect("a running fiber has a stack");
        self.move_out(fiber);
        stack
    }

    /// Undoes `move_in` and makes nobody current.
    #[inline]
    fn move_out(&self, fiber: NonNull<Header>) {
        // SAFETY: as in `unsettle`.
        let header = unsafe { fiber.as_ref() };
        if !header.boundaries.is_empty() {
            header.boundaries.abandon();
        }
        if header.has(Flags::ROAMING) {
            self.shared().roaming.remove(fiber);
        } else {
            // SAFETY: inserted by `settle` on this worker: only roaming fibers change their home.
            unsafe { self.live.remove(fiber) };
            self.remote.fibers.store(self.live.len(), Ordering::Relaxed);
        }
        if header.has(Flags::PLACED) {
            header.unset_flag(Flags::PLACED);
            // Relaxed: a load figure.
            self.remote.placed.fetch_sub(1, Ordering::Relaxed);
        }
        self.set_current(None);
    }

    /// The whole life of a task, as models have it: on the stack of their thread, which is this worker's meanwhile, and where
    /// `suspend` enters the hub.
    #[cfg(all(test, loom))]
    pub(crate) fn live_through(&self, task: NonNull<Header>) {
        self.enter_thread();
        self.move_in(task);
        self.set_current(Some(task));
        run_or_refuse(task);
        self.move_out(task);
        if let_go(task) {
            clear_quietly(task);
            // SAFETY: the cell is ours, and clear.
            unsafe { Header::free(task) };
        }
        self.drain_inbox();
        assert!(self.ready.is_empty(), "a wake-up is delivered once, and only to one who waits");
        self.leave_thread();
    }

    /// What to do on `stack`, whose fiber has ended, next: a task continues on it, else it is left behind.
    #[inline]
    fn follow(&self, stack: Stack, bytes: u32) -> Next {
        let Some(next) = self.pick() else {
            self.leave_behind(stack, bytes);
            return Next::exit(self.hub.get(), Request::Nothing);
        };
        // SAFETY: `next` came out of a queue, which made it ours.
        let header = unsafe { next.as_ref() };
        if header.is_started() {
            self.leave_behind(stack, bytes);
            // The hub is the one that gives a stack of another size back.
            if bytes != 0 || header.has(Flags::ROAMING) {
                return Next::exit(self.hub.get(), Request::Start(next));
            }
            self.set_current(Some(next));
            return Next::exit(header.context.get(), Request::Nothing);
        }
        if bytes == 0 && header.stack_bytes.get() == 0 {
            self.settle(next, stack);
            self.set_current(Some(next));
            return Next::Run(next);
        }
        self.leave_behind(stack, bytes);
        Next::exit(self.hub.get(), Request::Start(next))
    }

    /// Puts away a stack that this very code still runs on. Nothing else runs on this thread before the switch
    /// that follows, and only this thread takes from where it is put.
    #[inline]
    fn leave_behind(&self, stack: Stack, bytes: u32) {
        if bytes == 0 {
            // SAFETY: this thread is the only user, and no borrow outlives a statement.
            unsafe { &mut *self.stacks.get() }.push(stack);
        } else {
            self.retired.set(Some((bytes, stack)));
        }
    }
}
