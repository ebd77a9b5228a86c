//! The bottom of the abaca fiber runtime: a stack switch of a dozen instructions, stacks to switch between,
//! and coroutines made of the two. It knows no scheduler and starts no thread. Only two things are global: a pool of
//! stacks for coroutines, and the list of all stacks, in which a signal handler looks up overflows.
//!
//! * [`switch`] suspends the caller and continues another [`Context`]; [`prepare`] makes a context out of a
//!   fresh stack. Both are `unsafe` building blocks for a scheduler.
//! * [`switch_with`] is a switch for computations with thread-local storage of their own.
//! * [`prefetch()`] and [`Context::prefetch`] ask for memory that the switch after this one will touch.
//! * [`coroutine`] has coroutines and generators, which are safe and need no scheduler.
//! * [`stack::StackPool`] hands out guarded, lazily committed stacks by the million.
//!
//! # What a switch does not save
//!
//! The floating-point control registers (`MXCSR` and the x87 control word, `FPCR`, `fcsr`) belong to the
//! thread, not to the fiber: a switch neither saves nor restores them. The same holds for the signal mask,
//! `errno` and thread-local storage. (With `abaca-transparent` the runtime keeps them apart.)
//!
//! # Debugging tools
//!
//! Backtraces work, and so does gdb's `bt`: on a fiber's stack they end at its entry function, in a
//! coroutine they go on into its resumer (gdb shows the frame between the two as a signal handler).
//! Tools that watch the stack pointer must be notified of switches:
//!
//! | tool | how to build | what it finds on fibers, and what runs clean |
//! |---|---|---|
//! | AddressSanitizer | nightly (or `RUSTC_BOOTSTRAP=1`), `RUSTFLAGS="-Zsanitizer=address --cfg abaca_asan"`, `--target` given | heap errors, and errors in the frames of fibers and coroutines, use after return included (`detect_stack_use_after_return=1`). The tests of this crate and of the runtime; `detect_leaks=0`, since some leak on purpose |
//! | ThreadSanitizer | the same with `-Zsanitizer=thread --cfg abaca_tsan`, and `-Zbuild-std` | data races between fibers, between threads, and between the two. Fibers of one worker are ordered by its switches, so a race is seen where two workers or threads take part. The tests of the runtime; without an instrumented standard library the reports are about that |
//! | valgrind | `RUSTFLAGS="--cfg abaca_valgrind"`, x86_64 | uninitialised reads and heap errors on fibers' stacks, without a warning about a stack that moves. The tests of switches, coroutines and fibers |
//!
//! `bash .ci/run sanitizers` runs them, and programs that are wrong on purpose, which each must find.
//!
//! Under the sanitizers a backtrace inside a coroutine ends where the coroutine starts, and the backend
//! must be one that is written by hand, not corosensei's.
//!
//! # Features
//!
//! `std` (default) adds coroutines and the conversion of [`stack::StackError`] into `std::io::Error`.
//! Without it the crate needs `alloc` and libc.
#![no_std]
#![cfg_attr(abaca_asan, feature(sanitize))]

extern crate alloc;
// The corosensei backend needs thread-local storage, which only std has.
#[cfg(any(
    feature = "std",
    test,
    abaca_corosensei,
    not(all(
        target_pointer_width = "64",
        any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
    ))
))]
extern crate std;

#[cfg(not(target_os = "linux"))]
compile_error!("abaca-asm manages its stacks with Linux system calls; no other system is supported");

#[cfg_attr(
    any(abaca_asan, abaca_tsan, abaca_valgrind),
    allow(
        dead_code,
        unused_imports,
        reason = "these builds make no linked contexts, or set no thread pointer"
    )
)]
mod arch;
mod context;
#[cfg(feature = "std")]
pub mod coroutine;
mod float_control;
#[cfg(feature = "std")]
mod linking;
mod lock;
mod os;
mod prefetch;
#[cfg(any(abaca_asan, abaca_tsan))]
mod sanitizer;
pub mod stack;
mod switching;
#[cfg(abaca_valgrind)]
mod valgrind;
#[cfg(feature = "std")]
mod visit;

pub use context::{Context, Entry, Exit, Saved};
#[doc(hidden)]
pub use float_control::FloatControl;
pub use prefetch::prefetch;
pub use switching::{can_switch_with, leave_with, prepare, switch, switch_with, thread_pointer};
#[cfg(feature = "std")]
pub use visit::backtrace_from;
