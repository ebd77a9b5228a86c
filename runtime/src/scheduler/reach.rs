//! Whether an unwinding would get where it is to: not through a function that must not unwind, such as a C library's
//! callback. Asked before a wait is ended for it, and so such a call is a shield.

#![expect(unsafe_code, reason = "looks into the stacks of parked fibers")]

use std::sync::LazyLock;

use abaca_asm::backtrace_from;
use abaca_asm::stack::StackPool;

use crate::cell::{Header, Waiter, make_relay_known};
use crate::os::unwind::Path;

/// Enough for the unwinder, many times over.
const STACK_BYTES: usize = 64 * 1024;

/// Where one stands to look at another stack.
static STACKS: LazyLock<StackPool> = LazyLock::new(|| StackPool::new(STACK_BYTES));

/// Whether an unwinding of the caller gets to the frame with the address `to`; to whoever catches it first, if that is 0.
#[inline(never)]
pub(crate) fn is_free_here(to: usize) -> bool {
    make_relay_known();
    let here = 0_u8;
    Path { from: std::hint::black_box(&raw const here).addr(), to }.is_free()
}

/// [`is_free_here`] of a parked fiber.
///
/// # Safety
///
/// The fiber is suspended in the wait of `waiter`, and does not go on meanwhile.
pub(super) unsafe fn is_free_of(fiber: &Header, waiter: *const Waiter, to: usize) -> bool {
    make_relay_known();
    // Without a stack nobody knows. Who is cancelled then unwinds, and finds out.
    let Ok(stack) = STACKS.take() else { return true };
    let mut is_free = true;
    let mut look = || is_free = Path { from: waiter.addr(), to }.is_free();
    // SAFETY: the caller's promise; the switch that suspended the fiber has saved its context. The stack is fresh, and to
    // walk needs little of it.
    unsafe { backtrace_from(fiber.context.get(), &stack, &mut look) };
    STACKS.give(stack);
    is_free
}
