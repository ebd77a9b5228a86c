//! Functions of libc that wait for signals, or with a mask, on OS threads: plain ones, and that of a fiber with whose mask only the kernel can wait
//! (`given.rs`). They see what is held back as well (`listening.rs`).

#![expect(unsafe_code, reason = "stands for functions of libc, and changes masks")]

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::zeroed;
use std::ptr::{self, null, null_mut};
use std::time::{Duration, Instant};

use libc::{EINTR, SIG_SETMASK, epoll_event, fd_set, nfds_t, pollfd, siginfo_t, sigset_t, size_t, timespec};

use super::attending::Few;
use super::defaults::does_nothing;
use super::frames::{handlers_run, none_run};
use super::listening::{is_concerned, listen};
use super::masks::{self, that_can_be};
use super::{details, waiting};
use crate::answer::{errno, set_errno};
use crate::calls::kick::{set_mask, without_signal};
use crate::descriptors::poll::duration;
use crate::own::own;

/// What is left until then; `None` is for ever.
fn rest(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|at| at.saturating_duration_since(Instant::now()))
}

/// As the kernel takes it.
pub(crate) fn in_seconds(time: Duration) -> timespec {
    timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}

fn address(time: Option<&timespec>) -> *const timespec {
    time.map_or(null(), ptr::from_ref)
}

/// Milliseconds, rounded up; -1 is for ever.
fn in_millis(time: Option<Duration>) -> c_int {
    time.map_or(-1, |time| time.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(c_int::MAX))
}

/// Makes a call that waits in the kernel with this mask, and at most for this time. As libc's functions it returns -1 and `errno` for an error.
///
/// # Safety
///
/// The mask is initialised. The call can be made again after EINTR.
unsafe fn wait(
    mask: *const sigset_t,
    limit: Option<Duration>,
    call: impl Fn(*const sigset_t, Option<Duration>) -> c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let (wanted, let_through) = unsafe { (!that_can_be(mask), without_signal(*mask)) };
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let (errno_before, handlers_before) = (errno(), handlers_run());
    // A call that is to wait, be it briefly, does: the first has all of its time.
    let is_first = Cell::new(true);
    let time = || if is_first.replace(false) { limit } else { rest(deadline) };
    loop {
        let left = listen(wanted, |frame| {
            loop {
                // Whether what is held back ends the call the kernel says: not one that finds something ready.
                let is_held_back = waiting::with_effect(wanted) != 0;
                if is_held_back && !frame.tell_itself() {
                    return None;
                }
                let none_before = none_run();
                let result = call(&raw const let_through, time());
                let was_told = frame.was_told();
                if result >= 0 || errno() != EINTR || !(was_told || is_held_back) && none_run() == none_before
                {
                    return Some(result);
                }
                if is_held_back || handlers_run() != handlers_before {
                    return None;
                }
                set_errno(errno_before);
                if was_told {
                    frame.listen_again();
                }
            }
        });
        let Some(left) = left else { return call(mask, time()) };
        let is_interrupted = left.result.is_none_or(|result| result < 0 && errno() == EINTR);
        let taken = if is_interrupted { Few::take(wanted) } else { Few::NONE };
        left.pass_on_the_rest();
        if !taken.is_empty() {
            // SAFETY: the caller's promise.
            unsafe { set_mask(SIG_SETMASK, mask, null_mut()) };
            taken.run_handlers();
        }
        left.restore_mask();
        match left.result {
            Some(result) if !is_interrupted => return result,
            // Somebody else was faster.
            None if taken.is_empty() && handlers_run() == handlers_before => {}
            _ => {
                set_errno(EINTR);
                return -1;
            }
        }
    }
}

/// The same of a mask that may be none, and a time of the user's; `own` is libc's function, with the user's arguments.
///
/// # Safety
///
/// The mask is null, or initialised; the time is null, or valid. The call can be made again after EINTR.
unsafe fn wait_if_concerned(
    mask: *const sigset_t,
    limit: Result<Option<Duration>, isize>,
    call: impl Fn(*const sigset_t, Option<Duration>) -> c_int,
    own: impl FnOnce() -> c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let wanted = if mask.is_null() { 0 } else { unsafe { !that_can_be(mask) } };
    let blocked = masks::of_main() & wanted;
    // The function of `handlers.rs` stands for these, and would end the call.
    let lets_idle_through =
        || blocked != 0 && masks::is_main_thread() && masks::signals(blocked).any(does_nothing);
    if mask.is_null() || !(is_concerned(wanted, || blocked != 0) || lets_idle_through()) {
        return own();
    }
    match limit {
        // SAFETY: the caller's promise.
        Ok(limit) => unsafe { wait(mask, limit, call) },
        Err(_) => own(),
    }
}

/// Takes a signal of the set, and waits for it at most so long. The signal; or -1, and `errno`.
///
/// # Safety
///
/// The set is initialised; the info is null or can be written.
unsafe fn take(set: *const sigset_t, info: *mut siginfo_t, limit: Option<Duration>, goes_on: bool) -> c_int {
    let own = own!(point fn sigtimedwait(*const sigset_t, *mut siginfo_t, *const timespec) -> c_int);
    // SAFETY: the caller's promise; the info is a local, for which all zeros are valid.
    let (wanted, set, mut about) = unsafe { (that_can_be(set), without_signal(*set), zeroed()) };
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let errno_before = errno();
    // With the signal by which the caller is told, or 0.
    let mut look = |set: &sigset_t, kick: c_int| loop {
        if let Some((signal, told)) = waiting::take_first(wanted) {
            about = details::of_wait(told);
            return signal as c_int;
        }
        let time = rest(deadline).map(in_seconds);
        // SAFETY: values of this function's, and of its caller's.
        let found = unsafe { own(set, &raw mut about, address(time.as_ref())) };
        if found == kick || !(goes_on && found < 0 && errno() == EINTR) {
            return found;
        }
    };
    let left = listen(wanted, |frame| {
        let mut set = set;
        // SAFETY: a set of this function's.
        unsafe { libc::sigaddset(&raw mut set, frame.kick) };
        loop {
            match look(&set, frame.kick) {
                found if found == frame.kick => frame.listen_again(),
                found => return found,
            }
        }
    });
    let found = match left {
        Some(left) => {
            left.pass_on_the_rest();
            left.restore_mask();
            left.result
        }
        None => look(&set, 0),
    };
    if found > 0 {
        set_errno(errno_before);
        if !info.is_null() {
            // SAFETY: the caller's promise.
            unsafe { info.write(about) };
        }
    }
    found
}

/// sigwait(3), which no handler ends.
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn sigwait(set: *const sigset_t, signal: *mut c_int) -> c_int {
    // SAFETY: the caller's promise, here and below.
    unsafe {
        if !is_concerned(that_can_be(set), || true) {
            return own!(point fn sigwait(*const sigset_t, *mut c_int) -> c_int)(set, signal);
        }
        match take(set, null_mut(), None, true) {
            found if found > 0 => {
                signal.write(found);
                0
            }
            _ => errno(),
        }
    }
}

/// sigwaitinfo(2).
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn sigwaitinfo(set: *const sigset_t, info: *mut siginfo_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { sigtimedwait(set, info, null()) }
}

/// sigtimedwait(2).
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn sigtimedwait(
    set: *const sigset_t,
    info: *mut siginfo_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        match duration(time) {
            Ok(limit) if is_concerned(that_can_be(set), || true) => take(set, info, limit, false),
            _ => {
                let own =
                    own!(point fn sigtimedwait(*const sigset_t, *mut siginfo_t, *const timespec) -> c_int);
                own(set, info, time)
            }
        }
    }
}

/// sigsuspend(2).
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn sigsuspend(mask: *const sigset_t) -> c_int {
    // SAFETY: the caller's promise. Without descriptors and a time ppoll(2) is the same.
    unsafe {
        wait_if_concerned(mask, Ok(None), ppoll_of(null_mut(), 0), || {
            own!(point fn sigsuspend(*const sigset_t) -> c_int)(mask)
        })
    }
}

fn ppoll_of(list: *mut pollfd, count: nfds_t) -> impl Fn(*const sigset_t, Option<Duration>) -> c_int {
    let own = own!(point fn ppoll(*mut pollfd, nfds_t, *const timespec, *const sigset_t) -> c_int);
    move |mask, time| {
        let time = time.map(in_seconds);
        // SAFETY: the caller of the hook has promised that of the list; the rest is of those who wait.
        unsafe { own(list, count, address(time.as_ref()), mask) }
    }
}

/// ppoll(2).
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn ppoll(
    list: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        wait_if_concerned(mask, duration(timeout), ppoll_of(list, count), || {
            own!(point fn ppoll(*mut pollfd, nfds_t, *const timespec, *const sigset_t) -> c_int)(
                list, count, timeout, mask,
            )
        })
    }
}

/// ppoll(2) of a program that checks its buffers.
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn __ppoll_chk(
    list: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
    room: size_t,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if room / size_of::<pollfd>() < count as usize {
            // It ends the process.
            own!(point fn __ppoll_chk(*mut pollfd, nfds_t, *const timespec, *const sigset_t, size_t) -> c_int)(
                list, count, timeout, mask, room,
            )
        } else {
            ppoll(list, count, timeout, mask)
        }
    }
}

/// pselect(2).
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn pselect(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    let own = own!(point fn pselect(c_int, *mut fd_set, *mut fd_set, *mut fd_set, *const timespec, *const sigset_t) -> c_int);
    let call = |mask: *const sigset_t, time: Option<Duration>| {
        let time = time.map(in_seconds);
        // SAFETY: the caller's promise. After EINTR the sets are as before.
        unsafe { own(count, read, write, except, address(time.as_ref()), mask) }
    };
    // SAFETY: the caller's promise.
    unsafe {
        wait_if_concerned(mask, duration(timeout), call, || own(count, read, write, except, timeout, mask))
    }
}

/// epoll_pwait(2).
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn epoll_pwait(
    set: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    let own = own!(point fn epoll_pwait(c_int, *mut epoll_event, c_int, c_int, *const sigset_t) -> c_int);
    let limit = u64::try_from(timeout).ok().map(Duration::from_millis);
    // SAFETY: the caller's promise.
    let call = |mask, time| unsafe { own(set, events, room, in_millis(time), mask) };
    // SAFETY: as above.
    unsafe { wait_if_concerned(mask, Ok(limit), call, || own(set, events, room, timeout, mask)) }
}

/// epoll_pwait2(2).
///
/// # Safety
///
/// As libc's function.
pub(crate) unsafe fn epoll_pwait2(
    set: c_int,
    events: *mut epoll_event,
    room: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    let own = own!(point fn epoll_pwait2(c_int, *mut epoll_event, c_int, *const timespec, *const sigset_t) -> c_int);
    let call = |mask: *const sigset_t, time: Option<Duration>| {
        let time = time.map(in_seconds);
        // SAFETY: the caller's promise.
        unsafe { own(set, events, room, address(time.as_ref()), mask) }
    };
    // SAFETY: the caller's promise.
    unsafe { wait_if_concerned(mask, duration(timeout), call, || own(set, events, room, timeout, mask)) }
}
