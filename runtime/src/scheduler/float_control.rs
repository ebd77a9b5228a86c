//! The control words of floating point of fibers with storage of their own, in a process that wants it: one whose threads may be fibers. To each
//! fiber they are its own then, as a thread's are: one that rounds upward goes on to do so after a wait, and nobody else does.
//!
//! At each switch a thread has the *usual* ones, which it had when the first runtime of this kind was built, and no flag of what has happened
//! (`fetestexcept`). So a switch only looks whether that is so, at `MXCSR` or its like, and whoever has others, or flags, changes them before and after
//! (`fesetround` changes those of x87 as well; to look at them too would cost as much again). What belongs to the fiber lies in its frame. Flags
//! stay the thread's where they are elsewhere: those of x87, which long doubles raise, and all of aarch64's. The look takes some 7 ns of a
//! switch's 40 on a processor of AMD's, so no other process has it.

#![expect(unsafe_code, reason = "sets the words, and switches stacks")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abaca_asm::{Context, FloatControl};

/// Whether fibers keep words of their own.
static ARE_KEPT: AtomicBool = AtomicBool::new(false);

static USUAL: OnceLock<FloatControl> = OnceLock::new();

/// The word of [`USUAL`].
static USUAL_WORD: AtomicU32 = AtomicU32::new(0);

/// Takes the calling thread's words for the usual ones, if no thread's were. Before there is a fiber with storage of its own.
pub(super) fn note_usual() {
    let usual = USUAL.get_or_init(|| FloatControl::current().without_flags());
    USUAL_WORD.store(usual.as_word(), Ordering::Relaxed);
}

/// From now on fibers with storage of their own keep their words.
pub(crate) fn keep() {
    note_usual();
    // Release: pairs with the Acquire in `is_usual`.
    ARE_KEPT.store(true, Ordering::Release);
}

/// Whether the calling thread has the usual words, or nobody keeps others.
#[inline(always)]
pub(super) fn is_usual() -> bool {
    // Relaxed: it has one value since the words are kept.
    !ARE_KEPT.load(Ordering::Acquire) || FloatControl::word() == USUAL_WORD.load(Ordering::Relaxed)
}

/// Gives the calling thread the usual words, after a fiber.
#[inline(always)]
pub(super) fn make_usual() {
    if !is_usual() {
        set_usual(FloatControl::current());
    }
}

/// Gives the calling thread, which has these, the usual words, and returns those.
#[cold]
#[inline(never)]
fn set_usual(now: FloatControl) -> FloatControl {
    let usual = *USUAL.get().expect("they are noted before any are kept");
    // SAFETY: what runs next is the runtime's, and fibers that have set nothing.
    unsafe { usual.set_after(now) };
    usual
}

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

/// The calling thread's or fiber's words, if they are not the usual ones.
pub(crate) fn unusual() -> Option<FloatControl> {
    (!is_usual()).then(FloatControl::current)
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
