//! The number of a thread, by which programs know their threads: gettid(2), and what is done by it.
//!
//! The kernel's number is that of the OS thread on which a fiber is, which it shares with others. A lock that says by it whose it is would let them
//! all in. So a fiber has a number of its own, beyond those of the kernel. What the kernel is asked by such a number, it is asked of the OS thread of the
//! caller.

#![expect(
    unsafe_code,
    reason = "takes the place of functions of libc, and uses records of threads that are listed"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_long};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use abaca::hook;
use libc::{ESRCH, id_t, pid_t, sigevent, timer_t};

use super::attributes::send_to_fiber;
use super::frames::is_in_handler;
use super::record::Record;
use super::sends;
use crate::answer::{answer, failed};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// The first number that the kernel never gives (PID_MAX_LIMIT).
const FIRST: u32 = 1 << 22;
/// Numbers have so many bits where they say who has a futex (FUTEX_TID_MASK).
const END: u32 = 1 << 30;

/// The records of threads that have asked for their numbers, and have not ended.
static KNOWN: Mutex<BTreeMap<pid_t, Listed>> = Mutex::new(BTreeMap::new());

struct Listed(*const Record);

// SAFETY: a record is shared by threads.
unsafe impl Send for Listed {}

thread_local! {
    /// The fiber's number; 0 before it has asked.
    static NUMBER: Cell<pid_t> = const { Cell::new(0) };
    /// The word that the fiber's end clears; 0 if there is none.
    static CLEARED: Cell<usize> = const { Cell::new(0) };
}

/// The calling fiber's number; `None` of a plain thread, and in the runtime's own code.
fn of_caller() -> Option<pid_t> {
    let within = if hook::on_fiber() { enter() } else { None };
    if within.is_none() && !is_in_handler() {
        return None;
    }
    if NUMBER.get() == 0 {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = (FIRST + LAST.fetch_add(1, Ordering::Relaxed) % (END - FIRST)).cast_signed();
        NUMBER.set(number);
        // A handler may have interrupted whoever has the lock: who asks first in one is not found by the number.
        if let Some(record) = Record::current().filter(|_| within.is_some()) {
            known(|known| known.insert(number, Listed(record)));
        }
    }
    Some(NUMBER.get())
}

fn known<R>(f: impl FnOnce(&mut BTreeMap<pid_t, Listed>) -> R) -> R {
    f(&mut KNOWN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The calling thread ends.
pub(super) fn forget() {
    // In a copy of the process the list may be locked for ever; there the caller is no fiber any more.
    if NUMBER.get() != 0 && hook::on_fiber() {
        let _within = enter();
        known(|known| known.remove(&NUMBER.get()));
        if CLEARED.get() != 0 {
            clear(CLEARED.get());
        }
    }
}

/// Clears a word for those who wait for the end of its thread, and wakes one of them, as the kernel does (set_tid_address(2)). There may be no
/// word any more.
#[cold]
fn clear(address: usize) {
    let zero: c_int = 0;
    let [from, to] = [(&raw const zero).addr(), address].map(|address| libc::iovec {
        iov_base: ptr::with_exposed_provenance_mut(address),
        iov_len: size_of::<c_int>(),
    });
    // SAFETY: the kernel writes to an address that the thread has given it for that, or fails.
    unsafe {
        let process = kernel!(libc::SYS_getpid);
        kernel!(libc::SYS_process_vm_writev, process, &raw const from, 1, &raw const to, 1, 0);
        kernel!(libc::SYS_futex, address, libc::FUTEX_WAKE, 1);
    }
}

pub(super) fn is_fibers(number: pid_t) -> bool {
    number >= FIRST.cast_signed()
}

/// Whether this number stands for the calling thread, which is a fiber.
pub(super) fn is_caller(number: pid_t) -> bool {
    hook::on_fiber() && (number == 0 || number == NUMBER.get())
}

/// What the kernel is asked by instead of this number.
pub(super) fn of_kernel(number: pid_t) -> pid_t {
    if !is_fibers(number) || !is_caller(number) {
        return number;
    }
    // SAFETY: no memory is involved.
    unsafe { kernel!(libc::SYS_gettid) as pid_t }
}

/// A system call by number that is about a thread's number.
pub(super) fn system_call(call: c_long, [a, b, c]: [usize; 3]) -> Option<isize> {
    match call {
        libc::SYS_gettid => of_caller().map(|number| number as isize),
        // The kernel would clear the word when the OS thread ends, whosever memory that is by then.
        libc::SYS_set_tid_address => of_caller().map(|number| {
            CLEARED.set(a);
            number as isize
        }),
        libc::SYS_tgkill if is_fibers(b as pid_t) => Some(send_in(a as pid_t, b as pid_t, c as c_int)),
        libc::SYS_tkill if is_fibers(a as pid_t) => Some(send(a as pid_t, b as c_int)),
        _ => None,
    }
}

/// Sends a signal to the fiber of this number, if that is one of this process's.
fn send_in(process: pid_t, number: pid_t, signal: c_int) -> isize {
    if process <= 0 {
        return failed(libc::EINVAL);
    }
    // SAFETY: no memory is involved.
    let own = unsafe { kernel!(libc::SYS_getpid) };
    if process as isize == own { send(number, signal) } else { failed(ESRCH) }
}

/// Sends a signal to the fiber of this number.
fn send(number: pid_t, signal: c_int) -> isize {
    if is_caller(number) {
        // SAFETY: it takes a number.
        return crate::answer::of_c(unsafe { sends::raise(signal) } as isize);
    }
    let _within = enter();
    known(|known| match known.get(&number) {
        // SAFETY: a thread takes its record out of the list before it ends, under this lock.
        Some(Listed(record)) => failed(send_to_fiber(unsafe { &**record }, signal)),
        None => failed(ESRCH),
    })
}

hooks! {
    /// gettid(2).
    fn gettid() -> pid_t, |_| -> always {
        // SAFETY: no memory is involved.
        of_caller().unwrap_or_else(|| unsafe { kernel!(libc::SYS_gettid) as pid_t })
    }

    /// tgkill(2).
    fn tgkill(process: pid_t, thread: pid_t, signal: c_int) -> c_int, |_| -> always {
        if is_fibers(thread) {
            return answer(send_in(process, thread, signal)) as c_int;
        }
        // SAFETY: it takes numbers.
        answer(unsafe { kernel!(libc::SYS_tgkill, process, thread, signal) }) as c_int
    }

    /// getpriority(2).
    fn getpriority(which: libc::__priority_which_t, who: id_t) -> c_int, |_| -> always {
        let who = if which == libc::PRIO_PROCESS { of_kernel(who.cast_signed()).cast_unsigned() } else { who };
        // SAFETY: it takes numbers.
        unsafe { own!(fn getpriority(libc::__priority_which_t, id_t) -> c_int)(which, who) }
    }

    /// setpriority(2).
    fn setpriority(which: libc::__priority_which_t, who: id_t, priority: c_int) -> c_int, |_| -> always {
        let who = if which == libc::PRIO_PROCESS { of_kernel(who.cast_signed()).cast_unsigned() } else { who };
        // SAFETY: as above.
        unsafe { own!(fn setpriority(libc::__priority_which_t, id_t, c_int) -> c_int)(which, who, priority) }
    }

    /// timer_create(2), whose timer may send its signal to a thread by its number.
    fn timer_create(clock: libc::clockid_t, event: *mut sigevent, timer: *mut timer_t) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe {
            let mut event = event.as_ref().copied();
            if let Some(event) = event.as_mut().filter(|event| event.sigev_notify == libc::SIGEV_THREAD_ID) {
                event.sigev_notify_thread_id = of_kernel(event.sigev_notify_thread_id);
            }
            let event = event.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
            own!(fn timer_create(libc::clockid_t, *mut sigevent, *mut timer_t) -> c_int)(clock, event, timer)
        }
    }

    /// sched_getscheduler(2).
    fn sched_getscheduler(thread: pid_t) -> c_int, |_| -> always {
        // SAFETY: it takes a number.
        unsafe { own!(fn sched_getscheduler(pid_t) -> c_int)(of_kernel(thread)) }
    }

    /// sched_setscheduler(2).
    fn sched_setscheduler(thread: pid_t, policy: c_int, parameters: *const libc::sched_param) -> c_int, |_| -> always {
        let own = own!(fn sched_setscheduler(pid_t, c_int, *const libc::sched_param) -> c_int);
        // SAFETY: the caller's promise.
        unsafe { own(of_kernel(thread), policy, parameters) }
    }

    /// sched_getparam(2).
    fn sched_getparam(thread: pid_t, parameters: *mut libc::sched_param) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { own!(fn sched_getparam(pid_t, *mut libc::sched_param) -> c_int)(of_kernel(thread), parameters) }
    }

    /// sched_setparam(2).
    fn sched_setparam(thread: pid_t, parameters: *const libc::sched_param) -> c_int, |_| -> always {
        // SAFETY: the caller's promise.
        unsafe { own!(fn sched_setparam(pid_t, *const libc::sched_param) -> c_int)(of_kernel(thread), parameters) }
    }
}
