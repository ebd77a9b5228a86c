//! What is here: the calling thread's worker, and the calling fiber, where fibers may have thread-local storage of their own.
//!
//! A thread-local of this file is a thread's, or that of one fiber, in whose block it lies. So what it says stays true while the
//! fiber moves, but for the carrier: `arrive` renews that when the fiber goes on with another one. A fiber of a runtime without own
//! storage sees its worker's thread.
//!
//! `handoff/README.md` tells what entering and leaving is about.

#![expect(
    unsafe_code,
    reason = "follows the addresses of the worker, the carrier and the fiber that are here, and switches stacks"
)]

use std::ops::Deref;
use std::ptr::{self, NonNull};

use abaca_asm::stack::Stack;
use abaca_asm::{Context, leave_with, switch, switch_with};

use super::event::Cause;
use super::float_control;
use super::handoff::Carrier;
use super::inspect::HubRequest;
use super::own_line::HERE;
pub(super) use super::own_line::prefetch_storage;
use super::worker::{Request, Worker};
use crate::cell::{Flags, Header};
use crate::os::storage;

/// No worker's tenure: a fiber that has given back what it had borrowed borrows anew whenever it arrives.
const GAVE_BACK: u64 = 1;

/// The worker whose thread this is, or the home of the calling fiber. Only [`present`] and [`come_home`] tell whether the worker
/// is still this thread's; without them, only what never changes may be used of it.
///
/// It is never inlined, so that no address of a thread-local lives across a switch of a fiber without own storage.
#[inline(never)]
pub(crate) fn current_worker() -> Option<&'static Worker> {
    // SAFETY: the pointer is set to a worker that outlives its threads and its fibers.
    unsafe { HERE.with(|here| here.worker.get()).as_ref() }
}

/// The calling fiber. `None` on a plain thread, and in a worker's hub.
#[inline]
pub(crate) fn current_fiber() -> Option<NonNull<Header>> {
    fiber_on(current_worker()?)
}

/// The calling fiber, given the [`current_worker`].
#[inline(never)]
pub(crate) fn fiber_on(worker: &Worker) -> Option<NonNull<Header>> {
    HERE.with(|here| {
        if here.tenure.get() == 0 {
            // Without a carrier the worker stays the thread's.
            worker.current()
        } else {
            NonNull::new(here.fiber.get())
        }
    })
}

/// The calling fiber, if it has storage of its own, and its home. The address of a thread-local may live across a switch of such a fiber, so
/// this is inlined.
#[inline(always)]
pub(crate) fn own_caller() -> Option<(&'static Worker, NonNull<Header>)> {
    HERE.with(|here| {
        // SAFETY: as in `current_worker`.
        let worker = unsafe { here.worker.get().as_ref() }?;
        Some((worker, NonNull::new(here.fiber.get())?))
    })
}

/// In a copy of the process by fork(2): makes the calling fiber a plain thread. It is no worker's any more. Returns false, and changes nothing,
/// if the runtime's own code has forked.
pub(super) fn become_thread() -> bool {
    let Some(me) = current_fiber() else { return false };
    // SAFETY: the caller is this fiber.
    if carrier().is_some_and(Carrier::is_inside) && !unsafe { me.as_ref() }.has(Flags::BOUND) {
        return false;
    }
    set_worker(None);
    show_fiber(None);
    HERE.with(|here| here.carrier.set(ptr::null()));
    // SAFETY: a child of fork(2) has one thread, and no hub will run on it.
    unsafe { storage::adopt_thread() };
    true
}

/// Makes `worker` the calling thread's, or nobody.
pub(super) fn set_worker(worker: Option<&Worker>) {
    HERE.with(|here| here.worker.set(worker.map_or(ptr::null(), ptr::from_ref)));
}

/// Makes `carrier` the calling thread's own, on which it is inside of the runtime.
pub(super) fn set_carrier(carrier: &Carrier) {
    HERE.with(|here| {
        here.carrier.set(carrier);
        here.tenure.set(1);
    });
}

/// The calling thread's worker, which stays the thread's while this lives: the caller is inside of the runtime.
pub(crate) struct Present {
    worker: &'static Worker,
    /// Whether the caller was outside before.
    leaves: bool,
}

impl Deref for Present {
    type Target = Worker;

    #[inline(always)]
    fn deref(&self) -> &Worker {
        self.worker
    }
}

impl Drop for Present {
    #[inline(always)]
    fn drop(&mut self) {
        if self.leaves {
            leave();
        }
    }
}

impl Present {
    /// Ends this value, before the caller's scope does.
    #[inline(always)]
    pub(super) fn leave(self) {}

    /// The worker beyond this value's life: the caller stays inside, until it switches away, or leaves with [`begin`].
    #[inline(always)]
    pub(super) fn stay(self) -> &'static Worker {
        let worker = self.worker;
        std::mem::forget(self);
        worker
    }
}

/// The carrier of the caller, who is inside; `None` where there is none.
#[inline(always)]
fn carrier() -> Option<&'static Carrier> {
    // SAFETY: the carrier of a thread, and of a fiber that runs, is alive as long as its thread.
    unsafe { HERE.with(|here| here.carrier.get()).as_ref() }
}

/// The calling thread does not retire from now on, if it is one that runs workers.
pub(super) fn keep_thread() {
    if let Some(carrier) = carrier() {
        carrier.keep();
    }
}

#[inline(always)]
fn leave() {
    // The fiber may sit elsewhere than where it entered.
    if let Some(carrier) = carrier() {
        carrier.leave();
    }
}

/// The calling thread's worker. `None` also if the thread has lost it: then the caller is to its former worker as any other thread.
#[inline]
pub(crate) fn present() -> Option<Present> {
    present_at(current_worker()?)
}

/// [`present`], given the [`current_worker`].
#[inline]
pub(crate) fn present_at(worker: &'static Worker) -> Option<Present> {
    match carrier() {
        Some(carrier) if !carrier.is_inside() => carrier.enter().then_some(Present { worker, leaves: true }),
        _ => Some(Present { worker, leaves: false }),
    }
}

/// Given the [`current_worker`] of a fiber: the same worker, or if the fiber roams the one on whose thread it is when this returns.
#[inline]
pub(crate) fn come_home(worker: &'static Worker) -> Present {
    match carrier() {
        Some(carrier) if !carrier.is_inside() => {
            if !carrier.enter() {
                move_home(worker, carrier);
            }
            Present { worker, leaves: true }
        }
        _ => Present { worker, leaves: false },
    }
}

/// Moves the calling fiber from a thread that has lost its worker to that worker's thread, and inside.
#[cold]
#[inline(never)]
fn move_home(worker: &Worker, carrier: &Carrier) {
    let me = HERE.with(|here| here.fiber.get());
    // SAFETY: the worker of a fiber that runs is taken, so the caller is a fiber, whose header is alive.
    let header = unsafe { me.as_ref() }.expect("only fibers leave the runtime");
    let request = Request::Return(NonNull::from(header));
    give_back(header);
    // SAFETY: the hub of the thread is suspended since it continued a fiber, and was noted when its worker was taken.
    unsafe {
        switch_to(header.context.as_ptr(), carrier.hub().get(), request.encode(), carrier.thread_pointer())
    };
    // The worker's own thread has continued the fiber.
    arrive(header, worker);
    if header.absence().end() {
        // Whoever woke it found its waiter, for which it has not waited yet. It is ready before it waits, as any fiber that is
        // woken while it runs; if it roams, for this worker alone, since its context is not saved.
        worker.wake_for(Cause::Elsewhere, || worker.log_wake_slow(header));
        // SAFETY: a fiber that runs is in no list.
        unsafe { worker.ready.push_back(NonNull::from(header)) };
    }
    if header.must_unwind() || !header.cancel_scopes.is_empty() {
        // The worker could not look at the fiber while it was absent. It does once the fiber waits.
        // SAFETY: the caller is this fiber.
        let handle = unsafe { Header::handle(NonNull::from(header)) };
        worker.remote.requests.push(HubRequest::Cancel(handle));
    }
}

/// Begins the calling fiber's own code, on a stack that was just prepared, or is used again.
#[inline]
pub(super) fn begin(me: NonNull<Header>) {
    // SAFETY: the caller is this fiber.
    let header = unsafe { me.as_ref() };
    if header.thread_pointer().is_null() {
        return;
    }
    arrive(header, home_of(header));
    show_fiber(Some(me));
    // What shares a worker's values with other fibers never runs in parallel with them: it stays inside, and is not taken.
    if !header.has(Flags::BOUND) {
        leave();
    }
}

/// Makes the calling fiber and one that it has spawned never run in parallel: neither leaves the runtime from now on, so that their
/// worker stays with them. If the caller roams, it stays on this worker.
pub(super) fn bind(pair: [NonNull<Header>; 2], worker: Present) {
    for fiber in pair {
        // SAFETY: the first is the caller, the second has not started, and is queued where only the caller's worker takes it.
        let header = unsafe { fiber.as_ref() };
        header.set_flag(Flags::BOUND);
        header.set_flag(Flags::PINNED);
    }
    worker.stay();
}

/// Keeps the calling fiber on its thread until [`unpin`]. Returns false if that needs no guard.
pub(crate) fn pin() -> bool {
    let Some((worker, me)) = current_worker().and_then(|worker| Some((worker, fiber_on(worker)?))) else {
        return false;
    };
    // SAFETY: the caller is this fiber.
    come_home(worker).pin(unsafe { me.as_ref() });
    true
}

/// Undoes one [`pin`] of the calling fiber.
pub(crate) fn unpin() {
    if let Some((worker, me)) = current_worker().and_then(|worker| Some((worker, fiber_on(worker)?))) {
        // SAFETY: the caller is this fiber.
        come_home(worker).unpin(unsafe { me.as_ref() });
    }
}

/// Runs the destructors of the calling fiber's thread-locals, if it has its own.
pub(super) fn end_storage() {
    if HERE.with(|here| here.tenure.get() != 0) {
        storage::run_destructors();
    }
}

/// Makes the storage that lies with the calling fiber's stack new, for the next fiber on it. Inside; nothing is here afterwards.
#[inline]
pub(super) fn renew_storage(stack: &Stack) {
    if storage::block_of(stack).is_some() {
        float_control::make_usual();
        // SAFETY: the destructors have run, and the caller holds no reference to a thread-local.
        unsafe { storage::renew() };
    }
}

fn home_of(header: &Header) -> &'static Worker {
    // SAFETY: a started fiber has a home, which outlives it.
    unsafe { &*header.home.load(std::sync::atomic::Ordering::Relaxed).cast::<Worker>() }
}

/// Notes that the calling fiber has been continued, by `worker`, or if it roams by its home.
#[inline(always)]
pub(super) fn arrive(me: &Header, worker: &Worker) {
    if me.thread_pointer().is_null() {
        return;
    }
    let worker = if me.has(Flags::ROAMING) { home_of(me) } else { worker };
    if HERE.with(|here| here.tenure.get()) != worker.tenure() {
        change_carrier(me, worker);
    }
}

/// Gives the calling fiber the carrier of its worker, and what it borrows from that thread.
#[inline(never)]
fn change_carrier(me: &Header, worker: &Worker) {
    let carrier = worker.carrier();
    if carrier.takes_back() {
        me.set_flag(Flags::GIVES_BACK);
    } else if me.has(Flags::GIVES_BACK) {
        me.unset_flag(Flags::GIVES_BACK);
    }
    HERE.with(|here| {
        here.worker.set(worker);
        here.carrier.set(carrier);
        here.tenure.set(worker.tenure());
        here.mailbox.arrive(carrier.thread_id().unsigned_abs());
    });
    // SAFETY: the caller runs on the carrier's thread.
    unsafe { storage::borrow_from(carrier.lender()) };
}

/// Whether the fiber gives something back when it leaves its thread.
#[inline(always)]
pub(super) fn gives_back(me: &Header) -> bool {
    me.has(Flags::GIVES_BACK)
}

/// Gives back what the calling fiber has borrowed of its thread, if that wants it. The fiber leaves the thread now: it allocates
/// nothing before, and borrows anew when it arrives.
#[inline(always)]
pub(super) fn give_back(me: &Header) {
    if gives_back(me) {
        give_back_to_carrier();
    }
}

#[cold]
#[inline(never)]
fn give_back_to_carrier() {
    HERE.with(|here| here.tenure.set(GAVE_BACK));
    let carrier = carrier().expect("it has lent something");
    // SAFETY: the caller runs on the carrier's thread, with a block that the carrier has lent to.
    unsafe { storage::give_back_to(carrier.lender()) };
}

/// [`give_back`] after the end of a fiber of this worker, whose storage is new already.
#[cold]
#[inline(never)]
pub(super) fn give_back_last(worker: &Worker) {
    // SAFETY: as above.
    unsafe { storage::give_back_to(worker.carrier().lender()) };
}

/// Hides the calling fiber, or shows it again.
#[inline]
pub(super) fn show_fiber(fiber: Option<NonNull<Header>>) {
    HERE.with(|here| here.fiber.set(fiber.map_or(ptr::null_mut(), NonNull::as_ptr)));
}

/// [`switch`], or [`switch_with`] if the other side has a thread pointer. Then the caller keeps its control words of floating point, if the process wants that.
///
/// # Safety
///
/// As there.
#[inline(always)]
pub(super) unsafe fn switch_to(
    save: *mut Context,
    to: Context,
    word: usize,
    thread_pointer: *mut (),
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        if thread_pointer.is_null() {
            switch(save, to, word)
        } else if float_control::is_usual() {
            switch_with(save, to, word, thread_pointer)
        } else {
            float_control::switch_with(save, to, word, thread_pointer)
        }
    }
}

/// [`leave_with`].
///
/// # Safety
///
/// As there.
#[inline(always)]
pub(super) unsafe fn leave_to(to: Context, word: usize, thread_pointer: *mut ()) -> ! {
    // SAFETY: the caller's promise.
    unsafe { leave_with(to, word, thread_pointer) }
}
