//! The switches between fibers that go on, and between fibers and the hub.

#![expect(unsafe_code, reason = "switches stacks")]

use std::ptr::NonNull;

use abaca_asm::switch;

use super::{Request, Worker};
use crate::fiber::{Flags, Header};

impl Worker {
    /// Parks the current fiber: returns when somebody has made it ready and it was picked again.
    ///
    /// Its waiter is registered, or it is in a queue itself. If it roams, `self` must not be used afterwards.
    #[cfg(not(loom))]
    #[inline]
    pub(in crate::scheduler) fn suspend(&self, me: NonNull<Header>) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::ROAMING) {
            return self.enter_hub(header, Request::Nothing);
        }
        match self.pick() {
            Some(next) if next == me => {}
            Some(next) => self.continue_with(header, next),
            None => self.enter_hub(header, Request::Nothing),
        }
    }

    /// Models have no stacks to switch between: the hub runs on the fiber's, until it picks the fiber.
    #[cfg(loom)]
    pub(in crate::scheduler) fn suspend(&self, me: NonNull<Header>) {
        self.current.set(None);
        assert_eq!(self.find(), Some(me), "a model's worker has one fiber");
        self.current.set(Some(me));
    }

    /// Lets every other ready fiber run once before the current one goes on.
    #[inline]
    pub(in crate::scheduler) fn yield_now(&self, me: NonNull<Header>) {
        // SAFETY: the caller is this fiber.
        let header = unsafe { me.as_ref() };
        if header.has(Flags::ROAMING) && !header.has(Flags::ANCHORED) {
            return self.enter_hub(header, Request::Requeue(me));
        }
        // SAFETY: a running fiber is in no list.
        unsafe { self.ready.push_back(me) };
        self.suspend(me);
    }

    #[inline]
    fn continue_with(&self, me: &Header, next: NonNull<Header>) {
        // SAFETY: `next` came out of a queue, which made it ours.
        let header = unsafe { next.as_ref() };
        if header.is_started() && !header.has(Flags::ROAMING) {
            self.current.set(Some(next));
            // SAFETY: `next` is suspended (a started fiber in a queue is), and its context was saved on this
            // thread by the switch that suspended it. `me` is the running fiber.
            unsafe { switch(me.context.as_ptr(), header.context.get(), 0) };
            return;
        }
        if !header.is_started() && header.stack_bytes.get() == 0 {
            // SAFETY: this thread is the only user, and no borrow outlives a statement.
            if let Some(stack) = unsafe { &mut *self.stacks.get() }.pop() {
                let to = self.start(next, stack);
                self.current.set(Some(next));
                // SAFETY: `to` is freshly prepared; `me` is the running fiber.
                unsafe { switch(me.context.as_ptr(), to, 0) };
                return;
            }
        }
        self.enter_hub(me, Request::Start(next));
    }

    /// Switches from a fiber to the hub.
    #[inline]
    fn enter_hub(&self, me: &Header, request: Request) {
        self.current.set(None);
        // SAFETY: while a fiber runs, the hub is suspended in `resume`.
        unsafe { switch(me.context.as_ptr(), self.hub.get(), request.encode()) };
    }

    /// Runs `fiber` from the hub until some fiber switches back, and returns what that one asks for.
    ///
    /// A task is given a stack first; `Err` hands it back when there is none to be had.
    pub(in crate::scheduler) fn resume(
        &self,
        fiber: NonNull<Header>,
    ) -> Result<Request, (NonNull<Header>, std::io::Error)> {
        // SAFETY: `fiber` came out of a queue, which made it ours.
        let header = unsafe { fiber.as_ref() };
        let to = if header.is_started() {
            self.adopt(header);
            header.context.get()
        } else {
            match self.obtain_stack(header) {
                Ok(stack) => self.start(fiber, stack),
                Err(error) => return Err((fiber, error)),
            }
        };
        self.current.set(Some(fiber));
        // SAFETY: `to` is suspended or freshly prepared; see `continue_with`. The cell of `self.hub` is written
        // before control leaves, and read only by fibers that run afterwards.
        let word = unsafe { switch(self.hub.as_ptr(), to, 0) };
        self.current.set(None);
        if let Some((bytes, stack)) = self.retired.take() {
            self.shared().stacks.give_sized(bytes, stack);
        }
        Ok(Request::decode(word))
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

    /// Gives all stacks at hand, or the older half of them, to the runtime's pool. False if there are none. From the hub.
    pub(in crate::scheduler) fn give_stacks(&self, all: bool) -> bool {
        // SAFETY: as in `trim_stacks`.
        let len = unsafe { &*self.stacks.get() }.len();
        let keep = if all { 0 } else { len / 2 };
        self.trim_stacks(keep);
        // SAFETY: as above. Among the stacks of a burst the list itself has grown.
        unsafe { &mut *self.stacks.get() }.shrink_to(2 * keep);
        len > 0
    }
}
