//! Children of vfork(2), which use the memory of their parent until they begin another program. What such a child changes for itself, such as
//! handlers and masks of signals, must not change what is noted of its parent.

#![expect(unsafe_code, reason = "asks for the process's number, and changes masks")]

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use abaca::hook::AtFork;
use libc::{SIG_SETMASK, sigset_t};

use super::masks;
use crate::calls::kick::set_mask;
use crate::kernel::kernel;

/// The process that the notes are of; 0 before `install`.
static OWNER: AtomicI32 = AtomicI32::new(0);

thread_local! {
    /// The last child of the caller's that has changed its mask: its number, and what it blocks.
    static MASK: Cell<(i32, u64)> = const { Cell::new((0, 0)) };
}

fn process() -> i32 {
    // SAFETY: no memory is involved.
    unsafe { kernel!(libc::SYS_getpid) as i32 }
}

/// The notes are of the calling process, and of its copies by fork(2) in turn.
pub(crate) fn own_notes() {
    static WATCH: AtFork = AtFork::in_each_copy(begin_anew);
    OWNER.store(process(), Ordering::Relaxed);
    WATCH.set_up();
}

extern "C" fn begin_anew() {
    OWNER.store(process(), Ordering::Relaxed);
}

/// Whether the caller is a child that uses its parent's memory.
pub(super) fn is_child() -> bool {
    let owner = OWNER.load(Ordering::Relaxed);
    owner != 0 && owner != process()
}

/// What the calling child blocks; on another fiber what that blocks.
pub(super) fn blocked() -> u64 {
    match MASK.get() {
        (child, mask) if child == process() => mask,
        _ => masks::blocked(),
    }
}

/// Changes the mask of the calling child, which has begun with that of the fiber that has made it. The result is an error number, or 0.
///
/// # Safety
///
/// As pthread_sigmask(3).
pub(super) unsafe fn change_mask(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int {
    let before = blocked();
    // SAFETY: the caller's promise.
    let now = match unsafe { masks::changed(before, how, new) } {
        Ok(now) => now,
        Err(error) => return error,
    };
    // SAFETY: as above; a set of this function's.
    unsafe {
        masks::write(old, before);
        let mut set = MaybeUninit::uninit();
        masks::write(set.as_mut_ptr(), now);
        set_mask(SIG_SETMASK, set.as_ptr(), ptr::null_mut());
    }
    MASK.set((process(), now));
    0
}
