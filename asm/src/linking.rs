//! The switches of a coroutine: into it, out of it, and out of it for the last time. A [`Link`] at the top of its stack tells each
//! side where the other goes on.
//!
//! They differ from [`switch`](crate::switch) in that one side is always the resumer of the other. So nothing is passed
//! that the link knows, a value travels in a register, and a backtrace goes on from the coroutine into its resumer. The code is in
//! `arch`; on corosensei's backend and for the sanitizers' builds it is made of `switch`.
#![expect(unsafe_code, reason = "switching stacks cannot be checked by the compiler")]

use core::cell::Cell;
use core::mem::MaybeUninit;

use crate::context::Context;

#[cfg(all(
    not(any(abaca_corosensei, abaca_asan, abaca_tsan)),
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
))]
use crate::arch::linked as backend;
#[cfg(not(all(
    not(any(abaca_corosensei, abaca_asan, abaca_tsan)),
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
)))]
use by_switch as backend;

/// The bytes below a link that [`prepare_linked`] may write to.
#[cfg(abaca_valgrind)]
const LEAST_BYTES: usize = 1024;

/// What a switch carries to the other side: a small value itself, or the address of a large one. A pointer, so that a pointer inside of
/// it is still one on the other side; and perhaps not initialised, as the padding of a value is not.
pub(crate) type Word = MaybeUninit<*mut ()>;

/// Where the two sides of a coroutine go on. Its address is a multiple of 16, and the coroutine's frames lie below it.
///
/// To those who follow frame pointers, the first two words are a frame, the outermost of the coroutine, and the first two of a resumer's
/// context are the next. So each [`resume`] relinks the chain by what it writes here in any case.
#[repr(C, align(16))]
pub(crate) struct Link {
    /// Where the resumer goes on, while the coroutine runs.
    pub(crate) resumer: Cell<Context>,
    /// What that frame has for a return address: the name that a profiler shows.
    resumed_by: *const (),
    /// Where the coroutine goes on, while it is suspended, or [`refusal`].
    pub(crate) coroutine: Cell<Context>,
}

/// Why a coroutine is not suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct End(pub(crate) usize);

impl End {
    /// It was not continued: its link holds a [`refusal`].
    pub(crate) const REFUSED: Self = Self(0);
    /// Its body has returned. The word is the result.
    pub(crate) const RETURNED: Self = Self(1);
    /// Its body has panicked. The word is the payload.
    pub(crate) const PANICKED: Self = Self(2);
    /// It was dropped before its body began. The word means nothing.
    pub(crate) const DROPPED: Self = Self(3);
}

impl Link {
    /// The link of a coroutine that does not go on.
    pub(crate) const fn closed() -> Self {
        Self {
            resumer: Cell::new(Context::dangling()),
            resumed_by: backend::RESUMED_BY,
            coroutine: Cell::new(refusal()),
        }
    }
}

/// The context in place of one that must not be continued: [`resume`] returns at once, with [`End::REFUSED`]. So nobody has
/// to look before.
pub(crate) const fn refusal() -> Context {
    backend::REFUSAL
}

/// The first function on a coroutine's stack, called with the word of the first [`resume`]. It must not unwind, and it ends with [`finish`].
pub(crate) type LinkedEntry = unsafe extern "C" fn(word: Word, link: *const Link);

/// Makes a coroutine that calls `entry` on the fresh stack below `link`, and stores its context there.
///
/// # Safety
///
/// * `link` is a multiple of 16 and can be written, and below it lies a stack that nothing else uses, big enough for what `entry` does.
/// * `entry` is safe to call with the word of the first [`resume`] and with `link`.
pub(crate) unsafe fn prepare_linked(link: *mut Link, entry: LinkedEntry) {
    #[cfg(abaca_valgrind)]
    crate::valgrind::allow_writing_below(link.cast(), LEAST_BYTES);
    // SAFETY: the contract is the backend's, and the link can be written.
    unsafe {
        link.write(Link::closed());
        let context = backend::prepare_linked(link, entry);
        (*link).coroutine.set(context);
    }
}

/// The same for an `entry` that looks at a suspended computation: as long as the link's resumer is a context that was saved by
/// [`switch`](crate::switch), unwinders go on there.
///
/// # Safety
///
/// As for [`prepare_linked`].
pub(crate) unsafe fn prepare_visit(link: *mut Link, entry: LinkedEntry) {
    // SAFETY: the caller's promise.
    unsafe {
        prepare_linked(link, entry);
        #[cfg(all(
            not(any(abaca_corosensei, abaca_asan, abaca_tsan)),
            target_pointer_width = "64",
            any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
        ))]
        backend::make_visit((*link).coroutine.get());
    }
}

/// Continues the coroutine `to` until it switches back. Returns its word, whether it is suspended, and if it is not, why.
///
/// A coroutine that has begun gets any `link` that the resumer passes: if it is not its own, it must put the resumer's context into
/// its own before it does anything else.
///
/// # Safety
///
/// * `to` is what the coroutine's own link holds; if it is no refusal, the coroutine is suspended, and nobody else continues it.
/// * `link` is its own if it has not begun, and in any case it stays until this returns.
/// * What [`switch`](crate::switch) demands of a computation that is continued on another thread.
#[inline(always)]
pub(crate) unsafe fn resume(link: *const Link, to: Context, word: Word) -> (Word, bool, End) {
    // SAFETY: the contract is the backend's.
    unsafe { backend::resume(link, to, word) }
}

/// Suspends the coroutine of `link`, which is the caller. Returns the word of the next [`resume`], and its link.
///
/// # Safety
///
/// The caller runs on the stack below `link`, or on one to which that has switched.
#[inline(always)]
pub(crate) unsafe fn suspend(link: *const Link, word: Word) -> (Word, *const Link) {
    // SAFETY: the contract is the backend's.
    unsafe { backend::suspend(link, word) }
}

/// Ends the coroutine of `link`, which is the caller. Returns when, and if, the resumer calls [`bury`]; the caller must then return.
///
/// # Safety
///
/// As for [`suspend`]; the caller is the entry function.
#[inline(always)]
pub(crate) unsafe fn finish(link: *const Link, word: Word, end: End) {
    // SAFETY: the contract is the backend's.
    unsafe { backend::finish(link, word, end) }
}

/// Lets go of a coroutine that has ended, when its last word was read: its stack is no longer used afterwards.
///
/// # Safety
///
/// [`resume`] has returned an end that is no refusal, and this is called once.
#[inline(always)]
pub(crate) unsafe fn bury(link: *const Link) {
    // SAFETY: the contract is the backend's.
    unsafe { backend::bury(link) }
}

/// The same made of [`switch`](crate::switch), which carries the address of a word.
#[cfg(not(all(
    not(any(abaca_corosensei, abaca_asan, abaca_tsan)),
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
)))]
mod by_switch {
    use core::ptr;

    use super::{End, Link, LinkedEntry, Word};
    use crate::context::{Context, Exit};
    use crate::switching::{prepare, switch};

    /// No context that is one.
    pub(super) const REFUSAL: Context = Context::dangling();

    /// A backtrace by frame pointers ends in the coroutine.
    pub(super) const RESUMED_BY: *const () = ptr::null();

    /// What the resumer sends.
    #[derive(Clone, Copy)]
    struct Call {
        word: Word,
        link: *const Link,
    }

    /// What lies below a link.
    #[repr(C, align(16))]
    struct Launch {
        entry: LinkedEntry,
        link: *const Link,
    }

    /// # Safety
    ///
    /// As [`super::prepare_linked`].
    pub(super) unsafe fn prepare_linked(link: *mut Link, entry: LinkedEntry) -> Context {
        // SAFETY: the caller promises a stack below the link.
        unsafe {
            let launch = link.cast::<Launch>().sub(1);
            launch.write(Launch { entry, link });
            prepare(launch.cast(), start, launch.cast())
        }
    }

    /// # Safety
    ///
    /// As [`super::resume`].
    pub(super) unsafe fn resume(link: *const Link, to: Context, word: Word) -> (Word, bool, End) {
        if to == REFUSAL {
            return (Word::uninit(), false, End::REFUSED);
        }
        let call = Call { word, link };
        // SAFETY: the caller's promise. The other side reads the call before anything else happens.
        unsafe {
            let answer = switch((*link).resumer.as_ptr(), to, (&raw const call).expose_provenance());
            let answer = ptr::with_exposed_provenance::<Answer>(answer).read();
            (answer.word, answer.end.is_none(), answer.end.unwrap_or(End::REFUSED))
        }
    }

    /// A word for the resumer.
    #[derive(Clone, Copy)]
    struct Answer {
        word: Word,
        end: Option<End>,
    }

    /// # Safety
    ///
    /// As [`super::suspend`].
    pub(super) unsafe fn suspend(link: *const Link, word: Word) -> (Word, *const Link) {
        // SAFETY: the caller's promise.
        let call = unsafe { leave(link, Answer { word, end: None }) };
        (call.word, call.link)
    }

    /// # Safety
    ///
    /// As [`super::suspend`].
    unsafe fn leave(link: *const Link, answer: Answer) -> Call {
        // SAFETY: the caller's promise: the resumer is suspended, and reads the answer before anything else happens.
        unsafe {
            let (save, to) = ((*link).coroutine.as_ptr(), (*link).resumer.get());
            let call = switch(save, to, (&raw const answer).expose_provenance());
            ptr::with_exposed_provenance::<Call>(call).read()
        }
    }

    /// # Safety
    ///
    /// As [`super::finish`].
    pub(super) unsafe fn finish(link: *const Link, word: Word, end: End) {
        // SAFETY: the caller's promise.
        unsafe { leave(link, Answer { word, end: Some(end) }) };
    }

    /// # Safety
    ///
    /// As [`super::bury`].
    pub(super) unsafe fn bury(link: *const Link) {
        // SAFETY: the coroutine is suspended in `finish`.
        unsafe {
            let call = Call { word: Word::uninit(), link };
            let save = (*link).resumer.as_ptr();
            switch(save, (*link).coroutine.get(), (&raw const call).expose_provenance());
        }
    }

    /// The entry function for `switch`.
    unsafe extern "C" fn start(word: usize, launch: *mut ()) -> Exit {
        // SAFETY: the launch lies above this frame, and the word is the address of a resumer's call.
        unsafe {
            let Launch { entry, link } = launch.cast::<Launch>().read();
            entry(ptr::with_exposed_provenance::<Call>(word).read().word, link);
            Exit { to: (*link).resumer.get(), word: 0 }
        }
    }
}
