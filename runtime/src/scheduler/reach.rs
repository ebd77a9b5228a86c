//! Reachability: whether an unwinding would get to its target, without passing a function that must not unwind, such as a C
//! library's callback. It is checked before a wait is ended for the unwinding, so such a function acts as a shield.

#![expect(unsafe_code, reason = "looks into the stacks of parked fibers")]

use abaca_asm::backtrace_from;
use abaca_asm::stack::StackPool;

use crate::cell::{Header, Waiter, note_relay};
use crate::os::fork::PerProcess;
use crate::os::unwind::{Path, seem_to_unwind};

/// Enough for the unwinder, many times over.
const STACK_BYTES: usize = 64 * 1024;

/// Stacks to run on while another stack is walked.
static STACKS: PerProcess<StackPool> = PerProcess::new(|| StackPool::new(STACK_BYTES));

/// Whether an unwinding of the caller gets to the frame with the address `to`, or to the first frame that catches it if `to`
/// is 0.
#[inline(never)]
pub(crate) fn can_unwind_here(to: usize) -> bool {
    note_relay();
    seem_to_unwind();
    let here = 0_u8;
    Path { from: std::hint::black_box(&raw const here).addr(), to }.can_unwind()
}

/// [`can_unwind_here`] for a parked fiber.
///
/// # Safety
///
/// The fiber is suspended in the wait of `waiter`, and must not go on meanwhile.
pub(super) unsafe fn can_unwind_parked(fiber: &Header, waiter: *const Waiter, to: usize) -> bool {
    note_relay();
    // Without a stack there is no answer. The fiber is then cancelled, unwinds, and finds out.
    let Ok(stack) = STACKS.lock().take() else { return true };
    let mut can_unwind = true;
    let mut walk = || can_unwind = Path { from: waiter.addr(), to }.can_unwind();
    // SAFETY: the caller's promise; the switch that suspended the fiber has saved its context. The stack is fresh, and to
    // walk needs little of it.
    unsafe { backtrace_from(fiber.context.get(), &stack, &mut walk) };
    STACKS.lock().give(stack);
    can_unwind
}
