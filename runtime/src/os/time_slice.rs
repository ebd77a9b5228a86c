//! A thread's time slice: how long it may keep a processor that others wait for, and so how soon it gets one.
//!
//! Since Linux 6.12 a thread of the usual policies may have a slice of its own (`sched_setattr(2)`). Its share of the processors stays
//! the same. A thread with a shorter slice that wakes up runs before those that compute with a longer one; no right is needed for either.
//! Older kernels do not tell the slice, and then nothing is changed.

#![expect(unsafe_code, reason = "system calls that take a structure")]

use std::mem::MaybeUninit;
use std::time::Duration;

use libc::sched_attr;

/// Of what the kernel tells of a thread, what must be said again: a process without the right to cannot undo it.
const RESET_ON_FORK: u64 = 1;

/// The policies that have slices: all but those of real time and `SCHED_IDLE`.
const HAVE_SLICES: [i32; 2] = [libc::SCHED_OTHER, libc::SCHED_BATCH];

/// The slice of the thread with this id. `None` if its policy has none, or the kernel does not tell.
pub(crate) fn of(thread_id: i32) -> Option<Duration> {
    attributes(thread_id).map(|attributes| Duration::from_nanos(attributes.sched_runtime))
}

/// Gives the thread with this id a slice, of which the kernel allows 0.1 to 100 ms. Does nothing if its policy has none, or the kernel knows of none.
pub(crate) fn set(thread_id: i32, slice: Duration) {
    let Some(mut attributes) = attributes(thread_id) else { return };
    attributes.sched_flags &= RESET_ON_FORK;
    attributes.sched_runtime = slice.as_nanos() as u64;
    // SAFETY: sched_setattr(2) reads a live local of the size that it names.
    unsafe { libc::syscall(libc::SYS_sched_setattr, thread_id, &raw const attributes, 0) };
}

fn attributes(thread_id: i32) -> Option<sched_attr> {
    let mut attributes = MaybeUninit::<sched_attr>::zeroed();
    // SAFETY: sched_getattr(2) writes at most as many bytes as it is told there are, to a live local.
    let result = unsafe {
        libc::syscall(libc::SYS_sched_getattr, thread_id, attributes.as_mut_ptr(), size_of::<sched_attr>(), 0)
    };
    // SAFETY: it is made of numbers, which are zero where the kernel has written nothing.
    let attributes = unsafe { attributes.assume_init() };
    let has_slice =
        HAVE_SLICES.contains(&attributes.sched_policy.cast_signed()) && attributes.sched_runtime != 0;
    (result == 0 && has_slice).then_some(attributes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::os::thread;

    #[test]
    fn a_thread_gets_the_slice_that_it_is_given_where_there_are_slices() {
        let me = thread::id();
        let Some(usual) = of(me) else { return };
        for slice in [usual / 2, 2 * usual, usual] {
            set(me, slice);
            assert_eq!(of(me), Some(slice));
        }
        assert_eq!(of(i32::MAX - 1), None);
    }
}
