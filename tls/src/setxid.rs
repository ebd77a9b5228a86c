//! `setuid` and its kind, which change all threads of the process: libc sends each a signal and waits until its handler has cleared
//! a mark in the record of the thread that was signalled.
//!
//! The handler finds the record by the thread pointer. In a fiber's block it would clear the mark of the block, and libc would ask
//! again, for ever. So the handler is put into one that installs the OS thread's storage for its time. It finds that by the kernel's
//! id of the thread, since the signal may arrive at any time: while a fiber has left one thread and is not at home on the next. Blocks have ids that no
//! kernel thread has: signals to those are refused, and libc goes on without them.
//!
//! With that, the calls work in fibers and outside, and a fiber need not be switched away from for another thread's call.
#![expect(unsafe_code, reason = "wraps a signal handler of libc's")]

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::pointer::{set_thread_pointer, thread_pointer};
use crate::roster;

/// libc's `SIGSETXID`, on all architectures. `sigaction` refuses it; the system call does not.
const SIGNAL: c_int = 33;

/// The kernel's `struct sigaction`, of which only the first word is looked at: the handler.
type Action = [usize; 4];

/// Bytes of the kernel's set of signals.
const SET_BYTES: usize = 8;

/// libc's handler.
static LIBC: AtomicUsize = AtomicUsize::new(0);

type Handler = unsafe extern "C" fn(c_int, *mut c_void, *mut c_void);

/// Ours. A static has one value; the compiler may make a function several times, each with an address of its own.
static HANDLER: Handler = handler;

/// Puts libc's handler into ours, if it is not yet. libc installs it with the first thread of the process, and again in a child of
/// `fork`.
pub(crate) fn wrap() {
    let mut action: Action = [0; 4];
    let ours = HANDLER as usize;
    // SAFETY: the kernel writes its structure, of at most 32 bytes, into the array.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            SIGNAL,
            core::ptr::null::<Action>(),
            action.as_mut_ptr(),
            SET_BYTES,
        )
    };
    if result != 0 || [libc::SIG_DFL, libc::SIG_IGN, ours].contains(&action[0]) {
        return;
    }
    // Release: pairs with the Acquire in the handler.
    LIBC.store(action[0], Ordering::Release);
    action[0] = ours;
    // SAFETY: the structure is the kernel's own, but for the handler, which does what libc's does.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            SIGNAL,
            action.as_ptr(),
            core::ptr::null_mut::<Action>(),
            SET_BYTES,
        )
    };
}

unsafe extern "C" fn handler(signal: c_int, info: *mut c_void, context: *mut c_void) {
    let libc_handler = LIBC.load(Ordering::Acquire);
    // SAFETY: the handler that libc had installed, which it does not change.
    let libc_handler = unsafe { core::mem::transmute::<usize, Handler>(libc_handler) };
    let carrier = roster::own_storage();
    let own = thread_pointer();
    // SAFETY: the storage is that of the OS thread that runs this, whose own code is not running meanwhile. This function uses no
    // thread-local variable after it has read one, and libc's handler is not part of it. The arguments are the kernel's.
    unsafe {
        if let Some(carrier) = carrier {
            set_thread_pointer(carrier);
        }
        libc_handler(signal, info, context);
        if carrier.is_some() {
            set_thread_pointer(own);
        }
    }
}
