//! The switches between fibers that go on, and between fibers and the hub.

#![expect(unsafe_code, reason = "switches stacks")]

use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use abaca_asm::Context;
use abaca_asm::stack::Stack;

use super::refused::REFUSED;
use super::{Request, Worker};
use crate::cell::{Flags, Header};
use crate::scheduler::here::{arrive, give_back, show_fiber, switch_to};

/// The worker of the calling thread.
fn here() -> &'static Worker {
    crate::scheduler::current_worker().expect("a fiber runs on a worker")
}

impl Worker {
    /// Parks the current fiber. Returns when the fiber has been made ready and was picked again.
    ///
    /// The fiber's waiter must be registered, or the fiber must be in a queue itself. If the fiber roams, `self` must not be
    /// used afterwards.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn suspend(&self, me: NonNull<Header>) {
        self.suspend_as::<false>(me);
    }

    /// [`suspend`](Self::suspend). In a function `IS_LARGE` that is compiled many times, all but the switch to a fiber that goes on is
    /// in functions of its own.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn suspend_as<const IS_LARGE: bool>(&self, me: NonNull<Header>) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::MORE_THAN_SWITCH) {
            if header.has(Flags::SLOW_TO_SUSPEND) {
                return self.suspend_slow(header, Request::Nothing);
            }
            self.log_turn(header);
        }
        match self.pick() {
            Some(next) if next == me => self.note_own_pick(header),
            Some(next) if IS_LARGE => self.continue_mostly(header, next),
            Some(next) => self.continue_with(header, next),
            None => self.enter_hub(header, Request::Nothing),
        }
    }

    /// [`suspend`](Self::suspend) for a fiber that roams, has hooks, or gives something back. The hooks are called as if by the
    /// thread between two fibers: they cannot park, since a waker may have put this fiber into a queue already.
    #[inline(never)]
    fn suspend_slow(&self, me: &Header, request: Request) {
        let suspend = |worker: &Self| match request {
            Request::Nothing if !me.has(Flags::ROAMING) => match worker.pick() {
                Some(next) if next == NonNull::from(me) => worker.note_own_pick(me),
                next => {
                    give_back(me);
                    match next {
                        Some(next) => worker.continue_with(me, next),
                        None => worker.enter_hub(me, Request::Nothing),
                    }
                }
            },
            request => {
                worker.remote.counters.count_run();
                give_back(me);
                worker.enter_hub(me, request);
            }
        };
        if me.has(Flags::RECORDED) {
            self.record_park_slow(me);
        }
        self.log_turn_slow(me);
        if !me.has(Flags::HOOKED) {
            return suspend(self);
        }
        let hooks = &self.shared().hooks;
        self.set_current(None);
        show_fiber(None);
        self.in_hook.set(me);
        hooks.around_park(|| {
            here().in_hook.set(ptr::null());
            suspend(here());
            here().in_hook.set(me);
            // Also if the fiber has just picked itself, or is on another worker now.
            here().set_current(None);
        });
        here().in_hook.set(ptr::null());
        here().set_current(Some(NonNull::from(me)));
        show_fiber(Some(NonNull::from(me)));
    }

    /// Models have no stacks to switch between: the hub runs on the fiber's, until it picks the fiber.
    #[cfg(loom)]
    pub(crate) fn suspend(&self, me: NonNull<Header>) {
        self.suspend_as::<false>(me);
    }

    #[cfg(loom)]
    pub(crate) fn suspend_as<const IS_LARGE: bool>(&self, me: NonNull<Header>) {
        self.set_current(None);
        assert_eq!(self.find().ok(), Some(me), "a model's worker has one fiber");
        self.set_current(Some(me));
    }

    /// Lets every other ready fiber run once before the current one goes on.
    #[inline]
    pub(crate) fn yield_now(&self, me: NonNull<Header>) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::ROAMING) && !header.has(Flags::PINNED) {
            return self.suspend_slow(header, Request::Requeue(me));
        }
        // SAFETY: a running fiber is in no list.
        unsafe { self.ready.push_back(me) };
        self.suspend(me);
    }

    /// Lets every ready fiber run once before the current one goes on, or the newest unstarted fiber if none is ready.
    pub(in crate::scheduler) fn let_others_run(&self, me: NonNull<Header>) {
        // The current fiber is about to be ready as well, and ready fibers come before unstarted ones.
        if self.ready.is_empty()
            && !self.drain_inbox_in(true)
            && let Some(fiber) = self.pick_unstarted()
        {
            // SAFETY: the fiber came out of a queue, which made it ours.
            unsafe { self.ready.push_back(fiber) };
        }
        self.yield_now(me);
    }

    /// Lets the hub look at everything. Every fiber that this makes ready runs before the current one goes on.
    pub(in crate::scheduler) fn request_hub_pass(&self, me: NonNull<Header>) {
        // Relaxed: as for `current`.
        self.remote.counters.begin_tick(0, self.picks_left.load(Ordering::Relaxed));
        self.picks_left.store(0, Ordering::Relaxed);
        self.defer_self(me);
    }

    /// Lets others run for the rest of the tick, or until there is no other to run.
    pub(in crate::scheduler) fn defer_self(&self, me: NonNull<Header>) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        let may_move = header.has(Flags::ROAMING) && !header.has(Flags::PINNED);
        let request = if may_move { Request::Requeue(me) } else { Request::Defer(me) };
        if header.has(Flags::HOOKED_OR_RECORDED) {
            return self.suspend_slow(header, request);
        }
        self.log_turn_slow(header);
        self.remote.counters.count_run();
        give_back(header);
        self.enter_hub(header, request);
    }

    #[inline]
    fn continue_with(&self, me: &Header, next: NonNull<Header>) {
        // SAFETY: `next` came out of a queue, which made it ours.
        let header = unsafe { next.as_ref() };
        if header.is_started() && !header.has(Flags::ROAMING_OR_SAMPLED) {
            self.set_current(Some(next));
            // SAFETY: `next` is suspended (a started fiber in a queue is), and its context was saved on this
            // thread by the switch that suspended it. `me` is the running fiber.
            unsafe { switch_to(me.context.as_ptr(), header.context.get(), 0, header.thread_pointer()) };
            return arrive(me, self);
        }
        if !header.is_started() && header.stack_bytes.get() == 0 {
            // SAFETY: this thread is the only user, and no borrow outlives a statement.
            if let Some(stack) = unsafe { &mut *self.stacks.get() }.pop() {
                let to = self.start(next, stack);
                self.set_current(Some(next));
                // SAFETY: `to` is freshly prepared; `me` is the running fiber.
                unsafe { switch_to(me.context.as_ptr(), to, 0, header.thread_pointer()) };
                return arrive(me, self);
            }
        }
        self.enter_hub(me, Request::Start(next));
    }

    /// [`continue_with`](Self::continue_with) of which only the usual case is inlined.
    #[inline(always)]
    fn continue_mostly(&self, me: &Header, next: NonNull<Header>) {
        // SAFETY: `next` came out of a queue, which made it ours.
        let header = unsafe { next.as_ref() };
        if header.is_started() && !header.has(Flags::ROAMING_OR_SAMPLED) {
            self.set_current(Some(next));
            // SAFETY: as in `continue_with`.
            unsafe { switch_to(me.context.as_ptr(), header.context.get(), 0, header.thread_pointer()) };
            arrive(me, self);
        } else {
            self.continue_rarely(me, next);
        }
    }

    #[inline(never)]
    fn continue_rarely(&self, me: &Header, next: NonNull<Header>) {
        self.continue_with(me, next);
    }

    /// Switches from a fiber to the hub.
    #[inline]
    fn enter_hub(&self, me: &Header, request: Request) {
        self.set_current(None);
        // SAFETY: while a fiber runs, the hub is suspended in `resume`.
        unsafe {
            switch_to(me.context.as_ptr(), self.hub_place().get(), request.encode(), self.hub_pointer());
        }
        arrive(me, self);
    }

    /// Runs `fiber` from the hub until some fiber switches back, and returns that fiber's request.
    ///
    /// An unstarted fiber gets a stack first. If there is none, `Err` gives the fiber back.
    pub(in crate::scheduler) fn resume(
        &self,
        fiber: NonNull<Header>,
    ) -> Result<Request, (NonNull<Header>, std::io::Error)> {
        // SAFETY: `fiber` came out of a queue, which made it ours.
        let header = unsafe { fiber.as_ref() };
        let to = if header.is_started() {
            self.set_home(header);
            header.context.get()
        } else {
            match self.obtain_stack(header) {
                Ok(stack) => self.start(fiber, stack),
                Err(error) => return Err((fiber, error)),
            }
        };
        // SAFETY: `to` is the fiber's, suspended or freshly prepared; see `continue_with`.
        Ok(unsafe { self.leave_hub(fiber, to, 0) })
    }

    /// [`resume`](Self::resume) for an unstarted fiber that is refused for this `reason`: on `stack`, which has the default size,
    /// it only drops its closure.
    #[cold]
    pub(in crate::scheduler) fn resume_refused(
        &self,
        unstarted: NonNull<Header>,
        reason: std::io::Error,
        stack: Stack,
    ) -> Request {
        // SAFETY: the fiber came out of a queue, which made it ours.
        let header = unsafe { unstarted.as_ref() };
        header.stack_bytes.set(0);
        header.set_flag(Flags::REFUSED);
        // Its stack must be retired on this worker.
        header.set_flag(Flags::PINNED);
        self.refusals.set_reason(reason);
        let to = self.start(unstarted, stack);
        // SAFETY: `to` is the fiber's, freshly prepared.
        unsafe { self.leave_hub(unstarted, to, REFUSED) }
    }

    /// Switches from the hub to `fiber`, and returns the request of the fiber that switches back.
    ///
    /// # Safety
    ///
    /// `to` must be the fiber's context, suspended or freshly prepared.
    #[inline]
    unsafe fn leave_hub(&self, fiber: NonNull<Header>, to: Context, word: usize) -> Request {
        self.set_current(Some(fiber));
        // SAFETY: `fiber` is about to run here, so it is alive.
        let header = unsafe { fiber.as_ref() };
        if header.has(Flags::SAMPLED) {
            self.end_sample(header);
        }
        let thread_pointer = header.thread_pointer();
        // SAFETY: the caller's promise. The cell is written before control leaves, and read only by fibers that run afterwards.
        let word = unsafe { switch_to(self.hub_place().as_ptr(), to, word, thread_pointer) };
        #[cfg(feature = "own-tls")]
        if let request @ Request::Return(_) = Request::decode(word) {
            // The worker is another thread's.
            return request;
        }
        self.set_current(None);
        if let Some((bytes, stack)) = self.retired.take() {
            self.shared().stacks.give_sized(bytes, stack);
        }
        Request::decode(word)
    }

    /// Gives the stacks beyond the newest `keep` to the runtime's pool. From the hub.
    pub(in crate::scheduler) fn trim_stacks(&self, keep: usize) {
        // SAFETY: this thread is the only user, and in the hub no fiber stands on a stack of the list.
        let stacks = unsafe { &mut *self.stacks.get() };
        if stacks.len() > keep {
            let surplus = stacks.len() - keep;
            self.shared().stacks.give(stacks.drain(..surplus));
        }
    }

    /// Gives all cached stacks, or the older half of them, to the runtime's pool. Returns false if there are none. From the hub.
    pub(in crate::scheduler) fn give_stacks(&self, all: bool) -> bool {
        // SAFETY: as in `trim_stacks`.
        let len = unsafe { &*self.stacks.get() }.len();
        let keep = if all { 0 } else { len / 2 };
        self.trim_stacks(keep);
        // The list itself has grown with the stacks of a burst.
        // SAFETY: as above.
        unsafe { &mut *self.stacks.get() }.shrink_to(2 * keep);
        len > 0
    }
}
