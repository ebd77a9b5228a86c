//! The switch, once per architecture: each file has the same items, `switch`, `prepare`, what `linking.rs` names for coroutines, and for
//! computations with thread-local storage of their own `switch_with`, `leave_with` and `thread_pointer`. Each keeps its register contract, its frame
//! and its call frame information to itself.
//!
//! x86_64, aarch64 and riscv64 are written by hand. Every other architecture uses corosensei, and
//! `--cfg abaca_corosensei` selects that backend on these three as well, so that it can be tested there.
//!
//! # Why inline, and why neither `call` nor `ret`
//!
//! A switch returns into another caller than the one that called it, and a processor's return predictor cannot follow that: such
//! a `ret` costs a misprediction, and an unmatched `call` shifts the predictor's stack, so that the later returns of the fiber
//! miss too. If the switch is inlined, each place that switches has an indirect jump of its own, which is predicted by where it
//! went before. And the compiler, told that every register is overwritten, saves only those that are alive at that place.

#[cfg(all(not(abaca_corosensei), target_pointer_width = "64", target_arch = "aarch64"))]
mod aarch64;
#[cfg(all(not(abaca_corosensei), target_pointer_width = "64", target_arch = "aarch64"))]
use aarch64 as backend;

#[cfg(all(not(abaca_corosensei), target_pointer_width = "64", target_arch = "riscv64"))]
mod riscv64;
#[cfg(all(not(abaca_corosensei), target_pointer_width = "64", target_arch = "riscv64"))]
use riscv64 as backend;

#[cfg(all(not(abaca_corosensei), target_pointer_width = "64", target_arch = "x86_64"))]
mod x86_64;
#[cfg(all(not(abaca_corosensei), target_pointer_width = "64", target_arch = "x86_64"))]
use x86_64 as backend;

#[cfg(any(
    abaca_corosensei,
    not(all(
        target_pointer_width = "64",
        any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
    ))
))]
mod corosensei;
#[cfg(any(
    abaca_corosensei,
    not(all(
        target_pointer_width = "64",
        any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
    ))
))]
use self::corosensei as backend;

#[cfg(all(
    feature = "std",
    not(any(abaca_corosensei, abaca_asan, abaca_tsan)),
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
))]
pub(crate) mod linked;
pub(crate) use backend::{SAVED, prepare, switch};

/// Switches to computations with thread-local storage of their own.
#[cfg(all(
    not(any(abaca_corosensei, abaca_asan, abaca_tsan, abaca_valgrind)),
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
))]
pub(crate) mod own_storage {
    pub(crate) use super::backend::{leave_with, switch_with, thread_pointer};

    /// Whether this build has them.
    pub(crate) const IS_BUILT: bool = true;
}

/// The same where nobody may call them.
#[cfg(not(all(
    not(any(abaca_corosensei, abaca_asan, abaca_tsan, abaca_valgrind)),
    target_pointer_width = "64",
    any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
)))]
#[expect(unsafe_code, reason = "has the contracts of the switches")]
pub(crate) mod own_storage {
    use crate::context::Context;

    pub(crate) const IS_BUILT: bool = false;

    pub(crate) unsafe fn switch_with(_: *mut Context, _: Context, _: usize, _: *mut ()) -> usize {
        never()
    }

    pub(crate) unsafe fn leave_with(_: Context, _: usize, _: *mut ()) -> ! {
        never()
    }

    pub(crate) fn thread_pointer() -> *mut () {
        never()
    }

    fn never() -> ! {
        unreachable!("this build cannot switch with a thread pointer")
    }
}
