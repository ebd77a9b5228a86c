//! The early end of a coroutine: it is unwound when it is dropped while it is suspended.
#![expect(unsafe_code, reason = "switches to the coroutine")]

use core::mem;
use core::ptr::NonNull;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use super::handle::{Coroutine, ENDED};
use super::yielder::{Unwound, decode};
use crate::linking::{End, Link, Word, resume};

impl<Input, Yield, Return> Coroutine<Input, Yield, Return> {
    /// Switches to the coroutine with the order to unwind. Returns its answer, and whether it is suspended.
    ///
    /// # Safety
    ///
    /// It has not ended.
    unsafe fn order_to_unwind(&mut self) -> (Word, bool, End) {
        let (own, order) = (self.member.as_ptr().cast::<Link>().cast_const(), Link::closed());
        // SAFETY: the caller's promise.
        let has_begun = unsafe { self.yielder() }.has_begun.replace(true);
        let link = if has_begun { &raw const order } else { own };
        // SAFETY: as in `go_on`; a coroutine that has not begun is called with its own link.
        unsafe { resume(link, self.member().context(), Word::uninit()) }
    }

    /// Whether dropping the coroutine needs an unwinding that this build cannot do.
    pub(super) fn is_stuck(&self) -> bool {
        cfg!(panic = "abort") && self.is_suspended()
    }

    /// Whether it is suspended in a destructor, in the middle of an unwinding of its own.
    fn is_unwinding(&self) -> bool {
        // SAFETY: a coroutine that has not ended has its yielder on its stack.
        !self.is_done() && unsafe { self.yielder() }.is_unwinding.get()
    }

    /// Forgets the stack, which is not counted as lost: the pool must not unmap a stack whose destructors have not run.
    fn leak(&mut self) {
        self.member().leave();
        self.member = NonNull::from(&ENDED.0);
        mem::forget(self.stack.take());
    }

    /// Whether there are frames of the body on the stack.
    pub(super) fn is_suspended(&self) -> bool {
        // SAFETY: a coroutine that has not ended has its yielder on its stack.
        !self.is_done() && unsafe { self.yielder() }.has_begun.get()
    }

    /// Unwinds the coroutine, if it has not ended: a drop without its exceptions. Calls `give_up`, whereupon the coroutine no longer
    /// has a stack, if it is suspended in a destructor of an unwinding already: a second one would abort the process.
    pub(super) fn finish(&mut self, give_up: fn(&mut Self)) {
        if self.is_unwinding() {
            give_up(self);
        } else if !self.is_done()
            && let Err(payload) = self.unwind(give_up)
            && !payload.is::<Unwound>()
        {
            // A destructor, or the body itself, has panicked meanwhile.
            panic::resume_unwind(payload);
        }
    }

    /// Orders the coroutine to unwind until it has ended. If its body catches the unwinding, it may suspend
    /// meanwhile. If a destructor suspends, the rest is up to `give_up`.
    #[cold]
    fn unwind(&mut self, give_up: fn(&mut Self)) -> thread::Result<Option<Return>> {
        let mut panicked = Ok(());
        loop {
            if thread::panicking() {
                self.note_panics();
            }
            // SAFETY: the caller has checked that it has not ended, and so has the last turn.
            let (word, is_suspended, end) = unsafe { self.order_to_unwind() };
            if !is_suspended {
                // SAFETY: it has just ended in this way.
                let returned = unsafe { self.end(word, end) };
                return panicked.and(returned);
            }
            // SAFETY: the word of a coroutine that suspends is what it suspends with.
            let value: Yield = unsafe { decode(word) };
            // A panic here must wait: the coroutine's frames are alive, and the stack must not go before
            // they have ended. So must one of an earlier payload, which is kept for ever.
            if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(value))) {
                mem::forget(mem::replace(&mut panicked, Err(payload)));
            }
            if self.is_unwinding() {
                give_up(self);
                return panicked.map(|()| None);
            }
        }
    }

    #[inline(never)]
    fn drop_suspended(&mut self) {
        if self.is_stuck() || (self.is_suspended() && self.member().is_ending()) {
            self.leak();
        } else {
            self.finish(Self::leak);
        }
    }
}

impl<Input, Yield, Return> Drop for Coroutine<Input, Yield, Return> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_done() {
            self.drop_suspended();
        }
    }
}
