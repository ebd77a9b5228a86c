//! Tells AddressSanitizer and ThreadSanitizer about every switch, under `--cfg abaca_asan` or `--cfg
//! abaca_tsan`.
//!
//! Both must know which stack a thread is on: the first looks for poisoned memory between the stack pointer
//! and the end of the stack, the second keeps a history per fiber. So in these builds a context is the
//! address of a [`Suspended`], which holds the backend's context and the facts that the sanitizer needs when
//! the computation goes on. It lies in the frame of the suspended [`switch`], or at the top of a stack that
//! has not started.
//!
//! These builds need a nightly compiler, for the sanitizers and for the attribute that keeps them out of
//! the switch itself.
//!
//! A computation does not know the bounds of its own stack. For a stack from a pool they are looked up when
//! it is prepared; those of a thread's own stack the sanitizer tells to the first fiber that the thread
//! continues.
#![expect(unsafe_code, reason = "wraps the switch, and calls into the sanitizers' runtime")]

#[cfg(abaca_asan)]
mod asan;
#[cfg(all(abaca_tsan, not(abaca_asan)))]
mod tsan;

use core::ptr::{self, NonNull};

#[cfg(abaca_asan)]
use asan as runtime;
#[cfg(all(abaca_tsan, not(abaca_asan)))]
use tsan as runtime;

use crate::arch;
use crate::context::{Context, Entry, Exit};

/// A suspended computation.
struct Suspended {
    /// The context for the backend.
    context: Context,
    sanitizer: runtime::Fiber,
}

/// The message from the leaver of a switch to the computation that it continues, passed by address. It lies in memory that the
/// leaver no longer uses, and is read before anything else happens.
#[derive(Clone, Copy)]
struct Passage {
    word: usize,
    /// The computation that was left, which gets the bounds of its stack; null if it has ended.
    leaver: *mut Suspended,
    /// The handle that must be destroyed, if the leaver has ended.
    remains: runtime::Remains,
}

/// The record at the top of a prepared stack.
#[repr(C, align(16))]
struct Launch {
    suspended: Suspended,
    entry: Entry,
    argument: *mut (),
    last_passage: Passage,
}

/// Like [`arch::switch`], announced to the sanitizer. AddressSanitizer does not instrument it, since it is between two stacks
/// here.
#[inline(never)]
#[cfg_attr(abaca_asan, sanitize(address = "off"))]
pub(crate) unsafe fn switch(save: *mut Context, to: Context, word: usize) -> usize {
    let mut own = Suspended { context: Context::dangling(), sanitizer: runtime::Fiber::current() };
    let leaver = &raw mut own;
    let passage = Passage { word, leaver, remains: runtime::Remains::NONE };
    // SAFETY: the contract of `crate::switch`: `save` is writable, and `to` is suspended, so what it points
    // to is there.
    unsafe {
        save.write(Context(NonNull::new_unchecked(leaver).cast()));
        let to = to.0.cast::<Suspended>().as_ptr();
        runtime::before_switch(Some(&mut (*leaver).sanitizer), &(*to).sanitizer);
        let word =
            arch::switch(&raw mut (*leaver).context, (*to).context, (&raw const passage).expose_provenance());
        let passage = ptr::with_exposed_provenance::<Passage>(word).read();
        runtime::after_switch(&(*leaver).sanitizer, false, sanitizer_of(passage.leaver), passage.remains);
        passage.word
    }
}

/// Like [`arch::prepare`], for [`switch`].
pub(crate) unsafe fn prepare(top: *mut u8, entry: Entry, argument: *mut ()) -> Context {
    // SAFETY: the same contract.
    unsafe {
        let launch = lay_out(top, entry, argument);
        (*launch).suspended.context = arch::prepare(launch.cast(), run, launch.cast());
        Context(NonNull::new_unchecked(launch).cast())
    }
}

/// Writes the launch of a fiber below `top`.
///
/// # Safety
///
/// As for [`crate::prepare`].
unsafe fn lay_out(top: *mut u8, entry: Entry, argument: *mut ()) -> *mut Launch {
    let sanitizer = runtime::Fiber::new(top);
    let suspended = Suspended { context: Context::dangling(), sanitizer };
    let last_passage = Passage { word: 0, leaver: ptr::null_mut(), remains: runtime::Remains::NONE };
    // SAFETY: the caller promises a page below `top`, which is a multiple of 16; a launch is much smaller.
    unsafe {
        let launch = top.cast::<Launch>().sub(1);
        launch.write(Launch { suspended, entry, argument, last_passage });
        launch
    }
}

/// The entry function of every fiber: announces its arrival, calls the real one, and announces its end.
///
/// AddressSanitizer does not instrument it: it returns after the sanitizer has been told that the stack is
/// left.
#[cfg_attr(abaca_asan, sanitize(address = "off"))]
unsafe extern "C" fn run(word: usize, launch: *mut ()) -> Exit {
    let launch = launch.cast::<Launch>();
    // SAFETY: the launch lies above this frame and is used by this fiber alone; the word is a passage, from
    // `switch` or from `run`; the real entry function is safe to call once; and the context that it returns is
    // suspended.
    unsafe {
        let passage = ptr::with_exposed_provenance::<Passage>(word).read();
        runtime::after_switch(
            &(*launch).suspended.sanitizer,
            true,
            sanitizer_of(passage.leaver),
            passage.remains,
        );
        let exit = ((*launch).entry)(passage.word, (*launch).argument);
        let to = exit.to.0.cast::<Suspended>().as_ptr();
        let last = &raw mut (*launch).last_passage;
        last.write(Passage {
            word: exit.word,
            leaver: ptr::null_mut(),
            remains: runtime::Remains::of_current(),
        });
        runtime::before_switch(None, &(*to).sanitizer);
        Exit { to: (*to).context, word: last.expose_provenance() }
    }
}

/// # Safety
///
/// `suspended` is null, or points to a computation that is suspended.
#[cfg_attr(abaca_asan, sanitize(address = "off"))]
unsafe fn sanitizer_of<'a>(suspended: *mut Suspended) -> Option<&'a mut runtime::Fiber> {
    // SAFETY: the caller's promise.
    unsafe { suspended.as_mut() }.map(|suspended| &mut suspended.sanitizer)
}
