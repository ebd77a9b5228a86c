//! The switches of `linking.rs`, once per architecture that has them by hand.
//!
//! # Frame pointers
//!
//! A profiler that follows frame pointers reads two words at each: the frame pointer of the caller, and the return address. The
//! coroutine's first function is called with the address of its link as its frame pointer, for good. The first two words there are the
//! context of the resumer, which each `resume` writes, and an address in `resumed_by`, for want of another. The context begins with the
//! same two words of the resumer: its frame pointer, and where it goes on. That is why `resume` saves the frame pointer on the
//! coroutine's side, below the return address, and not where `switch` saves it. It takes no instruction more. (On riscv64 the words lie
//! below the address, and so it takes one in each direction, as no other register has the address.)
//!
//! ```text
//! frames of the coroutine ... its first -> link: | context  | -> context: | frame pointer | -> the resumer's caller ...
//!                                                | resumed_by |           | where it goes on, in the resumer |
//! ```
//!
//! Rejected: to write the resumer's frame pointer into the first function's own frame, as that has no known place, and none at all in a
//! program without frame pointers.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as backend;
#[cfg(target_arch = "riscv64")]
use riscv64 as backend;
#[cfg(target_arch = "x86_64")]
use x86_64 as backend;

pub(crate) use backend::{REFUSAL, RESUMED_BY, bury, finish, make_visit, prepare_linked, resume, suspend};

#[cfg(test)]
#[expect(unsafe_code, reason = "follows frame pointers over a switch")]
mod tests {
    use core::arch::{asm, naked_asm};
    use core::ffi::c_void;
    use std::vec::Vec;

    use super::RESUMED_BY;
    use crate::linking::{Link, Word, prepare_linked, resume, suspend};
    use crate::stack::StackPool;

    /// A frame, as profilers see it: the frame pointer of the caller, and the return address.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Frame(usize, usize);

    /// How far below a frame pointer its frame lies.
    const BELOW: usize = if cfg!(target_arch = "riscv64") { 16 } else { 0 };

    /// Makes a frame, and calls [`body`] with the link and the frame pointer.
    #[unsafe(naked)]
    unsafe extern "C" fn entry(_: Word, _: *const Link) {
        #[cfg(target_arch = "x86_64")]
        naked_asm!("push rbp", "mov rbp, rsp", "mov rdi, rsi", "mov rsi, rbp", "call {body}", "ud2", body = sym body);
        #[cfg(target_arch = "aarch64")]
        naked_asm!(
            "stp x29, x30, [sp, #-16]!", "mov x29, sp", "mov x0, x1", "mov x1, x29", "bl {body}", "brk #1",
            body = sym body,
        );
        #[cfg(target_arch = "riscv64")]
        naked_asm!(
            "addi sp, sp, -16", "sd ra, 8(sp)", "sd s0, 0(sp)", "addi s0, sp, 16",
            "mv a0, a1", "mv a1, s0", "call {body}", "ebreak",
            body = sym body,
        );
    }

    /// Suspends with the frames up to the resumer's.
    unsafe extern "C" fn body(link: *const Link, frame_pointer: usize) -> ! {
        loop {
            let (mut frames, mut at) = (Vec::new(), frame_pointer);
            for _ in 0..3 {
                // SAFETY: the first is `entry`'s, and the others are what is tested.
                frames.push(unsafe { core::ptr::with_exposed_provenance::<Frame>(at - BELOW).read() });
                at = frames[frames.len() - 1].0;
            }
            // SAFETY: this is the coroutine; the frames are read before it goes on.
            unsafe { suspend(link, Word::new((&raw mut frames).cast())) };
        }
    }

    #[inline(always)]
    fn frame_pointer() -> usize {
        let frame_pointer;
        // SAFETY: reads a register.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "aarch64")]
            asm!("mov {}, x29", out(reg) frame_pointer, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "riscv64")]
            asm!("mv {}, s0", out(reg) frame_pointer, options(nomem, nostack, preserves_flags));
        }
        frame_pointer
    }

    unsafe extern "C" {
        /// The address of the function that contains an address.
        fn _Unwind_FindEnclosingFunction(pc: *mut c_void) -> *mut c_void;
    }

    fn function_at(address: usize) -> usize {
        // SAFETY: reads the tables of the program.
        unsafe { _Unwind_FindEnclosingFunction(core::ptr::without_provenance_mut(address)) }.addr()
    }

    #[inline(always)]
    fn frames_of(link: *const Link) -> Vec<Frame> {
        // SAFETY: the coroutine is suspended, or has not begun, and suspends with frames that stay until it goes on.
        unsafe {
            let before = frame_pointer();
            let (word, is_suspended, _) = resume(link, (*link).coroutine.get(), Word::uninit());
            let after = frame_pointer();
            assert!(is_suspended);
            let frames = (*word.assume_init().cast::<Vec<Frame>>()).clone();
            // The compiler may use the register for something else meanwhile.
            assert!(
                before != after || frames[2].0 == before,
                "the chain goes on with the resumer's frame pointer"
            );
            frames
        }
    }

    #[inline(never)]
    fn first_resumer(link: *const Link) -> (Vec<Frame>, &'static str) {
        (frames_of(link), "first")
    }

    #[inline(never)]
    fn second_resumer(link: *const Link) -> (Vec<Frame>, &'static str) {
        (frames_of(link), "second")
    }

    #[test]
    fn frame_pointers_lead_from_a_coroutine_to_the_resumer_of_the_moment() {
        let pool = StackPool::new(64 * 1024);
        let stack = pool.take().unwrap();
        let link = stack.top().cast::<Link>().wrapping_sub(1);
        // SAFETY: the stack is fresh, and stays until the end.
        unsafe { prepare_linked(link, entry) };
        type Resumer = fn(*const Link) -> (Vec<Frame>, &'static str);
        for resumer in [first_resumer as Resumer, second_resumer, first_resumer] {
            let (frames, name) = resumer(link);
            let [own, linked, resumers] = frames[..] else { panic!("{frames:?}") };
            assert_eq!(own.0, link.addr() + BELOW, "the first function's caller is the link's frame");
            assert_eq!(linked.1, RESUMED_BY.addr());
            assert_eq!(function_at(resumers.1), resumer as usize, "{name}");
        }
        pool.give(stack);
    }
}
