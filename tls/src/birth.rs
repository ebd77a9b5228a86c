//! How libc is made to make a block: by a thread that ends behind its back, and how that thread comes back to end properly.
//!
//! ```text
//!   creator                     the short thread, on the fiber's stack        libc believes
//!   pthread_create ──────────▶  notes its thread pointer                      a thread runs
//!                               puts the block's id in place of its own
//!                               waits for a setuid that has seen its own
//!                               saves its registers and stack pointer
//!   waits for `alive`  ◀──────  set_tid_address(&alive), exit                 a thread runs
//!   ...                         (fibers run with the block)                   a thread runs
//!   clone ───────────────────▶  loads them, returns into libc                 a thread runs
//!   pthread_join       ◀──────  libc's own end of a thread                    the thread ends, its block is freed
//! ```
//!
//! `exit` alone does not touch user memory, but for the word that `set_tid_address` named. The frames of libc's `start_thread` stay
//! on the stack, above those of fibers, and are continued at the end: so everything that libc counts and frees with a thread is
//! counted and freed.
#![expect(unsafe_code, reason = "a thread leaves its stack, and another continues there")]

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering};
use std::io;

use crate::announce::announce;
use crate::arch;
use crate::glibc::Glibc;
use crate::pointer::{ThreadPointer, thread_pointer};

/// What the short thread and its creator tell each other. It is on the creator's stack.
#[repr(C)]
struct Birth {
    /// Cleared by the kernel when the thread is gone.
    alive: AtomicU32,
    tid: u32,
    tid_offset: isize,
    cancelling_offset: isize,
    pointer: usize,
    stack: usize,
}

/// A thread that has left its stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unborn {
    pub(crate) pointer: ThreadPointer,
    /// Where its registers are saved: the lowest address of what must stay.
    pub(crate) stack: usize,
    /// What it was called with: an address on its creator's stack.
    pub(crate) argument: usize,
}

/// The least size of a stack that libc takes. A smaller one is declared to be larger: libc does not use its lower part. It depends
/// on the machine: what a signal's frame takes there is a part of it.
pub(crate) fn least_stack() -> usize {
    // SAFETY: has no preconditions.
    let told = unsafe { libc::sysconf(libc::_SC_THREAD_STACK_MIN) };
    usize::try_from(told).unwrap_or(0).max(libc::PTHREAD_STACK_MIN)
}

/// Makes a thread on the given stack, which ends at once and leaves its block there, with `tid` as its id.
///
/// # Errors
///
/// What `pthread_create` says: `EAGAIN` if there is no memory or there are too many threads; `EINVAL` if the stack is too small for
/// the program's thread-local variables.
///
/// # Safety
///
/// The memory is mapped, writable and used by nobody else, and stays so until [`end`] has returned.
pub(crate) unsafe fn make(glibc: &Glibc, lowest: *mut u8, size: usize, tid: u32) -> io::Result<Unborn> {
    let mut birth = Birth {
        alive: AtomicU32::new(1),
        tid,
        tid_offset: glibc.tid,
        cancelling_offset: glibc.cancelling,
        pointer: 0,
        stack: 0,
    };
    let birth = &raw mut birth;
    let highest = lowest.wrapping_add(size);
    let size = size.max(least_stack());
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // The thread inherits the mask: no handler runs on it, but for libc's own of `setuid`.
    let _blocked = SignalsBlocked::new();
    // SAFETY: the attributes are initialised first and destroyed last. The thread has the stack for itself by the caller's promise,
    // and `birth` stays until it is gone, for which the loop waits.
    unsafe {
        check(libc::pthread_attr_init(attributes))?;
        let made = check(libc::pthread_attr_setstack(attributes, highest.wrapping_sub(size).cast(), size))
            .and_then(|()| {
                check(libc::pthread_create(thread.as_mut_ptr(), attributes, short_thread, birth.cast()))
            });
        libc::pthread_attr_destroy(attributes);
        made?;
        // Acquire: all that the thread has written is seen when the kernel has cleared the word.
        while (*birth).alive.load(Ordering::Acquire) != 0 {
            // Not a private futex: the kernel wakes a shared one.
            libc::syscall(
                libc::SYS_futex,
                (*birth).alive.as_ptr(),
                libc::FUTEX_WAIT,
                1,
                null_mut::<c_void>(),
            );
        }
        let pointer = ThreadPointer::from_address((*birth).pointer);
        Ok(Unborn { pointer, stack: (*birth).stack, argument: birth.addr() })
    }
}

extern "C" fn short_thread(birth: *mut c_void) -> *mut c_void {
    let birth = birth.cast::<Birth>();
    let own = thread_pointer();
    // SAFETY: the creator keeps `birth` until this thread is gone. The offsets are those of fields of this thread's record, which
    // other threads read and change atomically, if at all.
    unsafe {
        (*birth).pointer = own.address();
        // From here on nobody can send this thread a signal by libc's record, and whoever has done so has been answered.
        let tid = AtomicU32::from_ptr(own.at((*birth).tid_offset));
        let cancelling = AtomicU32::from_ptr(own.at((*birth).cancelling_offset));
        announce(tid, cancelling, (*birth).tid, || _ = libc::sched_yield());
        arch::leave(&raw mut (*birth).stack, &raw const (*birth).alive);
    }
    // `birth` is gone. What follows is libc's end of a thread.
    null_mut()
}

/// Ends the thread as libc ends threads: what destructors are left run, the block is freed, libc forgets the thread. `cleared` is the
/// place of the word that the kernel clears when a thread ends.
///
/// # Safety
///
/// The thread was [made](make), nobody uses its block, and all above [`Unborn::stack`] is as it was left, but for what libc and the
/// code that used the block have changed in the block.
pub(crate) unsafe fn end(glibc: &Glibc, cleared: isize, unborn: Unborn) {
    let thread = unborn.pointer.at::<u8>(glibc.thread).addr() as libc::pthread_t;
    let (tid, cleared) = (unborn.pointer.at::<u32>(glibc.tid), unborn.pointer.at::<u32>(cleared));
    let blocked = SignalsBlocked::new();
    // SAFETY: the caller's promise is that of `revive`. The kernel sets the id in libc's record to the real one, and clears what
    // libc waits for when the thread ends, as with each thread of libc's.
    let revived = unsafe { arch::revive(unborn.stack, unborn.pointer.address(), tid, cleared) };
    drop(blocked);
    if revived < 0 {
        // There are too many threads, or there is no memory for one. Then libc is told that the thread has ended already: it frees
        // the block, but counts one thread more for ever, so that the process does not end with its last thread.
        // SAFETY: a field of libc's record, which other threads read atomically.
        unsafe { AtomicU32::from_ptr(cleared) }.store(0, Ordering::SeqCst);
    }
    // SAFETY: libc's handle of the thread, which was joined by nobody.
    let joined = unsafe { libc::pthread_join(thread, null_mut()) };
    debug_assert_eq!(joined, 0, "libc joins the thread of a block");
}

fn check(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// While it lives, the calling thread gets no signals. By the system call itself: libc's function may be one that keeps a mask for each
/// fiber, and what a new thread inherits is the kernel's.
pub(crate) struct SignalsBlocked {
    before: libc::sigset_t,
}

impl SignalsBlocked {
    pub(crate) fn new() -> Self {
        let mut all = MaybeUninit::uninit();
        // SAFETY: the function fills the set.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            Self { before: set_mask(&all.assume_init()) }
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        set_mask(&self.before);
    }
}

/// Sets the kernel's mask of the calling thread, and returns the one before.
fn set_mask(mask: &libc::sigset_t) -> libc::sigset_t {
    /// The part of a set that the kernel knows, in bytes.
    const BYTES: usize = 8;
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: two live sets, of which the kernel reads and writes its part. All zeroes is the empty set.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            core::ptr::from_ref(mask),
            before.as_mut_ptr(),
            BYTES,
        );
        before.assume_init()
    }
}
