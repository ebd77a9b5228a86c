//! The stack of the calling fiber.

#![expect(unsafe_code, reason = "looks at the calling fiber")]

use crate::os::thread;
use crate::scheduler;

/// How many bytes of its stack the caller has left, at this point of the program: on a fiber, in a coroutine, and on a plain thread.
/// `None` if a thread's stack is not known.
///
/// A recursion can look before it goes deeper, and give up (or move to another stack) in time. What calls of std and of C libraries
/// need, [`Builder::stack_size`](crate::runtime::Builder::stack_size) says; a few KiB are not enough for them.
///
/// ```
/// # abaca::run(|| {
/// fn depth(n: u32) -> Result<u32, &'static str> {
///     if abaca::stack::remaining().is_some_and(|bytes| bytes < 32 * 1024) {
///         return Err("too deep");
///     }
///     if n == 0 { Ok(0) } else { Ok(1 + std::hint::black_box(depth(n - 1))?) }
/// }
///
/// assert_eq!(depth(10), Ok(10));
/// assert_eq!(depth(1_000_000), Err("too deep"));
/// # });
/// ```
pub fn remaining() -> Option<usize> {
    let here = 0_u8;
    let here = std::hint::black_box(&raw const here).addr();
    let within = |(bottom, top): (usize, usize)| (bottom..top).contains(&here).then(|| here - bottom);
    if let Some(me) = scheduler::current_fiber() {
        // SAFETY: the caller is this fiber.
        let own = unsafe { me.as_ref() }.stack_range().map(|(guard, top)| (guard.end, top));
        if let Some(left) = own.and_then(within) {
            return Some(left);
        }
    }
    // In a coroutine, or on the thread's own stack.
    abaca_asm::stack::bounds_at(here).and_then(within).or_else(|| thread::stack_bounds().and_then(within))
}
