//! Who a thread is, and its end: pthread_self, pthread_exit.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abaca::hook::{self, Sleep};
use libc::pthread_t;

use super::acquire::{ONE_KIND, beside};
use super::create::ALIVE;
use super::record::Record;
use super::{given, masks, runtime};
use crate::calls::kick::set_mask;
use crate::hooks::hooks;
use crate::own::own;
use crate::table::Hook;

hooks! {
    /// pthread_self(3).
    fn pthread_self() -> pthread_t, |_| -> always {
        current()
    }

    /// thrd_current.
    fn thrd_current() -> pthread_t, |_| -> always {
        current()
    }
}

/// Whether the process is a copy by fork(2), and its only thread was a fiber, or descends from such a copy.
static WAS_FIBER: AtomicBool = AtomicBool::new(false);

/// The thread of such a copy that a fiber has become; 0 if there is none.
static THREAD_OF_COPY: AtomicUsize = AtomicUsize::new(0);

/// The main thread, or that of a copy, once it has ended and until somebody has joined it; else 0. It stays until all others have ended.
static ENDED_MAIN: AtomicUsize = AtomicUsize::new(0);

/// The result of that thread.
static RESULT_OF_MAIN: AtomicUsize = AtomicUsize::new(0);

/// A fiber has become the only thread of a copy of the process: it is who it was. What it blocks is the thread's mask now, and the main one's.
pub(crate) fn became_thread() {
    WAS_FIBER.store(true, Ordering::Relaxed);
    // Relaxed, all: there is one thread.
    THREAD_OF_COPY.store(current() as usize, Ordering::Relaxed);
    ENDED_MAIN.store(0, Ordering::Relaxed);
    let set = given::set_of_caller();
    // SAFETY: a set of this function's.
    unsafe { set_mask(libc::SIG_SETMASK, &set, ptr::null_mut()) };
    masks::thread_has_changed();
}

/// Whether a plain thread may have been a fiber.
pub(crate) fn may_have_been_fiber() -> bool {
    // Relaxed: it was written before there was another thread.
    WAS_FIBER.load(Ordering::Relaxed)
}

/// Whether a fiber has become this thread, of a copy of the process.
pub(super) fn is_thread_of_copy(thread: pthread_t) -> bool {
    thread as usize == THREAD_OF_COPY.load(Ordering::Relaxed)
}

/// The calling thread, which is the main one or that of a copy, ends with this result.
pub(super) fn main_ends(result: usize) {
    RESULT_OF_MAIN.store(result, Ordering::Relaxed);
    // Release: pairs with the Acquire below.
    ENDED_MAIN.store(current() as usize, Ordering::Release);
}

/// The result of this thread, if it is one that has called [`main_ends`], and nobody has joined it.
pub(super) fn take_end_of_main(thread: pthread_t) -> Option<usize> {
    let taken = ENDED_MAIN.compare_exchange(thread as usize, 0, Ordering::Acquire, Ordering::Relaxed);
    taken.ok().filter(|ended| *ended != 0).map(|_| RESULT_OF_MAIN.load(Ordering::Relaxed))
}

/// What the main fiber was told that it is; 0 before it has asked.
static MAIN_FIBER: AtomicUsize = AtomicUsize::new(0);

/// The calling thread.
pub(crate) fn current() -> pthread_t {
    Record::current().map_or_else(of_fiber_or_thread, Record::thread)
}

fn of_fiber_or_thread() -> pthread_t {
    let own = own_self();
    // In a handler of a signal the caller may be the main thread, which is no fiber.
    if hook::on_fiber() && hook::is_main() {
        // Relaxed: who has the number has it from the main fiber.
        MAIN_FIBER.store(own as usize, Ordering::Relaxed);
    }
    own
}

/// Whether the thread is the main fiber. What others send to that is the process's, whose signals are the main fiber's first of all.
pub(super) fn is_main_fiber(thread: pthread_t) -> bool {
    thread as usize == MAIN_FIBER.load(Ordering::Relaxed)
}

/// libc's own idea of the caller.
pub(crate) fn own_self() -> pthread_t {
    // SAFETY: it takes nothing.
    unsafe { own!(fn pthread_self() -> pthread_t)() }
}

/// The hooks of this file that unwind.
pub(crate) const EXITS: &[Hook] =
    &[Hook(pthread_exit as *const (), "pthread_exit"), Hook(thrd_exit as *const (), "thrd_exit")];

/// pthread_exit(3).
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn pthread_exit(value: *mut c_void) -> ! {
    exit(value.expose_provenance())
}

/// thrd_exit.
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn thrd_exit(value: c_int) -> ! {
    exit(value as usize)
}

/// Ends the calling thread.
pub(crate) fn exit(value: usize) -> ! {
    if let Some(record) = Record::current() {
        // Relaxed: the fiber itself reads it, where the unwinding ends.
        record.exit_value.store(value, Ordering::Relaxed);
    } else if hook::on_fiber() {
        eprintln!(
            "abaca-transparent: pthread_exit ends a thread, and its caller is a fiber that pthread_create has not made"
        );
        std::process::abort();
    } else if (runtime::has_runtime() || may_have_been_fiber()) && is_main() {
        exit_main(value);
    }
    // SAFETY: it unwinds the caller, who wants to end.
    unsafe { own!(fn pthread_exit(usize) -> !)(value) }
}

fn is_main() -> bool {
    // SAFETY: they take nothing.
    unsafe { libc::gettid() == libc::getpid() }
}

/// Ends the main thread: the process goes on until its last thread has ended.
fn exit_main(value: usize) -> ! {
    main_ends(value);
    await_others();
    std::process::exit(0)
}

/// Waits until the last thread that is a fiber has ended. The runtime's own threads never do.
pub(crate) fn await_others() {
    let address = beside(ALIVE.as_ptr());
    let sleep = Sleep { address, bits: ONE_KIND, deadline: None, is_cancellable: false, is_overtaken: false };
    while ALIVE.load(Ordering::SeqCst) != 0 {
        hook::sleep_at(sleep, || ALIVE.load(Ordering::SeqCst) != 0, || ());
    }
}
