//! What comes after the end of a fiber.

#![cfg_attr(feature = "own-tls", expect(unsafe_code, reason = "leaves a stack for good"))]

use std::ptr::NonNull;

use abaca_asm::Exit;

use super::{Request, Worker};
use crate::cell::Header;
#[cfg(feature = "own-tls")]
use crate::scheduler::here;

/// The step after the end of a fiber.
pub(super) enum Next {
    /// Run this unstarted fiber on the same stack.
    Run(NonNull<Header>),
    /// Let the fiber go on once more, for the destructor of its result; then call `Worker::finish_cleared`.
    Clear,
    /// The final switch away, to a computation with this thread pointer, or none.
    Exit(Exit, *mut ()),
}

impl Next {
    /// Enters the hub of `worker` with this request.
    pub(super) fn to_hub(worker: &Worker, request: Request) -> Self {
        Self::Exit(Exit { to: worker.hub_place().get(), word: request.encode() }, worker.hub_pointer())
    }
}

/// The last step of a fiber: names the computation that follows, or with storage of its own continues it.
#[inline(always)]
pub(super) fn leave(exit: Exit, thread_pointer: *mut ()) -> Exit {
    #[cfg(feature = "own-tls")]
    if !thread_pointer.is_null() {
        // SAFETY: the computation is suspended with this thread pointer, and nothing is left to do here.
        unsafe { here::leave_to(exit.to, exit.word, thread_pointer) };
    }
    let _ = thread_pointer;
    exit
}
