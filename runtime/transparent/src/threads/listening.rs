//! OS threads that wait in the kernel for signals (`thread_waits.rs`).
//!
//! The kernel does not know what is held back (`waiting.rs`). So who waits looks there first, and has a place meanwhile where it can be told: by the
//! signal that ends calls of the pool's threads (`calls/kick.rs`). The thread blocks that one but for the wait, so one that comes before the wait
//! ends it as well. Who waits here is told first, as the kernel prefers the main thread, and fibers if there is nobody.
//!
//! Handlers may wait as well, having interrupted any code: so no memory is asked for, and no lock is taken.
//!
//! Where libc has no signal to spare, or more threads wait than there are places, only the kernel's signals are seen.

#![expect(unsafe_code, reason = "sends signals to threads, changes masks, and reads a variable of libc's")]

use std::cell::Cell;
use std::ffi::{c_char, c_int};
#[cfg(target_arch = "x86_64")]
use std::ops::Range;
use std::ptr::{self, null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use abaca::hook::{self, Listeners, Listening, Sent};
use libc::{ESRCH, SIG_SETMASK, sigset_t};

use super::masks::{self, is_in_any_handler};
use super::relay::ring;
use super::{borrowed, waiting};
use crate::answer::failed;
use crate::calls::kick::{drain, set_blocked, set_mask, signal, usable_signal};
use crate::enter::is_installed;
use crate::kernel::kernel;

static LISTENERS: Listeners<256> = Listeners::new();

/// Whether the kernel had no room for a signal, so that somebody must be told again.
static HAD_NO_ROOM: AtomicBool = AtomicBool::new(false);

/// Tells one who waits here for one of these signals, which are held back. Whether there is one, who takes it or passes it on. May be called in a
/// handler.
pub(super) fn tell(signals: u64) -> bool {
    let Some(kick) = signal() else { return false };
    LISTENERS.tell(signals, |thread| {
        // SAFETY: no memory is involved.
        match unsafe { kernel!(libc::SYS_tgkill, kernel!(libc::SYS_getpid), thread, kick) } {
            0 => Sent::Done,
            error if error == failed(ESRCH) => Sent::NoThread,
            _ => {
                HAD_NO_ROOM.store(true, Ordering::SeqCst);
                Sent::NoRoom
            }
        }
    })
}

/// Whether the kernel had no room for a signal since this was asked.
pub(super) fn had_no_room() -> bool {
    HAD_NO_ROOM.swap(false, Ordering::SeqCst)
}

/// What is held back, and of which the caller was told, and has not taken it, is others'.
pub(super) fn pass_on() {
    let others = masks::signals(waiting::of_process()).filter(|signal| !tell(masks::bit(*signal)));
    if others.count() != 0 {
        ring();
    }
}

/// In a copy by fork(2) nobody waits here.
pub(super) fn lose_listeners() {
    LISTENERS.begin_anew();
}

/// libc's `__libc_single_threaded`; null if it has none.
static SINGLE_THREADED: AtomicPtr<c_char> = AtomicPtr::new(null_mut());

/// Finds what tells whether the process has one thread.
pub(crate) fn find_single_threaded() {
    // SAFETY: the name ends in a zero byte.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
    SINGLE_THREADED.store(address.cast(), Ordering::Relaxed);
}

/// Whether the process has one thread: then nobody holds a signal back while that waits.
pub(super) fn is_single_threaded() -> bool {
    let tells = SINGLE_THREADED.load(Ordering::Relaxed);
    // SAFETY: libc's variable, which only the last thread of a process can change back while others read it.
    !tells.is_null() && unsafe { tells.read_volatile() } != 0
}

/// Whether the caller may miss what is held back, if it waits in the kernel for these signals. A fiber that comes here outside of handlers has nowhere
/// else to wait.
pub(super) fn is_concerned(wanted: u64, is_likely: impl FnOnce() -> bool) -> bool {
    let is_concerned = if hook::is_fibers_storage() {
        !is_in_any_handler()
    } else {
        is_installed() && (waiting::of_process() & wanted != 0 || !is_single_threaded() && is_likely())
    };
    is_concerned && !borrowed::is_child()
}

/// A wait, in its caller's frame.
pub(super) struct Frame {
    outer: *const Frame,
    listening: Listening,
    /// Whether it was told, and has looked since.
    has_looked: Cell<bool>,
    /// Whether it has told itself.
    has_told_itself: Cell<bool>,
    /// The signal by which it is told.
    pub(super) kick: c_int,
}

thread_local! {
    static INNERMOST: Cell<*const Frame> = const { Cell::new(ptr::null()) };
    static AT_END: AtEnd = const { AtEnd };
}

/// A plain thread that was cancelled in a wait has its place until it ends.
struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        if LISTENERS.leave_all(own_thread()) {
            pass_on();
        }
    }
}

fn own_thread() -> u32 {
    // SAFETY: no memory is involved.
    unsafe { kernel!(libc::SYS_gettid) as u32 }
}

/// A wait that is over: its place is left. The signal that ends it is still blocked.
pub(super) struct Left<R> {
    pub(super) result: R,
    /// Whether it was told of something.
    was_told: bool,
    /// The mask before.
    before: sigset_t,
}

impl<R> Left<R> {
    /// The caller has taken what it wants of what is held back.
    pub(super) fn pass_on_the_rest(&self) {
        if self.was_told {
            pass_on();
        }
    }

    /// Restores the mask.
    pub(super) fn restore_mask(&self) {
        restore(&self.before);
    }
}

/// Calls `wait`, which looks for these signals and then waits, with a place. `None` if there is none to be had.
pub(super) fn listen<R>(wanted: u64, wait: impl FnOnce(&Frame) -> R) -> Option<Left<R>> {
    let kick = usable_signal()?;
    let is_in_handler = is_in_any_handler();
    if !is_in_handler && !hook::is_fibers_storage() {
        // What is called in the end of the thread's storage itself has a place until somebody finds the thread gone.
        let _ = AT_END.try_with(|_| ());
    }
    let before = set_blocked(kick, true);
    let Some(listening) = LISTENERS.listen(own_thread(), wanted) else {
        restore(&before);
        return None;
    };
    // Only a handler can interrupt a wait. Others have ended, be it by a cancellation.
    let outer = if is_in_handler { INNERMOST.get() } else { null() };
    let (has_looked, has_told_itself) = (Cell::new(false), Cell::new(false));
    let frame = Frame { outer, listening, has_looked, has_told_itself, kick };
    INNERMOST.set(&raw const frame);
    // A cancellation unwinds libc's function in it, and the frames here without a word: they have nothing to drop.
    let result = wait(&frame);
    INNERMOST.set(outer);
    Some(Left { result, was_told: frame.leave(), before })
}

impl Frame {
    /// Whether the wait was told since it last looked.
    pub(super) fn was_told(&self) -> bool {
        LISTENERS.was_told(self.listening)
    }

    /// Sends the signal to the calling thread: the next call that waits ends by it, unless it has something else to return. Whether the kernel had
    /// room for it.
    pub(super) fn tell_itself(&self) -> bool {
        self.has_told_itself.set(true);
        // SAFETY: no memory is involved.
        unsafe { kernel!(libc::SYS_tgkill, kernel!(libc::SYS_getpid), own_thread(), self.kick) == 0 }
    }

    /// The signal, if one was sent, has ended the wait, which looks again.
    pub(super) fn listen_again(&self) {
        self.has_looked.set(true);
        LISTENERS.listen_again(self.listening);
    }

    /// Whether the wait was told.
    fn leave(&self) -> bool {
        let was_told = LISTENERS.leave(self.listening);
        if was_told || self.has_told_itself.get() {
            drain(self.kick);
        }
        was_told || self.has_looked.get()
    }
}

fn restore(mask: &sigset_t) {
    // SAFETY: a set of the caller's.
    unsafe { set_mask(SIG_SETMASK, mask, null_mut()) };
}

/// A jump out of a handler has left these frames, and the waits among them.
#[cfg(target_arch = "x86_64")]
pub(super) fn leave(frames: Range<usize>) {
    // SAFETY: waits are in frames that have not ended, or were left just now, whose memory nobody has used since.
    while let Some(frame) = unsafe { INNERMOST.get().as_ref() }
        && frames.contains(&ptr::from_ref(frame).addr())
    {
        INNERMOST.set(frame.outer);
        if frame.leave() {
            pass_on();
        }
        set_blocked(frame.kick, false);
    }
}
