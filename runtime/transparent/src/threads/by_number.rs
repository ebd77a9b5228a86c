//! What a thread may be asked and told of itself where the kernel's numbers are used: its processors by sched_setaffinity(2), its name by
//! prctl(2). The kernel would take its worker's thread, which others run on as well.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{CStr, c_char, c_int};

use abaca::hook;
use libc::{PR_GET_NAME, PR_SET_NAME, cpu_set_t, pid_t, pthread_t, size_t};

use super::attributes::{
    note_binding, pthread_getaffinity_np, pthread_getname_np, pthread_setaffinity_np, pthread_setname_np,
};
use super::identity;
use super::number::{is_caller, with_record};
use super::record::{Name, Record};
use crate::answer::{answer, failed};
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// sched_setaffinity(2).
    fn sched_setaffinity(thread: pid_t, bytes: size_t, set: *const cpu_set_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        if let Some(result) = of_fiber(thread, |thread| unsafe { pthread_setaffinity_np(thread, bytes, set) }) {
            return result;
        }
        note_binding();
        // SAFETY: as above.
        unsafe { own!(fn sched_setaffinity(pid_t, size_t, *const cpu_set_t) -> c_int)(thread, bytes, set) }
    }

    /// sched_getaffinity(2).
    fn sched_getaffinity(thread: pid_t, bytes: size_t, set: *mut cpu_set_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        if let Some(result) = of_fiber(thread, |thread| unsafe { pthread_getaffinity_np(thread, bytes, set) }) {
            return result;
        }
        // SAFETY: as above.
        unsafe { own!(fn sched_getaffinity(pid_t, size_t, *mut cpu_set_t) -> c_int)(thread, bytes, set) }
    }

    /// prctl(2), of which only the thread's name is looked at. It is variadic in C: its arguments are words, wherever they come from.
    fn prctl(what: c_int, first: usize, second: usize, third: usize, fourth: usize) -> c_int, |_| -> always {
        if hook::on_fiber() && [PR_SET_NAME, PR_GET_NAME].contains(&what) {
            let name = std::ptr::with_exposed_provenance_mut::<c_char>(first);
            // SAFETY: the caller's promise: a name, or room for one.
            let error = unsafe {
                if what == PR_SET_NAME { set_name(name) } else { pthread_getname_np(identity::current(), name, size_of::<Name>()) }
            };
            return answer(failed(error)) as c_int;
        }
        let own = own!(fn prctl(c_int, usize, usize, usize, usize) -> c_int);
        // SAFETY: as above.
        unsafe { own(what, first, second, third, fourth) }
    }
}

/// What a function of pthreads says of the thread of this number; `None` if that is no fiber.
fn of_fiber(thread: pid_t, ask: impl Fn(pthread_t) -> c_int) -> Option<c_int> {
    let of_record = |record: &Record| ask(record.thread());
    let error = if is_caller(thread) { ask(identity::current()) } else { with_record(thread, of_record)? };
    Some(answer(failed(error)) as c_int)
}

/// As the kernel: what is too long is cut off.
///
/// # Safety
///
/// The name can be read.
unsafe fn set_name(name: *const c_char) -> c_int {
    let mut short = Name::default();
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    let count = bytes.len().min(short.len() - 1);
    short[..count].copy_from_slice(&bytes[..count]);
    // SAFETY: a name of this function's.
    unsafe { pthread_setname_np(identity::current(), short.as_ptr().cast()) }
}
