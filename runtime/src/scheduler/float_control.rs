//! The control words of floating point of fibers with storage of their own, in a process that wants it: one whose threads may be fibers. To each
//! fiber they are its own then, as a thread's are: one that rounds upward goes on to do so after a wait, and nobody else does.
//!
//! At each switch a thread has the *usual* ones (`os/float_control.rs`), and no flag of what has happened
//! (`fetestexcept`). So a switch only looks whether that is so, at `MXCSR` or its like, and whoever has others, or flags, changes them before and after
//! (`fesetround` changes those of x87 as well; to look at them too would cost as much again). What belongs to the fiber lies in its frame. Flags
//! stay the thread's where they are elsewhere: those of x87, which long doubles raise, and all of aarch64's. The look takes some 7 ns of a
//! switch's 40 on a processor of AMD's, so no other process has it.

#![expect(unsafe_code, reason = "sets the words, and switches stacks")]

use abaca_asm::{Context, FloatControl};

use crate::os::float_control::set_usual;
pub(super) use crate::os::float_control::{is_usual, make_usual, note_usual};
pub(crate) use crate::os::float_control::{keep, unusual};

/// [`abaca_asm::switch_with`] of a fiber whose words are not the usual ones.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
pub(super) unsafe fn switch_with(save: *mut Context, to: Context, word: usize, pointer: *mut ()) -> usize {
    let own = FloatControl::current();
    let usual = set_usual(own);
    // SAFETY: the caller's promise.
    let answer = unsafe { abaca_asm::switch_with(save, to, word, pointer) };
    // SAFETY: they are those of the code that goes on.
    unsafe { own.set_after(usual) };
    answer
}

/// Gives the calling fiber, which begins, these words.
///
/// # Safety
///
/// As of [`FloatControl::set_after`].
pub(crate) unsafe fn begin_with(words: FloatControl) {
    // SAFETY: the caller's promise.
    unsafe { words.set_after(FloatControl::current()) };
}
