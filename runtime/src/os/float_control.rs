//! The control words of floating point that a process has as a rule, where its fibers may have others, and no flags: those words which the thread had that built the
//! first runtime of this kind. A thread of the kernel's begins with its creator's words. So the threads of a runtime, which any fiber may start,
//! get the usual ones.

#![expect(unsafe_code, reason = "sets the words")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abaca_asm::FloatControl;

/// Whether fibers keep words of their own.
static ARE_KEPT: AtomicBool = AtomicBool::new(false);

static USUAL: OnceLock<FloatControl> = OnceLock::new();

/// The word of [`USUAL`].
static USUAL_WORD: AtomicU32 = AtomicU32::new(0);

/// Takes the calling thread's words for the usual ones, if no thread's were. Before there is a fiber with storage of its own.
pub(crate) fn note_usual() {
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
pub(crate) fn is_usual() -> bool {
    // Relaxed: it has one value since the words are kept.
    !ARE_KEPT.load(Ordering::Acquire) || FloatControl::word() == USUAL_WORD.load(Ordering::Relaxed)
}

/// Gives the calling thread the usual words: after a fiber, or where it begins.
#[inline(always)]
pub(crate) fn make_usual() {
    if !is_usual() {
        set_usual(FloatControl::current());
    }
}

/// Gives the calling thread, which has these, the usual words, and returns those.
#[cold]
#[inline(never)]
pub(crate) fn set_usual(now: FloatControl) -> FloatControl {
    let usual = *USUAL.get().expect("they are noted before any are kept");
    // SAFETY: what runs next is the runtime's, and fibers that have set nothing.
    unsafe { usual.set_after(now) };
    usual
}

/// The calling thread's or fiber's words, if they are not the usual ones.
pub(crate) fn unusual() -> Option<FloatControl> {
    (!is_usual()).then(FloatControl::current)
}
