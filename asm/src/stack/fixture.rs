//! What stays at the top of a stack from one user to the next, such as a block of thread-local storage.

use core::ptr::NonNull;

/// What the owner of a pool's stacks makes at the top of each, once, and what stays there while stacks are taken and given back.
///
/// The pool stores one word for each stack, [`Stack::fixture`](super::Stack::fixture). Where it is not null, the pool keeps the
/// pages of the fixture when it releases the rest of the stack's memory, and removes the fixture before it unmaps the stack.
#[derive(Clone, Copy, Debug)]
pub struct Fixture {
    /// How many bytes below the [top](super::Stack::top) of a stack a fixture may take.
    pub bytes: usize,
    /// Removes a fixture, given the word that was stored for it.
    ///
    /// # Safety
    ///
    /// Nobody uses the stack or the fixture any more, and the stack is still mapped.
    pub remove: unsafe fn(NonNull<()>),
}
