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

use abaca::hook::{self, PerProcess};
use libc::{ESRCH, pid_t, siginfo_t};

use super::attributes::send_to_fiber;
use super::frames::is_in_handler;
use super::handlers::index;
use super::record::Record;
use super::{sends, timers};
use crate::answer::{answer, failed};
use crate::enter::enter;
use crate::hooks::hooks;
use crate::kernel::kernel;

/// The first number that the kernel never gives (PID_MAX_LIMIT).
const FIRST: u32 = 1 << 22;
/// Numbers have so many bits where they say who has a futex (FUTEX_TID_MASK).
const END: u32 = 1 << 30;

/// The records of threads that have asked for their numbers, and have not ended.
static KNOWN: PerProcess<BTreeMap<pid_t, Listed>> = PerProcess::new(BTreeMap::new);

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
    f(&mut KNOWN.lock())
}

/// The calling thread ends.
pub(super) fn forget() {
    // In a copy of the process the caller is no fiber any more.
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

/// Calls `f` with the record of the thread of this number, or of the caller if it is 0, if that is a fiber and has not ended.
pub(super) fn with_record<R>(number: pid_t, f: impl FnOnce(&Record) -> R) -> Option<R> {
    if is_caller(number) {
        return Record::current().map(f);
    }
    if !is_fibers(number) {
        return None;
    }
    let _within = enter();
    known(|known| {
        let Listed(record) = known.get(&number)?;
        // SAFETY: a thread takes its record out of the list before it ends, under this lock.
        Some(f(unsafe { &**record }))
    })
}

/// What the kernel is asked by instead of this number: the caller's OS thread stands for all threads that are fibers.
pub(super) fn of_kernel(number: pid_t) -> pid_t {
    if !is_fibers(number) || !is_caller(number) && with_record(number, |_| ()).is_none() {
        return number;
    }
    // SAFETY: no memory is involved.
    unsafe { kernel!(libc::SYS_gettid) as pid_t }
}

/// A system call by number that is about a thread's number.
///
/// # Safety
///
/// The arguments are those of the call.
pub(super) unsafe fn system_call(call: c_long, [a, b, c, d, ..]: [usize; 6]) -> Option<isize> {
    match call {
        libc::SYS_gettid => of_caller().map(|number| number as isize),
        // The kernel would clear the word when the OS thread ends, whosever memory that is by then.
        libc::SYS_set_tid_address => of_caller().map(|number| {
            CLEARED.set(a);
            number as isize
        }),
        libc::SYS_tgkill if is_fibers(b as pid_t) => Some(send_in(a as pid_t, b as pid_t, c as c_int, None)),
        libc::SYS_tkill if is_fibers(a as pid_t) => Some(send(a as pid_t, b as c_int, None)),
        libc::SYS_rt_tgsigqueueinfo if is_fibers(b as pid_t) => {
            // SAFETY: the caller's promise.
            let info = unsafe { *(d as *const siginfo_t) };
            Some(send_in(a as pid_t, b as pid_t, c as c_int, Some(info)))
        }
        libc::SYS_timer_create => {
            // SAFETY: the caller's promise, here and below: the kernel has written the number.
            let made = || unsafe { *(c as *const c_int) } as usize;
            // SAFETY: as above.
            Some(unsafe { timers::create(b as *mut _, |event| kernel!(call, a, event, c), made) })
        }
        libc::SYS_timer_delete => {
            // SAFETY: it takes a number.
            let result = unsafe { kernel!(call, a) };
            if result == 0 {
                timers::forget(a);
            }
            Some(result)
        }
        _ => None,
    }
}

/// Sends a signal to the fiber of this number, if that is one of this process's. `told`: what it is told, if not that a thread has sent it.
fn send_in(process: pid_t, number: pid_t, signal: c_int, told: Option<siginfo_t>) -> isize {
    if process <= 0 {
        return failed(libc::EINVAL);
    }
    // SAFETY: no memory is involved.
    let own = unsafe { kernel!(libc::SYS_getpid) };
    if process as isize == own { send(number, signal, told) } else { failed(ESRCH) }
}

/// The same, whatever the process.
fn send(number: pid_t, signal: c_int, told: Option<siginfo_t>) -> isize {
    if signal != 0 && index(signal).is_none() {
        return failed(libc::EINVAL);
    }
    let told = told.map(|mut told| {
        told.si_signo = signal;
        told
    });
    match told {
        Some(told) if is_caller(number) && signal != 0 => failed(sends::queue_told_to_caller(signal, told)),
        // SAFETY: it takes a number.
        None if is_caller(number) => crate::answer::of_c(unsafe { sends::raise(signal) } as isize),
        told => {
            with_record(number, |record| failed(send_to_fiber(record, signal, told))).unwrap_or(failed(ESRCH))
        }
    }
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
            return answer(send_in(process, thread, signal, None)) as c_int;
        }
        // SAFETY: it takes numbers.
        answer(unsafe { kernel!(libc::SYS_tgkill, process, thread, signal) }) as c_int
    }
}
