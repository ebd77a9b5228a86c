//! System calls that wait in the kernel, on a thread of the pool, for a fiber that may have to give up: a signal ends the call then, as it would
//! end that of the fiber's own thread. What the call has done by then counts: a lock that it got at the last moment is the caller's.
//!
//! The signal is one of libc's real-time signals, which it gives away, the highest that is free. Its handler does nothing. It is sent to the
//! thread of the pool, again and again, until the call has ended: the first may come before the thread is in the kernel. The thread has it
//! blocked but for the call, and takes what has come too late: so it ends no other call.
//!
//! A process whose libc has no such signal to give, or that has set up a handler of its own for it, waits for the end of these calls.

#![expect(unsafe_code, reason = "sets up a handler, and sends signals to threads")]

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use abaca::hook::{self, Sleep, Slept, Unattended};

use crate::answer::failed;
use crate::kernel::kernel;
use crate::own::own;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No thread has begun it.
    Queued,
    /// The thread of this id makes it. `is_asked`: and is to give up.
    Running {
        thread: c_int,
        is_asked: bool,
    },
    Ended(isize),
    /// Its caller is gone.
    Withdrawn,
}

/// The call's state; its address is where the caller sleeps.
struct Call {
    state: Mutex<State>,
    /// The result, once there is one; else [`NONE_YET`]. Who is about to sleep looks at it under a lock of the table of sleepers, which an unlocking
    /// of the mutex may want.
    result: AtomicIsize,
}

/// No result of a call.
const NONE_YET: isize = isize::MIN;

impl Call {
    fn new() -> Self {
        Self { state: Mutex::new(State::Queued), result: AtomicIsize::new(NONE_YET) }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut state);
        if let State::Ended(result) = *state {
            // Release: pairs with the Acquire below.
            self.result.store(result, Ordering::Release);
        }
        changed
    }

    fn result(&self) -> Option<isize> {
        Some(self.result.load(Ordering::Acquire)).filter(|result| *result != NONE_YET)
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

/// How long a thread has to end its call before it is sent another signal.
const PAUSE: Duration = Duration::from_millis(1);

// SAFETY: as glibc defines it.
unsafe extern "C" {
    fn __libc_allocate_rtsig(high: c_int) -> c_int;
}

extern "C" fn do_nothing(_: c_int) {}

/// The handler. A static has one value; the compiler may make a function several times, each with an address of its own.
static HANDLER: extern "C" fn(c_int) = do_nothing;

/// The signal, if there is one.
pub(crate) fn signal() -> Option<c_int> {
    static SIGNAL: OnceLock<Option<c_int>> = OnceLock::new();
    *SIGNAL.get_or_init(|| {
        // SAFETY: it takes a number, and gives away the highest.
        let signal = unsafe { __libc_allocate_rtsig(0) };
        // SAFETY: all zeros are an action without flags and with an empty mask; the handler does nothing.
        let is_set = signal > 0
            && unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = HANDLER as usize;
                sigaction(signal, &action, ptr::null_mut()) == 0
            };
        is_set.then_some(signal)
    })
}

/// Takes the signal before the program can count those that are free.
pub(crate) fn reserve_signal() {
    let _ = signal();
}

/// libc's own.
///
/// # Safety
///
/// As sigaction(2).
pub(crate) unsafe fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        own!(fn sigaction(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int)(signal, new, old)
    }
}

/// The signal, if its handler is still this file's.
pub(crate) fn usable_signal() -> Option<c_int> {
    let signal = signal()?;
    // SAFETY: writes a local, for which all zeros are valid.
    let is_ours = unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        sigaction(signal, ptr::null(), &mut now) == 0 && now.sa_sigaction == HANDLER as usize
    };
    is_ours.then_some(signal)
}

/// Blocks the signal for the calling thread, or lets it through, and returns the mask before.
pub(crate) fn set_blocked(signal: c_int, is_blocked: bool) -> libc::sigset_t {
    let how = if is_blocked { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    // SAFETY: two sets of this function's, for which all zeros are valid.
    unsafe {
        let mut before = std::mem::zeroed();
        set_mask(how, &only(signal), &mut before);
        before
    }
}

/// A set of one signal.
pub(crate) fn only(signal: c_int) -> libc::sigset_t {
    // SAFETY: a set of this function's, for which all zeros are valid.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        set
    }
}

/// Takes the signals that have come too late for the calling thread, which blocks them, and to which nobody sends another.
pub(crate) fn drain(signal: c_int) {
    let (set, now) = (only(signal), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: a set, and a time, of this function's.
    while unsafe { kernel!(libc::SYS_rt_sigtimedwait, &raw const set, 0, &raw const now, 8) }
        == signal as isize
    {}
}

/// libc's own function: the mask of the calling OS thread.
///
/// # Safety
///
/// As pthread_sigmask(3).
pub(crate) unsafe fn set_mask(how: c_int, set: *const libc::sigset_t, before: *mut libc::sigset_t) {
    // SAFETY: the caller's promise.
    unsafe {
        own!(fn pthread_sigmask(c_int, *const libc::sigset_t, *mut libc::sigset_t) -> c_int)(how, set, before)
    };
}

/// The set without the signal, for which nobody may wait.
pub(crate) fn without_signal(mut set: libc::sigset_t) -> libc::sigset_t {
    if let Some(signal) = signal() {
        // SAFETY: a set of this function's.
        unsafe { libc::sigdelset(&mut set, signal) };
    }
    set
}

/// Makes the call on the calling thread, which is the pool's, until it ends in another way than by a handler, or is to give up.
fn make(call: &Call, make_call: &mut dyn FnMut() -> isize) {
    let signal = signal();
    let before = signal.map(|signal| set_blocked(signal, true));
    // SAFETY: no memory is involved.
    let thread = unsafe { kernel!(libc::SYS_gettid) } as c_int;
    let is_callers = call.change(|state| {
        let is_queued = *state == State::Queued;
        if is_queued {
            *state = State::Running { thread, is_asked: false };
        }
        is_queued
    });
    if is_callers {
        loop {
            signal.map(|signal| set_blocked(signal, false));
            let result = make_call();
            signal.map(|signal| set_blocked(signal, true));
            let has_ended = call.change(|state| {
                // A handler of the program's has run on this thread, and for nobody's call.
                if result == failed(libc::EINTR) && *state == (State::Running { thread, is_asked: false }) {
                    return false;
                }
                *state = State::Ended(result);
                true
            });
            if has_ended {
                break;
            }
        }
    }
    if let (Some(signal), Some(before)) = (signal, before) {
        // From now on nobody sends one.
        drain(signal);
        // SAFETY: the mask was this thread's.
        unsafe { set_mask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    }
    if is_callers {
        hook::wake_at(call.address(), u32::MAX, usize::MAX);
    }
}

/// What goes to the pool's thread: the caller's closure, which stays until the call has ended or is withdrawn.
struct Lent(*mut (dyn FnMut() -> isize + 'static));

// SAFETY: the caller of `wait_elsewhere` promises that the closure may be called on another thread.
unsafe impl Send for Lent {}

impl Lent {
    fn get(&self) -> *mut (dyn FnMut() -> isize + 'static) {
        self.0
    }
}

/// Makes the call once. A handler that is to run ends it, in `-EINTR`.
pub(super) fn wait_once(call: &mut dyn FnMut() -> isize) -> (isize, Unattended) {
    let state = Arc::new(Call::new());
    let borrowed: *mut (dyn FnMut() -> isize + '_) = call;
    // SAFETY: only the lifetime changes. It is used as long as this function waits.
    let lent = Lent(unsafe {
        std::mem::transmute::<*mut (dyn FnMut() -> isize + '_), *mut (dyn FnMut() -> isize + 'static)>(
            borrowed,
        )
    });
    let of_thread = Arc::clone(&state);
    hook::begin_elsewhere(move || {
        // SAFETY: `make` calls it only if the call was not withdrawn, and then the caller waits for the end.
        let mut call = || unsafe { (*lent.get())() };
        make(&of_thread, &mut call);
    });
    let sleep = Sleep {
        address: state.address(),
        bits: u32::MAX,
        deadline: None,
        is_cancellable: true,
        is_overtaken: false,
    };
    loop {
        let (slept, unattended) = hook::interruptible_at(state.address(), |interruption| {
            hook::sleep_at(sleep, || state.result().is_none() && !interruption.is_set(), || ())
        });
        if let Some(result) = state.result() {
            return (result, unattended);
        }
        if unattended.is_interrupted() {
            return (give_up(&state, libc::EINTR), unattended);
        }
        if slept == Slept::Cancelled {
            return (give_up(&state, libc::ECANCELED), unattended);
        }
    }
}

/// Ends the call. Its result is `error`, unless it has ended in another way by then.
fn give_up(call: &Call, error: c_int) -> isize {
    let signal = usable_signal();
    loop {
        let is_withdrawn = call.change(|state| {
            match state {
                State::Queued => *state = State::Withdrawn,
                State::Running { thread, is_asked } if signal.is_some() => {
                    *is_asked = true;
                    // Under the lock, so the thread is in the call.
                    // SAFETY: no memory is involved.
                    unsafe {
                        kernel!(libc::SYS_tgkill, kernel!(libc::SYS_getpid), *thread, signal.unwrap_or(0))
                    };
                }
                _ => {}
            }
            *state == State::Withdrawn
        });
        if is_withdrawn {
            break;
        }
        if let Some(result) = call.result() {
            if result != failed(libc::EINTR) {
                return result;
            }
            break;
        }
        let deadline = signal.map(|_| Instant::now() + PAUSE);
        let sleep = Sleep {
            address: call.address(),
            bits: u32::MAX,
            deadline,
            is_cancellable: false,
            is_overtaken: false,
        };
        hook::sleep_at(sleep, || call.result().is_none(), || ());
    }
    if error == libc::ECANCELED {
        let _ = hook::ends_in_error();
    }
    failed(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_about_to_sleep_sees_the_result_whoever_has_the_state() {
        let call = Call::new();
        let state = call.state.lock().unwrap();
        assert_eq!(call.result(), None);
        drop(state);
        call.change(|state| *state = State::Ended(-7));
        let _state = call.state.lock().unwrap();
        assert_eq!(call.result(), Some(-7));
    }
}
