//! Tells valgrind where stacks are, under `--cfg abaca_valgrind`, so that it does not take a switch for a stack
//! that grows by a gigabyte.
//!
//! A request to valgrind is a sequence of instructions that does nothing on a processor, with the arguments
//! in registers. Only x86_64 has one here; on other architectures nothing is registered.
#![expect(unsafe_code, reason = "a request to valgrind is a sequence of instructions")]

#[cfg(target_arch = "x86_64")]
use core::arch::asm;

/// `VG_USERREQ__STACK_REGISTER` of valgrind.h: the arguments are the lowest and the highest address, the
/// answer is an id.
const STACK_REGISTER: usize = 0x1501;

/// `VG_USERREQ__STACK_DEREGISTER`: the argument is the id.
const STACK_DEREGISTER: usize = 0x1502;

/// `VG_USERREQ__MAKE_MEM_UNDEFINED` of memcheck.h: the arguments are an address and a length.
const MAKE_MEMORY_UNDEFINED: usize = 0x4D43_0001;

/// Registers a stack and returns its id. Outside of valgrind the id is 0 and means nothing.
pub(crate) fn register_stack(bottom: *mut u8, top: *mut u8) -> usize {
    request([STACK_REGISTER, bottom.addr(), top.addr() - 1, 0, 0, 0])
}

/// Lets valgrind forget a stack that is about to be unmapped.
pub(crate) fn deregister_stack(id: usize) {
    request([STACK_DEREGISTER, id, 0, 0, 0, 0]);
}

/// Declares the memory below `top` writable. Memcheck takes memory that the stack pointer has risen above
/// for unused, but a stack that is prepared again is written to before the stack pointer is in it.
pub(crate) fn allow_writing_below(top: *mut u8, bytes: usize) {
    request([MAKE_MEMORY_UNDEFINED, top.addr() - bytes, bytes, 0, 0, 0]);
}

#[cfg(target_arch = "x86_64")]
fn request(arguments: [usize; 6]) -> usize {
    let mut answer = 0_usize;
    // SAFETY: the rotations add up to twice the width of the register, so nothing changes; neither does the
    // exchange of a register with itself. Valgrind, which looks out for this sequence, reads the arguments
    // and sets rdx.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") answer,
            options(nostack),
        );
    }
    answer
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_arguments: [usize; 6]) -> usize {
    0
}
