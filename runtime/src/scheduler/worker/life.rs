//! The start and the end of a fiber: its stack, its first frame, and the step after its last one.

#![expect(unsafe_code, reason = "prepares stacks, and decides who frees a cell")]

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use abaca_asm::stack::Stack;
use abaca_asm::{Context, Exit, prepare};

use super::hooked::run_in_hook;
use super::next::{self, Next};
use super::refused::{REFUSED, refuse_and_end};
use super::{Request, Worker};
use crate::cell::{CancelScope, Cancelled, Ended, Flags, Header, contained};
use crate::scheduler::event::Cause;
use crate::scheduler::forked;
use crate::scheduler::here::{self, come_home, current_worker};
use crate::scheduler::phase::Marks;
use crate::scheduler::stacks;

/// Aborts the process when an unwinding drops it: nothing may unwind out of a fiber's entry function.
struct AbortGuard;

impl Drop for AbortGuard {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// The first Rust frame of every fiber's stack. Runs the fiber, and then one unstarted fiber after the other.
unsafe extern "C" fn fiber_main(word: usize, argument: *mut ()) -> Exit {
    let guard = AbortGuard;
    let fiber = NonNull::new(argument.cast::<Header>()).expect("`start` passes the fiber's header");
    let mut next = if word == REFUSED { refuse_and_end(fiber) } else { Next::Run(fiber) };
    loop {
        match next {
            Next::Run(fiber) => next = run_and_finish(fiber),
            Next::Exit(exit, thread_pointer) => {
                std::mem::forget(guard);
                return next::leave(exit, thread_pointer);
            }
            Next::Clear => unreachable!("a result is cleared once"),
        }
    }
}

/// Runs a fiber that has just started to its end.
#[inline]
fn run_and_finish(fiber: NonNull<Header>) -> Next {
    here::begin(fiber);
    run_in_hook(fiber, || run_to_end(fiber));
    here::end_storage();
    let next = home().finish(fiber);
    if matches!(next, Next::Clear) { clear_and_finish(fiber) } else { next }
}

/// The rest of [`run_and_finish`] for a fiber whose result nobody takes any more. Not inlined, for the frame that lies below all others
/// of a fiber.
#[cold]
#[inline(never)]
fn clear_and_finish(fiber: NonNull<Header>) -> Next {
    here::begin(fiber);
    clear(fiber);
    here::end_storage();
    // The worker is looked up again: a roaming fiber may have moved to another one.
    home().finish_cleared(fiber)
}

/// Drops the result of the calling fiber, as [`Next::Clear`] demands, and the local values that its destructor has made.
#[inline]
pub(super) fn clear(fiber: NonNull<Header>) {
    clear_quietly(fiber);
    // SAFETY: the cell is the worker's until `finish_cleared`.
    let header = unsafe { fiber.as_ref() };
    if header.locals.any() {
        // The values that this destructor has made.
        destroy_locals(header);
    }
}

/// Runs all user code of the calling fiber, which has just started: its closure, and the destructors of its result and locals.
#[inline]
fn run_to_end(fiber: NonNull<Header>) {
    run_or_abort(fiber);
    wind_up(fiber);
}

/// Runs the last user code of the calling fiber, after its closure: the destructors of its result and locals.
#[inline]
pub(super) fn wind_up(fiber: NonNull<Header>) {
    // SAFETY: the cell is alive until `finish`.
    let header = unsafe { fiber.as_ref() };
    if header.join.is_detached() {
        // Before the fiber-local values, which the result's destructor may use: the order of std.
        clear_quietly(fiber);
    }
    if header.locals.any() {
        destroy_locals(header);
    }
}

/// Runs the closure of the calling fiber, which has just started, unless the fiber was cancelled before.
#[inline]
fn run_or_abort(fiber: NonNull<Header>) {
    // SAFETY: the caller is this fiber.
    if unsafe { fiber.as_ref() }.must_unwind() {
        abort_unstarted(fiber);
    } else {
        // SAFETY: this worker started the fiber just now, and nobody else runs it.
        unsafe { Header::run(fiber) };
    }
}

/// Drops the closure of a fiber that was cancelled before it ran. This happens in the fiber and not in the hub, since
/// destructors may block.
#[cold]
pub(super) fn abort_unstarted(fiber: NonNull<Header>) {
    // SAFETY: as below.
    unsafe { fiber.as_ref() }.begin_unwinding();
    // SAFETY: this worker started the fiber just now, and it has not run.
    unsafe { Header::abort_unstarted(fiber, Box::new(Cancelled::new())) };
}

/// Drops the local values of the calling fiber. Their destructors are not cancelled: nothing would learn of such an unwinding.
#[cold]
fn destroy_locals(header: &Header) {
    let mut shield = CancelScope::shield();
    let _inside = header.cancel_scopes.push(&mut shield);
    header.locals.destroy();
}

/// The worker of the calling thread. The caller must run on a worker; a roaming fiber must ask again after each switch. In a copy of the
/// process that the fiber has made there is none: its code has ended, and so does the copy.
pub(super) fn this_worker() -> &'static Worker {
    current_worker().unwrap_or_else(|| forked::end())
}

/// The home of the calling fiber, whose own code has ended: from here on it is inside of the runtime.
#[inline(always)]
pub(super) fn home() -> &'static Worker {
    come_home(this_worker()).stay()
}

/// Drops a result that nobody will take. If its destructor panics, the panic hook reports that.
fn clear_quietly(fiber: NonNull<Header>) {
    // SAFETY: the join word made the cell the worker's, and the caller is the worker.
    contained(|| unsafe { Header::clear(fiber) });
}

/// Completes the fiber: detaches its handles and wakes the joiner. Returns true if the caller must free the cell; otherwise it
/// may already be freed.
#[inline]
pub(in crate::scheduler) fn complete(fiber: NonNull<Header>) -> bool {
    // SAFETY: the cell is alive until the join word's protocol lets it go, which is below.
    let header = unsafe { fiber.as_ref() };
    header.detach();
    match header.join.end(|| header.detach()) {
        Ended::Owner(wakeup) => {
            if let Some(wakeup) = wakeup {
                crate::scheduler::wake(wakeup);
            }
            false
        }
        Ended::Worker => true,
    }
}

impl Worker {
    /// Makes this worker the fiber's home. The home of a roaming fiber changes when another worker resumes it.
    pub(super) fn set_home(&self, header: &Header) {
        // Relaxed: a waker learns of the fiber from something that the fiber does after this.
        header.home.store(ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
    }

    /// A stack for an unstarted fiber, from the worker's cache if the fiber wants the default size.
    pub(super) fn obtain_stack(&self, header: &Header) -> std::io::Result<Stack> {
        if let Some(stack) = self.shared().stacks.take_promised(header.stack_bytes.get()) {
            return Ok(stack);
        }
        if header.stack_bytes.get() != 0 {
            return self.shared().stacks.take_sized(header.stack_bytes.get());
        }
        self.default_stack()
    }

    /// A stack of the default size from the worker's cache, if it has one.
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

    /// Makes an unstarted fiber a started one on `stack`. Returns the context of its first switch.
    #[inline]
    pub(super) fn start(&self, fiber: NonNull<Header>, stack: Stack) -> Context {
        let top = stacks::first_frame(&stack);
        self.attach_stack(fiber, stack);
        // SAFETY: `top` is the top of a stack that nobody else uses, and the cell outlives the fiber.
        unsafe { prepare(top, fiber_main, fiber.as_ptr().cast()) }
    }

    /// Gives an unstarted fiber its stack and its home.
    #[inline]
    fn attach_stack(&self, fiber: NonNull<Header>, stack: Stack) {
        // SAFETY: the fiber came out of a queue, which made it ours.
        let header = unsafe { fiber.as_ref() };
        stacks::give_storage(header, &stack);
        header.put_stack(stack);
        self.register(fiber);
    }

    /// Gives an unstarted fiber its home and inserts it in the list of started fibers.
    #[inline]
    fn register(&self, fiber: NonNull<Header>) {
        // SAFETY: as in `attach_stack`.
        let header = unsafe { fiber.as_ref() };
        self.set_home(header);
        match self.shared().marks() {
            Marks::None => {}
            Marks::Log => header.set_flag(Flags::LOGGED),
            Marks::More => self.mark_starting(header),
        }
        if header.has(Flags::ROAMING) {
            self.shared().roaming.insert(fiber);
        } else {
            // SAFETY: alive, in no list yet, removed in `finish` before it is freed.
            unsafe { self.live.insert(fiber) };
        }
    }

    /// Ends a fiber, on its own stack: takes everything back, completes the fiber, and picks the next step.
    #[inline(always)]
    pub(super) fn finish(&self, fiber: NonNull<Header>) -> Next {
        // SAFETY: the cell is alive until the join word's protocol lets it go, which is below.
        let (bytes, gives_back) =
            unsafe { (fiber.as_ref().stack_bytes.get(), here::gives_back(fiber.as_ref())) };
        let stack = self.detach_stack(fiber);
        self.shared().dismiss();
        if self.wake_for(Cause::Ended, || complete(fiber)) {
            // SAFETY: the cell is ours now.
            if !unsafe { Header::is_clear(fiber) } {
                // The handle was dropped at the last moment, so we must run the result's destructor, and as this fiber,
                // since it may park.
                self.attach_stack(fiber, stack);
                self.set_current(Some(fiber));
                // SAFETY: as above.
                self.record_start(unsafe { fiber.as_ref() });
                return Next::Clear;
            }
            // SAFETY: as above; it is clear.
            unsafe { Header::free(fiber, Some(&self.cells)) };
        }
        self.next_after(stack, bytes, gives_back)
    }

    /// Ends a fiber that went on after `finish` to clear its cell.
    #[cold]
    pub(super) fn finish_cleared(&self, fiber: NonNull<Header>) -> Next {
        // SAFETY: the cell is the worker's since `finish`, and is freed below.
        let (bytes, gives_back) =
            unsafe { (fiber.as_ref().stack_bytes.get(), here::gives_back(fiber.as_ref())) };
        let stack = self.detach_stack(fiber);
        self.remote.counters.ended_twice.add(1);
        // The destructor that has just run may have made a handle.
        // SAFETY: as above.
        unsafe { fiber.as_ref() }.detach();
        // SAFETY: as above; it is clear.
        unsafe { Header::free(fiber, Some(&self.cells)) };
        self.next_after(stack, bytes, gives_back)
    }

    /// Undoes `attach_stack`, and leaves no fiber current.
    #[inline]
    fn detach_stack(&self, fiber: NonNull<Header>) -> Stack {
        // SAFETY: called while the cell is alive, by the worker that runs the fiber.
        let header = unsafe { fiber.as_ref() };
        // After the destructors of its thread-locals, which may park, or be left by the worker.
        if header.has(Flags::LOGGED) {
            self.log_end(header);
        } else if header.has(Flags::RECORDED) {
            self.record_end(header);
        }
        let stack = header.take_stack().expect("a running fiber has a stack");
        self.unregister(fiber);
        stack
    }

    /// Undoes `register`, and leaves no fiber current.
    #[inline]
    fn unregister(&self, fiber: NonNull<Header>) {
        // SAFETY: as in `detach_stack`.
        let header = unsafe { fiber.as_ref() };
        self.unpin_ended(header);
        if !header.cancel_scopes.is_empty() {
            header.cancel_scopes.abandon();
        }
        // Before the list changes: who reads it from outside goes by the position.
        self.set_current(None);
        here::show_fiber(None);
        if header.has(Flags::ROAMING) {
            self.shared().roaming.remove(fiber);
        } else {
            // SAFETY: inserted by `register` on this worker: only roaming fibers change their home.
            unsafe { self.live.remove(fiber) };
        }
        if header.has(Flags::PLACED) {
            header.unset_flag(Flags::PLACED);
            // Relaxed: a load figure.
            self.remote.placed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Starts, runs and ends an unstarted fiber, as models do it: on the stack of their thread, which is this worker's
    /// meanwhile, and where `suspend` enters the hub.
    #[cfg(all(test, loom))]
    pub(crate) fn run_in_model(&self, fiber: NonNull<Header>) {
        here::set_worker(Some(self));
        self.register(fiber);
        self.set_current(Some(fiber));
        run_or_abort(fiber);
        self.unregister(fiber);
        if self.wake_for(Cause::Ended, || complete(fiber)) {
            clear_quietly(fiber);
            // SAFETY: the cell is ours, and clear.
            unsafe { Header::free(fiber, None) };
        }
        self.drain_inbox();
        assert!(self.ready.is_empty(), "a wake-up is delivered once, and only to a fiber that waits");
        here::set_worker(None);
    }

    /// The next step on `stack`, whose fiber has ended, and has something to give back or not.
    #[inline]
    fn next_after(&self, stack: Stack, bytes: u32, gives_back: bool) -> Next {
        // Late, since a wake-up of the joiner still asks who is here.
        here::renew_storage(&stack);
        let next = self.next_on(stack, bytes);
        if gives_back {
            here::give_back_last(self);
        }
        next
    }

    /// The next step on `stack`: an unstarted fiber runs on it, else the stack is retired.
    #[inline]
    fn next_on(&self, stack: Stack, bytes: u32) -> Next {
        let Some(next) = self.pick() else {
            self.retire_stack(stack, bytes);
            return Next::to_hub(self, Request::Nothing);
        };
        // SAFETY: `next` came out of a queue, which made it ours.
        let header = unsafe { next.as_ref() };
        if header.is_started() {
            self.retire_stack(stack, bytes);
            // Only the hub gives a stack of another size back.
            if bytes != 0 || header.has(Flags::ROAMING_OR_SAMPLED) {
                return Next::to_hub(self, Request::Start(next));
            }
            self.set_current(Some(next));
            let exit = Exit { to: header.context.get(), word: Request::Nothing.encode() };
            return Next::Exit(exit, header.thread_pointer());
        }
        if bytes == 0 && header.stack_bytes.get() == 0 {
            self.attach_stack(next, stack);
            self.set_current(Some(next));
            return Next::Run(next);
        }
        self.retire_stack(stack, bytes);
        Next::to_hub(self, Request::Start(next))
    }

    /// Puts away a stack that this very code still runs on. Nothing else runs on this thread before the following switch, and
    /// only this thread takes from the place where the stack is put.
    #[inline]
    fn retire_stack(&self, stack: Stack, bytes: u32) {
        if bytes == 0 {
            // SAFETY: this thread is the only user, and no borrow outlives a statement.
            unsafe { &mut *self.stacks.get() }.push(stack);
        } else {
            self.retired.set(Some((bytes, stack)));
        }
    }
}
