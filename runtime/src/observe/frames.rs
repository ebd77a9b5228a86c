//! The frames of suspended fibers: addresses of code, innermost first. Without the feature `backtrace` there are none.

#![expect(unsafe_code, reason = "reads the stacks of suspended fibers")]

use std::fmt;

use abaca_asm::Context;

#[cfg(feature = "backtrace")]
use crate::os::frames::{Cursor, Unwinder};
use crate::os::peek;

/// The most frames of a stack that are kept.
const MOST_FRAMES: usize = 128;

/// Walks one stack after the other, and keeps what it has learned of the code.
pub(super) struct Walker {
    #[cfg(feature = "backtrace")]
    unwinder: Unwinder,
    frames: Vec<usize>,
}

impl fmt::Debug for Walker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walker").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Walker {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(feature = "backtrace")]
            unwinder: Unwinder::new(),
            frames: Vec::new(),
        }
    }

    /// The frames of the stack that was walked last.
    pub(super) fn frames(&self) -> &[usize] {
        &self.frames
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }

    /// Notes frames that somebody else has found.
    pub(super) fn set(&mut self, frames: Vec<usize>) {
        self.frames = frames;
    }

    /// Walks the stack of a fiber that is suspended during the call, with this context, and on the stack with these bounds.
    pub(super) fn walk_suspended(&mut self, context: Context, stack: Option<(usize, usize)>) {
        // Words of another stack, that of a coroutine, are copied by the kernel: they may be anywhere.
        let read = |address: usize| match stack {
            Some((bottom, top)) if (bottom..=top - size_of::<usize>()).contains(&address) => {
                Some(word_at(address))
            }
            _ => peek::word(address),
        };
        self.walk_context(context, read);
    }

    /// Walks the stack of a fiber that may go on at any time: the kernel copies what is read, page by page.
    pub(super) fn walk_from_outside(&mut self, context: Context) {
        let pages = peek::Pages::default();
        self.walk_context(context, |address| pages.word(address));
    }

    fn walk_context(&mut self, context: Context, read: impl Fn(usize) -> Option<usize>) {
        self.clear();
        let Some((address, saved)) = context.saved() else { return };
        let address = address.get();
        let Some(pc) = read(address.wrapping_add(saved.program_counter)) else { return };
        let fp = read(address.wrapping_add(saved.frame_pointer));
        self.walk_from(pc, address.wrapping_add(saved.bytes), fp, read);
    }

    /// Walks the stack of a thread that is in the kernel, and may return from there at any time.
    pub(super) fn walk_thread(&mut self, pc: usize, sp: usize) {
        self.clear();
        let pages = peek::Pages::default();
        self.walk_from(pc, sp, None, |address| pages.word(address));
    }

    /// Walks a stack of which there is a copy. `registers` are the program counter, the stack pointer and the frame pointer.
    pub(super) fn walk_copy(&mut self, registers: [usize; 3], read: impl Fn(usize) -> Option<usize>) {
        let [pc, sp, fp] = registers;
        self.clear();
        self.walk_from(pc, sp, Some(fp), read);
    }

    #[cfg(feature = "backtrace")]
    fn walk_from(&mut self, pc: usize, sp: usize, fp: Option<usize>, read: impl Fn(usize) -> Option<usize>) {
        self.unwinder.walk(Cursor { pc, sp, fp }, true, MOST_FRAMES, read, &mut self.frames);
    }

    #[cfg(not(feature = "backtrace"))]
    #[expect(clippy::unused_self, reason = "with the feature it uses it")]
    fn walk_from(
        &mut self,
        _pc: usize,
        _sp: usize,
        _fp: Option<usize>,
        _read: impl Fn(usize) -> Option<usize>,
    ) {
        let _ = MOST_FRAMES;
    }
}

/// The word at an address within the stack of a suspended fiber.
fn word_at(address: usize) -> usize {
    // SAFETY: the caller has checked that the word is within the stack, which is mapped and does not change: its fiber is
    // suspended. An address that is not aligned is read all the same.
    unsafe { std::ptr::with_exposed_provenance::<usize>(address).read_unaligned() }
}
