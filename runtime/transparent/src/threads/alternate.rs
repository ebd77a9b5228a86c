//! sigaltstack(2). The kernel keeps one for each of its threads, and a fiber is on any of them: one that it had set for its OS thread would stay there
//! when the fiber has gone elsewhere, and when its memory is freed. So what a fiber sets is kept here, and told to it, and its handlers run
//! on the stack that the runtime has given its OS threads.

#![expect(unsafe_code, reason = "takes the place of a function of libc")]

use std::cell::Cell;
use std::ffi::c_int;

use abaca::hook;
use libc::{EINVAL, ENOMEM, EPERM, SS_DISABLE, SS_ONSTACK, stack_t};

use crate::answer::{answer, failed};
use crate::hooks::hooks;
use crate::own::own;

thread_local! {
    /// What the calling fiber has set; `None` if it has set nothing.
    static SET: Cell<Option<stack_t>> = const { Cell::new(None) };
}

/// The flag that takes a stack off while a handler runs there (`SS_AUTODISARM`).
const TAKEN_OFF: c_int = 1 << 31;

/// The least that the kernel takes on any processor.
const LEAST: usize = 2048;

/// What the stack becomes, or the error of one that the kernel refuses.
fn checked(new: &stack_t) -> Result<stack_t, c_int> {
    match new.ss_flags & !TAKEN_OFF {
        SS_DISABLE => Ok(stack_t { ss_sp: std::ptr::null_mut(), ss_flags: SS_DISABLE, ss_size: 0 }),
        0 | SS_ONSTACK if new.ss_size < LEAST => Err(ENOMEM),
        0 | SS_ONSTACK => Ok(stack_t { ss_flags: new.ss_flags & TAKEN_OFF, ..*new }),
        _ => Err(EINVAL),
    }
}

hooks! {
    /// sigaltstack(2).
    fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int, |_| -> always {
        let own = own!(fn sigaltstack(*const stack_t, *mut stack_t) -> c_int);
        if !hook::on_fiber() {
            // SAFETY: the caller's promise.
            return unsafe { own(new, old) };
        }
        let mut told = stack_t { ss_sp: std::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
        // SAFETY: writes a local. A handler may run on it now.
        let is_used = unsafe { own(std::ptr::null(), &mut told) } == 0 && told.ss_flags & SS_ONSTACK != 0;
        if let Some(set) = SET.get() {
            told = set;
            told.ss_flags |= if is_used && set.ss_flags & SS_DISABLE == 0 { SS_ONSTACK } else { 0 };
        }
        // SAFETY: the caller's promise.
        if let Some(new) = unsafe { new.as_ref() } {
            match checked(new) {
                _ if is_used => return answer(failed(EPERM)) as c_int,
                Ok(set) => SET.set(Some(set)),
                Err(error) => return answer(failed(error)) as c_int,
            }
        }
        if !old.is_null() {
            // SAFETY: the caller's promise.
            unsafe { old.write(told) };
        }
        0
    }
}
