//! The threads of a runtime. Each is started here, with an alternate stack for signal handlers, and aborts the process if it
//! panics.
//!
//! User code runs in fibers and jobs, where panics are caught. A panic that reaches a thread's own frames is a bug of ours or
//! of a foreign waker, and without the abort other threads would wait for this thread for ever.

#![expect(unsafe_code, reason = "a system call")]

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::thread::{Timespec, nanosleep};

use super::headroom;
#[cfg(feature = "own-tls")]
use super::mask::{self, SignalsBlocked};
use super::signal::AlternateStack;
use super::stderr;

/// Starts a thread that runs `body`.
pub(crate) fn start(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    as_kernel_threads_of(Starter::Runtime, || start_thread(name, body))
}

/// Who starts threads that are to be the kernel's, where `pthread_create` would make fibers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Starter {
    Nobody,
    #[cfg(feature = "own-tls")]
    User,
    Runtime,
}

thread_local! {
    static STARTER: Cell<Starter> = const { Cell::new(Starter::Nobody) };
}

/// Whether a thread that the caller starts is to be one of the kernel's, where `pthread_create` would make a fiber.
#[cfg(feature = "own-tls")]
pub(crate) fn wants_kernel_threads() -> bool {
    STARTER.get() != Starter::Nobody
}

/// Whether the caller starts a thread of a runtime's.
#[cfg(feature = "own-tls")]
pub(crate) fn starts_own() -> bool {
    STARTER.get() == Starter::Runtime
}

/// Calls `f`, in which the threads that the caller starts are the kernel's.
#[cfg(feature = "own-tls")]
pub(crate) fn as_kernel_threads<R>(f: impl FnOnce() -> R) -> R {
    as_kernel_threads_of(Starter::User, f)
}

fn as_kernel_threads_of<R>(starter: Starter, f: impl FnOnce() -> R) -> R {
    struct Restore(Starter);
    impl Drop for Restore {
        fn drop(&mut self) {
            STARTER.set(self.0);
        }
    }
    let _restore = Restore(STARTER.replace(starter));
    f()
}

#[cfg(feature = "own-tls")]
thread_local! {
    static SERVES_FIBERS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread, while it runs no fiber, is there for fibers alone: it is a runtime's, or waits for its main fiber. May be
/// called in a handler.
#[cfg(feature = "own-tls")]
pub(crate) fn serves_fibers() -> bool {
    SERVES_FIBERS.get()
}

/// Calls `wait`, in which the calling thread waits for its main fiber.
#[cfg(feature = "own-tls")]
pub(crate) fn waiting_for_main<R>(wait: impl FnOnce() -> R) -> R {
    let before = SERVES_FIBERS.replace(true);
    let result = wait();
    SERVES_FIBERS.set(before);
    result
}

/// How much memory std is to find for a thread: where it finds none, it ends the process.
const THREAD_BYTES: usize = 16 * 1024;

fn start_thread(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    if !headroom::has(THREAD_BYTES) || !headroom::has_room_for_thread() {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    // A handler that ran before the thread is known for a runtime's would have run on one of the program's.
    #[cfg(feature = "own-tls")]
    let blocked = SignalsBlocked::new();
    #[cfg(feature = "own-tls")]
    let mask = blocked.before();
    Builder::new().name(name.clone()).spawn(move || {
        #[cfg(feature = "own-tls")]
        {
            SERVES_FIBERS.set(true);
            mask::set(&mask);
            super::float_control::make_usual();
        }
        // If this fails, handlers run on the alternate stack that `std` provides, if it does.
        let _signal_stack = AlternateStack::install();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
            // The payload's destructor may panic as well.
            std::mem::forget(payload);
            die(&name);
        }
    })
}

/// The operating system's id of the calling thread. Never 0.
pub(crate) fn id() -> i32 {
    // Not libc's function, whose place a hook may have taken.
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Takes the calling thread off its processor for at least so long, or until a signal comes.
pub(crate) fn pause(duration: Duration) {
    let duration = Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: duration.subsec_nanos().into() };
    let _ = nanosleep(&duration);
}

/// The lowest address and the end of the calling thread's own stack.
pub(crate) fn stack_bounds() -> Option<(usize, usize)> {
    let mut attributes = std::mem::MaybeUninit::uninit();
    // SAFETY: the call initialises the attributes, if it succeeds; they are destroyed below.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut bottom, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: as above; the results are live locals.
    let result = unsafe {
        let result = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut bottom, &raw mut bytes);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        result
    };
    (result == 0).then(|| (bottom.addr(), bottom.addr() + bytes))
}

/// How many threads the process has. `None` if the kernel does not tell.
pub(crate) fn count() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// Aborts the process. The panic hook has reported the panic.
fn die(name: &str) -> ! {
    let report =
        format!("abaca: thread '{name}' has panicked outside of any fiber or job; the process ends.\n");
    stderr::write(report.as_bytes());
    std::process::abort();
}
