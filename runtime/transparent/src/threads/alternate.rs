//! Alternate stacks for handlers of signals.
//!
//! The kernel has one for each of its threads. A fiber that set one up there would leave it to all others on the thread, and the thread without one when
//! the memory is gone. So what a fiber asks for is kept, and told; its handlers run on the stack that the runtime has given the thread.

#![expect(unsafe_code, reason = "takes the place of a function of libc")]

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;

use abaca::hook;
use libc::{EINVAL, ENOMEM, EPERM, SS_DISABLE, SS_ONSTACK, stack_t};

use crate::answer::{answer, failed};
use crate::hooks::hooks;
use crate::own::own;

/// A flag of the kernel's, which libc's headers do not have.
const SS_AUTODISARM: c_int = 1 << 31;

thread_local! {
    /// What the fiber has asked for: an address and a size, which is 0 if it has asked for none.
    static ASKED: Cell<(usize, usize)> = const { Cell::new(NEVER) };
}

/// The fiber has never asked.
const NEVER: (usize, usize) = (usize::MAX, 0);

hooks! {
    /// sigaltstack(2).
    fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int, |_| -> always {
        // Who only looks, and has never asked, is told of the one that there is.
        if !hook::on_fiber() || new.is_null() && ASKED.get() == NEVER {
            // SAFETY: the caller's promise.
            return unsafe { own!(fn sigaltstack(*const stack_t, *mut stack_t) -> c_int)(new, old) };
        }
        // SAFETY: as above.
        answer(failed(unsafe { exchange(new, old) })) as c_int
    }
}

/// The result is an error number, or 0.
///
/// # Safety
///
/// As sigaltstack(2).
unsafe fn exchange(new: *const stack_t, old: *mut stack_t) -> c_int {
    let here = ptr::from_ref(&new).addr();
    let (start, bytes) = ASKED.get();
    let is_used = (start..start + bytes).contains(&here);
    let before = if bytes == 0 {
        stack_t { ss_sp: ptr::null_mut(), ss_flags: SS_DISABLE, ss_size: 0 }
    } else {
        stack_t {
            ss_sp: ptr::with_exposed_provenance_mut(start),
            ss_flags: if is_used { SS_ONSTACK } else { 0 },
            ss_size: bytes,
        }
    };
    // SAFETY: the caller's promise.
    if let Some(new) = unsafe { new.as_ref() } {
        if is_used {
            return EPERM;
        }
        match new.ss_flags & !SS_AUTODISARM {
            SS_DISABLE => ASKED.set((0, 0)),
            0 | SS_ONSTACK if new.ss_size < libc::MINSIGSTKSZ => return ENOMEM,
            0 | SS_ONSTACK => ASKED.set((new.ss_sp.expose_provenance(), new.ss_size)),
            _ => return EINVAL,
        }
    }
    if !old.is_null() {
        // SAFETY: the caller's promise.
        unsafe { old.write(before) };
    }
    0
}
