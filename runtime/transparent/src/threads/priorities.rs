//! How a thread is preferred to others: its nice value, its class at disks, its policy. The kernel's are those of the OS thread, which runs other fibers as
//! well. So a thread that is a fiber is told what was noted of it, as its processors (`by_number.rs`); nothing else changes.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_long};

use libc::{EACCES, EINVAL, ENOTSUP, EPERM, PRIO_PROCESS, SCHED_OTHER, id_t, pid_t, rlimit, sched_param};

use super::number::{of_kernel, with_record};
use super::record::Record;
use crate::answer::{answer, failed, of_c};
use crate::hooks::hooks;
use crate::kernel::{self, kernel};
use crate::own::own;

/// The least preferred.
const MOST_NICE: c_int = 19;

/// `IOPRIO_WHO_PROCESS`: a thread, or a process.
const OF_THREAD: usize = 1;
/// The class of what has none at disks, and where a class is.
const NO_CLASS: usize = 0;
const CLASS_SHIFT: u32 = 13;

/// `SCHED_RESET_ON_FORK`.
const RESET_ON_FORK: c_int = 0x4000_0000;

/// The right to be preferred (CAP_SYS_NICE).
const CAPABILITY: u32 = 1 << 23;

/// The beginning of `struct sched_attr`.
#[repr(C)]
struct Attributes {
    bytes: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
}

fn of_os_thread() -> c_int {
    // The kernel's call tells how far it is from 20.
    // SAFETY: no memory is involved.
    20 - unsafe { kernel!(libc::SYS_getpriority, PRIO_PROCESS, 0) } as c_int
}

/// Whether a thread of this process may become so nice, which is less than it is.
fn may_become(nice: c_int) -> bool {
    let mut limit = rlimit { rlim_cur: 0, rlim_max: 0 };
    let (mut header, mut rights) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    // SAFETY: both write locals.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NICE, &mut limit);
        kernel!(libc::SYS_capget, &raw mut header, &raw mut rights);
    }
    limit.rlim_cur >= (20 - nice).unsigned_abs().into() || rights[0] & CAPABILITY != 0
}

fn set_nice(record: &Record, nice: c_int) -> isize {
    let nice = nice.clamp(-20, MOST_NICE);
    let mut details = record.details();
    if nice < details.nice.unwrap_or_else(of_os_thread) && !may_become(nice) {
        return failed(EACCES);
    }
    details.nice = Some(nice);
    0
}

fn noted_nice(thread: pid_t) -> Option<c_int> {
    with_record(thread, |record| record.details().nice)?
}

/// The kernel is to say whether the thread may have it, which it has for a moment.
fn set_at_disks(record: &Record, wanted: usize) -> isize {
    // SAFETY: no memory is involved.
    unsafe {
        let before = kernel!(libc::SYS_ioprio_get, OF_THREAD, 0) as usize;
        let result = kernel!(libc::SYS_ioprio_set, OF_THREAD, 0, wanted);
        if result == 0 {
            let before = if before >> CLASS_SHIFT == NO_CLASS { 0 } else { before };
            kernel!(libc::SYS_ioprio_set, OF_THREAD, 0, before);
            record.details().at_disks = Some(wanted);
        }
        result
    }
}

/// # Safety
///
/// The parameters are null or can be read.
unsafe fn set_policy(policy: c_int, parameters: *const sched_param) -> isize {
    // SAFETY: the caller's promise.
    let Some(parameters) = (unsafe { parameters.as_ref() }) else { return failed(EINVAL) };
    match (policy & !RESET_ON_FORK, parameters.sched_priority) {
        (SCHED_OTHER, 0) => 0,
        (SCHED_OTHER, _) => failed(EINVAL),
        _ => failed(ENOTSUP),
    }
}

/// # Safety
///
/// The attributes are null or can be read.
unsafe fn set_attributes(record: &Record, attributes: *const Attributes) -> isize {
    // SAFETY: the caller's promise.
    let Some(attributes) = (unsafe { attributes.as_ref() }) else { return failed(EINVAL) };
    match (attributes.policy.cast_signed(), attributes.priority) {
        (SCHED_OTHER, 0) => match set_nice(record, attributes.nice) {
            0 => 0,
            _ => failed(EPERM),
        },
        (SCHED_OTHER, _) => failed(EINVAL),
        _ => failed(ENOTSUP),
    }
}

/// A system call by number that is about this, of a thread that is a fiber.
///
/// # Safety
///
/// The arguments are those of the call.
pub(super) unsafe fn system_call(call: c_long, mut arguments: [usize; 6]) -> Option<isize> {
    let [first, second, third, ..] = arguments;
    let is_thread = match call {
        libc::SYS_getpriority | libc::SYS_setpriority => first == PRIO_PROCESS as usize,
        libc::SYS_ioprio_get | libc::SYS_ioprio_set => first == OF_THREAD,
        _ => true,
    };
    if !is_thread {
        return None;
    }
    match call {
        libc::SYS_getpriority => noted_nice(second as pid_t).map(|nice| 20 - nice as isize),
        libc::SYS_setpriority => with_record(second as pid_t, |record| set_nice(record, third as c_int)),
        libc::SYS_ioprio_get => {
            with_record(second as pid_t, |record| record.details().at_disks)?.map(|noted| noted as isize)
        }
        libc::SYS_ioprio_set => with_record(second as pid_t, |record| set_at_disks(record, third)),
        // SAFETY: the caller's promise, here and below.
        libc::SYS_sched_setscheduler => unsafe {
            with_record(first as pid_t, |_| set_policy(second as c_int, third as *const _))
        },
        // SAFETY: as above.
        libc::SYS_sched_setparam => unsafe {
            with_record(first as pid_t, |_| set_policy(SCHED_OTHER, second as *const _))
        },
        // SAFETY: as above.
        libc::SYS_sched_setattr => unsafe {
            with_record(first as pid_t, |record| set_attributes(record, second as *const _))
        },
        libc::SYS_sched_getattr => {
            let nice = noted_nice(first as pid_t)?;
            arguments[0] = 0;
            // SAFETY: as above. The kernel has written them.
            unsafe {
                let result = kernel::call(call, arguments);
                if result == 0 {
                    (*(second as *mut Attributes)).nice = nice;
                }
                Some(result)
            }
        }
        _ => None,
    }
}

hooks! {
    /// getpriority(2).
    fn getpriority(which: libc::__priority_which_t, who: id_t) -> c_int, |_| -> always {
        let mut who = who;
        if which == libc::PRIO_PROCESS {
            if let Some(nice) = noted_nice(who.cast_signed()) {
                return nice;
            }
            who = of_kernel(who.cast_signed()).cast_unsigned();
        }
        // SAFETY: it takes numbers.
        unsafe { own!(fn getpriority(libc::__priority_which_t, id_t) -> c_int)(which, who) }
    }

    /// setpriority(2).
    fn setpriority(which: libc::__priority_which_t, who: id_t, priority: c_int) -> c_int, |_| -> always {
        let mut who = who;
        if which == libc::PRIO_PROCESS {
            if let Some(result) = with_record(who.cast_signed(), |record| set_nice(record, priority)) {
                return answer(result) as c_int;
            }
            who = of_kernel(who.cast_signed()).cast_unsigned();
        }
        // SAFETY: as above.
        unsafe { own!(fn setpriority(libc::__priority_which_t, id_t, c_int) -> c_int)(which, who, priority) }
    }

    /// nice(2).
    fn nice(more: c_int) -> c_int, |_| -> always {
        let add = |record: &Record| {
            let now = record.details().nice.unwrap_or_else(of_os_thread);
            let wanted = now.saturating_add(more).clamp(-20, MOST_NICE);
            (set_nice(record, wanted), wanted)
        };
        match with_record(0, add) {
            Some((0, nice)) => nice,
            Some(_) => answer(failed(EPERM)) as c_int,
            // SAFETY: as above.
            None => unsafe { own!(fn nice(c_int) -> c_int)(more) },
        }
    }

    /// sched_getscheduler(2).
    fn sched_getscheduler(thread: pid_t) -> c_int, |_| -> always {
        // SAFETY: it takes a number.
        unsafe { own!(fn sched_getscheduler(pid_t) -> c_int)(of_kernel(thread)) }
    }

    /// sched_setscheduler(2).
    fn sched_setscheduler(thread: pid_t, policy: c_int, parameters: *const sched_param) -> c_int, |_| -> always {
        let own = own!(fn sched_setscheduler(pid_t, c_int, *const sched_param) -> c_int);
        // SAFETY: the caller's promise.
        let result = unsafe {
            with_record(thread, |_| set_policy(policy, parameters))
                .unwrap_or_else(|| of_c(own(of_kernel(thread), policy, parameters) as isize))
        };
        answer(result) as c_int
    }

    /// sched_getparam(2).
    fn sched_getparam(thread: pid_t, parameters: *mut sched_param) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { own!(fn sched_getparam(pid_t, *mut sched_param) -> c_int)(of_kernel(thread), parameters) }
    }

    /// sched_setparam(2).
    fn sched_setparam(thread: pid_t, parameters: *const sched_param) -> c_int, |_| -> always {
        let own = own!(fn sched_setparam(pid_t, *const sched_param) -> c_int);
        // SAFETY: the caller's promise.
        let result = unsafe {
            with_record(thread, |_| set_policy(SCHED_OTHER, parameters))
                .unwrap_or_else(|| of_c(own(of_kernel(thread), parameters) as isize))
        };
        answer(result) as c_int
    }
}
