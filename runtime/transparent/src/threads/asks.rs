//! System calls about a thread by its number (gettid(2)), besides those of `number.rs` and `by_number.rs`. The kernel does not know a fiber's: it is asked
//! of the caller's OS thread instead.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_long, c_ulong, c_void};

use libc::{EPERM, ESRCH, iovec, pid_t, rlimit, rlimit64, ssize_t, timespec};

use super::by_number::{sched_getaffinity, sched_setaffinity};
use super::number::{is_caller, is_fibers, of_kernel, with_record};
use super::priorities;
use crate::answer::{answer, failed, of_c};
use crate::hooks::hooks;
use crate::kernel::{self, kernel};
use crate::own::own;

/// What capget(2) and capset(2) are asked of. The kernel writes a version that it knows.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    version: u32,
    thread: pid_t,
}

/// `IOPRIO_WHO_PROCESS`: a thread, or a process.
const OF_THREAD: usize = 1;

/// Which of the arguments of a system call is a thread's number, or a process's.
fn place(call: c_long, first: usize) -> Option<usize> {
    match call {
        libc::SYS_getpgid
        | libc::SYS_getsid
        | libc::SYS_get_robust_list
        | libc::SYS_move_pages
        | libc::SYS_prlimit64
        | libc::SYS_process_vm_readv
        | libc::SYS_process_vm_writev
        | libc::SYS_sched_getattr
        | libc::SYS_sched_getparam
        | libc::SYS_sched_getscheduler
        | libc::SYS_sched_rr_get_interval
        | libc::SYS_sched_setattr
        | libc::SYS_sched_setparam
        | libc::SYS_sched_setscheduler => Some(0),
        libc::SYS_perf_event_open => Some(1),
        libc::SYS_getpriority | libc::SYS_setpriority => (first == libc::PRIO_PROCESS as usize).then_some(1),
        libc::SYS_ioprio_get | libc::SYS_ioprio_set => (first == OF_THREAD).then_some(1),
        _ => None,
    }
}

/// `struct f_owner_ex`: whom the signals of a file are for.
#[repr(C)]
struct Owner {
    kind: c_int,
    number: pid_t,
}

/// `F_SETOWN_EX`, and the kind of an owner that is a thread.
const SETS_OWNER: c_int = 15;
const IS_THREAD: c_int = 0;

/// fcntl(F_SETOWN_EX), of which the kernel has said that the owner is unknown, once more if that is the calling fiber; else `None`.
///
/// # Safety
///
/// The arguments are those of the call, which the kernel has looked at.
pub(crate) unsafe fn owned_by_caller(fd: c_int, command: c_int, argument: usize) -> Option<isize> {
    if command != SETS_OWNER {
        return None;
    }
    // SAFETY: the caller's promise.
    let Owner { kind, number } = unsafe { (argument as *const Owner).read() };
    if kind != IS_THREAD || !is_fibers(number) || !is_caller(number) {
        return None;
    }
    let owner = Owner { kind, number: of_kernel(number) };
    // SAFETY: the kernel reads a local.
    Some(unsafe { kernel!(libc::SYS_fcntl, fd, command, &raw const owner) })
}

/// Makes a system call, in which the caller's number is one that the kernel knows.
///
/// # Safety
///
/// The arguments are those of the call.
pub(super) unsafe fn call(number: c_long, mut arguments: [usize; 6]) -> isize {
    // SAFETY: the caller's promise.
    let of_fiber =
        unsafe { of_processors(number, arguments).or_else(|| priorities::system_call(number, arguments)) };
    if let Some(result) = of_fiber {
        return result;
    }
    if let Some(argument) = place(number, arguments[0]).map(|place| &mut arguments[place])
        && is_fibers(*argument as pid_t)
    {
        *argument = of_kernel(*argument as pid_t) as usize;
    }
    // SAFETY: the caller's promise, here and below.
    let result = unsafe { kernel::call(number, arguments) };
    // There is no such thread; or it is not the caller, who can change its own only.
    let is_unknown = match number {
        libc::SYS_capget => result == failed(ESRCH),
        libc::SYS_capset => result == failed(EPERM),
        _ => false,
    };
    // SAFETY: as above: the kernel has read the header.
    if is_unknown { unsafe { of_capabilities(number, arguments, result) } } else { result }
}

/// The processors of the calling fiber, which are noted, and not those of its OS thread.
///
/// # Safety
///
/// The arguments are those of the call.
unsafe fn of_processors(call: c_long, [thread, bytes, set, ..]: [usize; 6]) -> Option<isize> {
    let thread = thread as pid_t;
    if !is_caller(thread) && with_record(thread, |_| ()).is_none() {
        return None;
    }
    match call {
        libc::SYS_sched_setaffinity => {
            // SAFETY: the caller's promise.
            Some(of_c(unsafe { sched_setaffinity(thread, bytes, set as *const _) } as isize))
        }
        libc::SYS_sched_getaffinity => {
            // SAFETY: the caller's promise. The kernel tells how many bytes it has written.
            let written = unsafe { kernel::call(call, [0, bytes, set, 0, 0, 0]) };
            if written > 0 {
                // SAFETY: as above.
                unsafe { sched_getaffinity(thread, written as usize, set as *mut _) };
            }
            Some(written)
        }
        _ => None,
    }
}

/// capget(2) and capset(2), of which the kernel has said that the thread is unknown.
///
/// # Safety
///
/// The arguments are those of the call, and the kernel has looked at the header.
#[cold]
unsafe fn of_capabilities(call: c_long, [header, data, ..]: [usize; 6], refused: isize) -> isize {
    // SAFETY: the caller's promise.
    let mut asked = unsafe { *(header as *const Header) };
    if !is_fibers(asked.thread) || !is_caller(asked.thread) {
        return refused;
    }
    asked.thread = 0;
    // SAFETY: the caller's promise.
    unsafe { kernel::call(call, [(&raw mut asked).addr(), data, 0, 0, 0, 0]) }
}

hooks! {
    /// capget(2).
    fn capget(header: *mut c_void, data: *mut c_void) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        answer(unsafe { call(libc::SYS_capget, [header.addr(), data.addr(), 0, 0, 0, 0]) }) as c_int
    }

    /// capset(2).
    fn capset(header: *mut c_void, data: *const c_void) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        answer(unsafe { call(libc::SYS_capset, [header.addr(), data.addr(), 0, 0, 0, 0]) }) as c_int
    }

    /// getpgid(2).
    fn getpgid(process: pid_t) -> pid_t, |_| -> always {
        // SAFETY: it takes a number.
        unsafe { own!(fn getpgid(pid_t) -> pid_t)(of_kernel(process)) }
    }

    /// getsid(2).
    fn getsid(process: pid_t) -> pid_t, |_| -> always {
        // SAFETY: it takes a number.
        unsafe { own!(fn getsid(pid_t) -> pid_t)(of_kernel(process)) }
    }

    /// sched_rr_get_interval(2).
    fn sched_rr_get_interval(thread: pid_t, interval: *mut timespec) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { own!(fn sched_rr_get_interval(pid_t, *mut timespec) -> c_int)(of_kernel(thread), interval) }
    }

    /// prlimit(2).
    fn prlimit(process: pid_t, resource: libc::__rlimit_resource_t, new: *const rlimit, old: *mut rlimit) -> c_int, |_| -> always {
        let own = own!(fn prlimit(pid_t, libc::__rlimit_resource_t, *const rlimit, *mut rlimit) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { own(of_kernel(process), resource, new, old) }
    }

    /// prlimit(2) of programs with large files.
    fn prlimit64(process: pid_t, resource: libc::__rlimit_resource_t, new: *const rlimit64, old: *mut rlimit64) -> c_int, |_| -> always {
        let own = own!(fn prlimit64(pid_t, libc::__rlimit_resource_t, *const rlimit64, *mut rlimit64) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { own(of_kernel(process), resource, new, old) }
    }

    /// process_vm_readv(2).
    fn process_vm_readv(
        process: pid_t, own_list: *const iovec, own_count: c_ulong, its_list: *const iovec, its_count: c_ulong, flags: c_ulong,
    ) -> ssize_t, |_| -> always {
        let own = own!(fn process_vm_readv(pid_t, *const iovec, c_ulong, *const iovec, c_ulong, c_ulong) -> ssize_t);
        // SAFETY: the caller's promise.
        unsafe { own(of_kernel(process), own_list, own_count, its_list, its_count, flags) }
    }

    /// process_vm_writev(2).
    fn process_vm_writev(
        process: pid_t, own_list: *const iovec, own_count: c_ulong, its_list: *const iovec, its_count: c_ulong, flags: c_ulong,
    ) -> ssize_t, |_| -> always {
        let own = own!(fn process_vm_writev(pid_t, *const iovec, c_ulong, *const iovec, c_ulong, c_ulong) -> ssize_t);
        // SAFETY: the caller's promise.
        unsafe { own(of_kernel(process), own_list, own_count, its_list, its_count, flags) }
    }
}
