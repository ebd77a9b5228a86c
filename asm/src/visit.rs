//! Looking at the frames of a suspended computation, with an unwinder that can only begin with the frames of its caller.
#![expect(unsafe_code, reason = "prepares a stack and switches to it")]

use crate::context::{Context, Exit};
use crate::stack::Stack;
use crate::switching::{prepare_linked, switch};

/// The part of the frame of [`backtrace_from`] that `enter` uses while it is suspended.
struct Visit<'a> {
    back: Context,
    look: &'a mut dyn FnMut(),
}

/// Calls `look` on `stack`. A backtrace from there goes on into `suspended`, as it does from a coroutine into its resumer.
///
/// In builds in which it does not, with a sanitizer or on the corosensei backend, it returns `false` and calls nothing. A panic
/// of `look` aborts the process.
///
/// ```
/// # use abaca_asm::{backtrace_from, stack::StackPool};
/// let pool = StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// # let suspended = abaca_asm::Context::dangling();
/// // SAFETY: the stack is fresh, and nothing takes a backtrace.
/// unsafe { backtrace_from(suspended, &stack, &mut || println!("from another stack")) };
/// pool.give(stack);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
///
/// # Safety
///
/// * `suspended` was saved by [`switch`], and is not continued before this returns.
/// * Nothing else uses `stack`, which is big enough for `look`, and `look` switches to no other stack.
pub unsafe fn backtrace_from(suspended: Context, stack: &Stack, look: &mut dyn FnMut()) -> bool {
    if cfg!(any(
        abaca_asan,
        abaca_tsan,
        abaca_corosensei,
        not(all(
            target_pointer_width = "64",
            any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86_64")
        ))
    )) {
        return false;
    }
    let mut visit = Visit { back: Context::dangling(), look };
    let visit = &raw mut visit;
    // SAFETY: the caller promises that nothing else uses the stack, and `enter` is called with a visit that outlives it. While
    // it runs, the place holds a context that was saved by `switch`. The continued context is freshly prepared, and switches
    // back.
    unsafe {
        let (context, resumer) = prepare_linked(stack.top(), enter, visit.cast());
        resumer.write(suspended);
        switch(&raw mut (*visit).back, context, 0);
    }
    true
}

/// # Safety
///
/// `visit` is a `Visit` whose owner is suspended.
unsafe extern "C" fn enter(_word: usize, visit: *mut ()) -> Exit {
    let visit = visit.cast::<Visit<'_>>();
    // SAFETY: the contract of this function.
    unsafe {
        ((*visit).look)();
        Exit { to: (*visit).back, word: 0 }
    }
}
