//! The types that all backends of the switch share: a suspended computation, and the signature of a fiber's entry
//! function.
//!
//! Nothing here depends on the architecture, and nothing here can run: `arch` gives these types meaning.

use core::num::NonZeroUsize;
use core::ptr::NonNull;

/// A suspended computation: this one word is all that is needed to continue it.
///
/// It is the stack pointer at which [`switch`](crate::switch) left the computation, below which nothing of
/// it lives. (On the corosensei backend it is a handle of the same size.) A context is used up by switching
/// to it: the computation runs on, and its next suspension makes a new context.
///
/// The type is [`Copy`] because it is an address; that a context is continued at most once is part of the
/// contract of [`switch`](crate::switch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Context(pub(crate) NonNull<u8>);

impl Context {
    /// A placeholder for a field that [`switch`](crate::switch) has yet to fill in.
    ///
    /// Switching to it is undefined behaviour.
    ///
    /// ```
    /// let not_yet_saved = abaca_asm::Context::dangling();
    /// assert_eq!(not_yet_saved, abaca_asm::Context::dangling());
    /// ```
    pub const fn dangling() -> Self {
        Self(NonNull::dangling())
    }

    /// The saved stack pointer, below which nothing of the suspended computation lies. `None` if the backend's contexts are
    /// something else.
    pub(crate) fn stack_pointer(self) -> Option<NonZeroUsize> {
        BY_HAND.then(|| self.0.addr())
    }
}

/// Whether a context is a stack pointer.
const BY_HAND: bool = cfg!(all(
    not(any(abaca_corosensei, abaca_asan, abaca_tsan)),
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
));

const _: () = assert!(size_of::<Option<Context>>() == size_of::<usize>());

/// Where a suspended computation's registers lie, in bytes from its saved stack pointer; see [`Context::saved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The address at which the computation goes on.
    pub program_counter: usize,
    /// The frame pointer (`rbp`, `x29`, `s0`).
    pub frame_pointer: usize,
    /// The bytes that the switch takes off the stack: where the computation's own stack pointer is.
    pub bytes: usize,
}

impl Context {
    /// The address below which nothing of the suspended computation lies, and where its registers are from there: for those who
    /// look at its frames without continuing it. `None` if the backend's contexts are something else.
    ///
    /// ```
    /// if let Some((_address, saved)) = abaca_asm::Context::dangling().saved() {
    ///     assert!(saved.program_counter < saved.bytes && saved.frame_pointer < saved.bytes);
    /// }
    /// ```
    pub fn saved(self) -> Option<(NonZeroUsize, Saved)> {
        self.stack_pointer().zip(Self::layout())
    }

    /// Where the registers of every suspended computation are; see [`saved`](Self::saved).
    ///
    /// ```
    /// let context = abaca_asm::Context::dangling();
    /// assert_eq!(context.saved().map(|(_, saved)| saved), abaca_asm::Context::layout());
    /// ```
    pub const fn layout() -> Option<Saved> {
        if BY_HAND { Some(crate::arch::SAVED) } else { None }
    }
}

/// The result of a fiber's [`Entry`] function: the context that its thread continues. See [`switch`](crate::switch) for
/// an example.
///
/// The trampoline below the entry function makes this final switch. By then every frame of the fiber has
/// returned, so nothing on its stack is in use: the continued computation may reuse the stack at once.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Exit {
    /// The context to continue.
    pub to: Context,
    /// The word to pass to it.
    pub word: usize,
}

/// The first function on a stack.
///
/// It is called with the word of the first switch to the stack and with the argument given to
/// [`prepare`](crate::prepare). It must not unwind: a panic that reaches its caller aborts the process.
pub type Entry = unsafe extern "C" fn(word: usize, argument: *mut ()) -> Exit;
