//! Contexts (swapcontext(3)), which have masks of signals, and handlers that leave by one. `preload/jumps.c` has more, and jumps.

#![expect(unsafe_code, reason = "calls C functions")]

use std::cell::UnsafeCell;
use std::mem::zeroed;
use std::ptr::null_mut;

use libc::{SIG_BLOCK, SIG_SETMASK, SIGUSR1, SIGUSR2, c_int, ucontext_t};

use crate::masks::{change, state};

/// A thread's two contexts.
struct Contexts {
    outer: UnsafeCell<ucontext_t>,
    inner: UnsafeCell<ucontext_t>,
}

thread_local! {
    // SAFETY: all zeros are a context that nobody has got yet.
    static CONTEXTS: Contexts = const { unsafe { zeroed() } };
}

fn contexts() -> (*mut ucontext_t, *mut ucontext_t) {
    CONTEXTS.with(|contexts| (contexts.outer.get(), contexts.inner.get()))
}

extern "C" fn leaves(_: c_int) {
    // SAFETY: the thread waits there.
    unsafe { libc::setcontext(contexts().0) };
}

extern "C" fn inside() {
    let (outer, inner) = contexts();
    println!("inside: {}", state());
    change(SIG_BLOCK, &[SIGUSR2]);
    // SAFETY: both are this thread's.
    unsafe {
        libc::swapcontext(inner, outer);
        println!("inside again: {}", state());
        libc::raise(SIGUSR1);
        println!("not here");
    }
}

fn work() {
    let mut stack = vec![0_u8; 1 << 17];
    let (outer, inner) = contexts();
    change(SIG_SETMASK, &[]);
    // SAFETY: contexts of this thread's, and a stack that it has as long.
    unsafe {
        libc::signal(SIGUSR1, leaves as *const () as usize);
        libc::getcontext(inner);
        (*inner).uc_stack.ss_sp = stack.as_mut_ptr().cast();
        (*inner).uc_stack.ss_size = stack.len();
        (*inner).uc_link = null_mut();
        libc::makecontext(inner, inside, 0);
        for mask in [&[SIGUSR1][..], &[]] {
            change(SIG_SETMASK, mask);
            libc::swapcontext(outer, inner);
            println!("outside: {}", state());
        }
        libc::signal(SIGUSR1, libc::SIG_IGN);
    }
    // The calls of a thread that has left a handler park it.
    std::thread::sleep(std::time::Duration::from_millis(1));
    change(SIG_SETMASK, &[]);
}

pub(super) fn of_threads() {
    work();
    std::thread::spawn(work).join().unwrap();
}
