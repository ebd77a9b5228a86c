//! Looking at the frames of a suspended computation, with an unwinder that can only begin with the frames of its caller.
#![expect(unsafe_code, reason = "prepares a stack and switches to it")]

use crate::context::Context;
use crate::linking::{End, Link, Word, bury, finish, prepare_visit, resume};
use crate::stack::Stack;

/// What `enter` needs, at the top of the stack that it runs on.
#[repr(C)]
struct Visit<'a> {
    /// The first field: a pointer to it is a pointer to the whole.
    link: Link,
    suspended: Context,
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
/// * `suspended` was saved by [`switch`](crate::switch), and is not continued before this returns.
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
    // SAFETY: the caller promises that nothing else uses the stack, whose top is a multiple of 64. `enter` is called with the link
    // of the visit that lies there, and ends.
    unsafe {
        let visit = stack.top().cast::<Visit<'_>>().sub(1);
        visit.write(Visit { link: Link::closed(), suspended, look });
        let link = visit.cast::<Link>();
        prepare_visit(link, enter);
        resume(link, (*link).coroutine.get(), Word::uninit());
        bury(link);
    }
    true
}

/// # Safety
///
/// `link` is that of a `Visit` whose owner is suspended.
unsafe extern "C" fn enter(_: Word, link: *const Link) {
    let visit = link.cast_mut().cast::<Visit<'_>>();
    // SAFETY: the contract of this function. While it looks, the link holds a context that was saved by a switch.
    unsafe {
        let back = (*link).resumer.replace((*visit).suspended);
        ((*visit).look)();
        (*link).resumer.set(back);
        finish(link, Word::uninit(), End::DROPPED);
    }
}
