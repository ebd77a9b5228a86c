//! An overflow of a fiber's stack, in a child process: it ends on the guard, by SIGSEGV.
#![expect(unsafe_code, reason = "switching is unsafe")]

use std::hint::black_box;

use abaca_asm::stack::{Guard, StackPool};
use abaca_asm::{Context, Exit, prepare, switch};

struct Fiber {
    caller: Context,
    own: Context,
}

#[inline(never)]
fn recurse(depth: usize) -> usize {
    let frame = black_box([depth; 32]);
    if depth == 0 { frame[0] } else { recurse(depth - 1) + frame[31] }
}

unsafe extern "C" fn recurse_to(depth: usize, fiber: *mut ()) -> Exit {
    let sum = recurse(depth);
    // SAFETY: the computation that continued us is suspended in `switch`.
    Exit { to: unsafe { (*fiber.cast::<Fiber>()).caller }, word: sum }
}

/// Recurses on a stack of 64 KiB in a child process and returns the child's wait status.
fn status_of_recursion(guard: Guard, depth: usize) -> i32 {
    let pool = StackPool::with_guard(64 * 1024, guard);
    // The one below is mapped as well: without its guard the overflow would run into it and go unnoticed.
    let (_below, stack) = (pool.take().expect("a stack"), pool.take().expect("a stack"));
    let mut fiber = Fiber { caller: Context::dangling(), own: Context::dangling() };
    let fiber = &raw mut fiber;
    // SAFETY: the stack is fresh; the child process alone runs the fiber, allocates nothing and takes no
    // lock.
    unsafe {
        (*fiber).own = prepare(stack.top(), recurse_to, fiber.cast());
        let child = libc::fork();
        assert!(child >= 0, "fork");
        if child == 0 {
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            switch(&raw mut (*fiber).caller, (*fiber).own, depth);
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    }
}

#[test]
fn an_overflow_dies_by_sigsegv_and_a_recursion_that_fits_does_not() {
    for guard in [Guard::Madvise, Guard::Mprotect] {
        let fits = status_of_recursion(guard, 50);
        assert!(libc::WIFEXITED(fits) && libc::WEXITSTATUS(fits) == 0, "status {fits}");
        let overflows = status_of_recursion(guard, 1_000);
        assert!(libc::WIFSIGNALED(overflows), "status {overflows}");
        assert_eq!(libc::WTERMSIG(overflows), libc::SIGSEGV);
    }
}
