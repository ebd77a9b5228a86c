//! poll(2) and ppoll(2).

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_short};
use std::time::{Duration, Instant};

use abaca::hook::descriptors::{Attempt, Direction, Ended, Interest, Numbers, WaitLimit, retry, wait_any};
use abaca::hook::{Slept, sleep_until};
use libc::{nfds_t, pollfd, sigset_t, size_t, timespec};

use super::told::instead_of_cancelled;
use crate::answer::{failed, of_c};
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;
use crate::threads::given::{Look, with_mask_or};
use crate::threads::thread_waits;

hooks! {
    /// poll(2).
    fn poll(list: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { poll_for(list, count, u64::try_from(timeout).ok().map(Duration::from_millis)) }
    }

    /// ppoll(2). A signal mask is the fiber's meanwhile.
    fn ppoll(list: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t) -> c_int, |_| -> kernel_point_of_threads {
        // SAFETY: the caller's promise.
        unsafe {
            match duration(timeout) {
                Ok(limit) => with_mask_or(mask, Look::Ends, || poll_for(list, count, limit), || thread_waits::ppoll(list, count, timeout, mask)),
                Err(error) => error,
            }
        }
    }

    /// poll(2) of a program that checks its buffers (`_FORTIFY_SOURCE`).
    fn __poll_chk(list: *mut pollfd, count: nfds_t, timeout: c_int, room: size_t) -> c_int, |_| -> kernel_point {
        if room / size_of::<pollfd>() < count as usize {
            // It ends the process.
            // SAFETY: the caller's promise.
            return unsafe { of_c(own!(fn __poll_chk(*mut pollfd, nfds_t, c_int, size_t) -> c_int)(list, count, timeout, room) as isize) };
        }
        // SAFETY: the caller's promise.
        unsafe { poll_for(list, count, u64::try_from(timeout).ok().map(Duration::from_millis)) }
    }

    /// ppoll(2) of a program that checks its buffers.
    fn __ppoll_chk(
        list: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t, room: size_t,
    ) -> c_int, |_| -> kernel_point_of_threads {
        // SAFETY: the caller's promise.
        unsafe {
            let in_kernel = || thread_waits::__ppoll_chk(list, count, timeout, mask, room);
            if room / size_of::<pollfd>() < count as usize {
                // It ends the process.
                return of_c(in_kernel() as isize);
            }
            match duration(timeout) {
                Ok(limit) => with_mask_or(mask, Look::Ends, || poll_for(list, count, limit), in_kernel),
                Err(error) => error,
            }
        }
    }
}

/// A time of the user's; `None` is for ever.
///
/// # Errors
///
/// `-EINVAL`: it is out of range.
///
/// # Safety
///
/// The address is null or valid.
pub(crate) unsafe fn duration(time: *const timespec) -> Result<Option<Duration>, isize> {
    // SAFETY: the caller's promise.
    let Some(time) = (unsafe { time.as_ref() }) else { return Ok(None) };
    match (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec)) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Ok(Some(Duration::new(seconds, nanos))),
        _ => Err(failed(libc::EINVAL)),
    }
}

const READS: c_short = libc::POLLIN | libc::POLLRDNORM | libc::POLLRDBAND | libc::POLLPRI | libc::POLLRDHUP;
const WRITES: c_short = libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND;

/// What to wait for if an entry's events are asked for. Errors and the end are events of reading.
fn interests(entry: &pollfd) -> impl Iterator<Item = Interest> {
    let (fd, events) = (entry.fd, entry.events);
    let reads = events & READS != 0 || events & WRITES == 0;
    let read = reads.then_some(Interest { fd, direction: Direction::Read });
    let write = (events & WRITES != 0).then_some(Interest { fd, direction: Direction::Write });
    read.into_iter().chain(write).filter(|interest| interest.fd >= 0)
}

/// The events of one descriptor now.
///
/// # Errors
///
/// The kernel's result.
pub(crate) fn look_at(fd: c_int, events: c_short) -> Result<c_short, isize> {
    let mut entry = pollfd { fd, events, revents: 0 };
    match look(std::slice::from_mut(&mut entry)) {
        result if result < 0 => Err(result),
        _ => Ok(entry.revents),
    }
}

/// Makes a look that does not wait. The kernel ends it in EINTR if a signal has come for the OS thread, though it be another fiber's, and nothing is
/// ready: then it looks again. Handlers that are the caller's run when the call ends, or interrupt its wait.
pub(super) fn undisturbed(mut look: impl FnMut() -> isize) -> isize {
    loop {
        match look() {
            result if result == failed(libc::EINTR) => {}
            result => return result,
        }
    }
}

/// poll(2) without waiting.
fn look(list: &mut [pollfd]) -> isize {
    let now = timespec { tv_sec: 0, tv_nsec: 0 };
    undisturbed(|| {
        // SAFETY: the kernel writes into the list.
        unsafe { kernel!(libc::SYS_ppoll, list.as_mut_ptr(), list.len(), &raw const now, 0, 0) }
    })
}

/// poll(2) on a fiber.
///
/// # Safety
///
/// `list` has so many elements, as far as the kernel takes so many.
pub(crate) unsafe fn poll_for(list: *mut pollfd, count: nfds_t, timeout: Option<Duration>) -> isize {
    let now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the caller's promise: the kernel refuses a list that is none.
    let first = undisturbed(|| unsafe { kernel!(libc::SYS_ppoll, list, count, &raw const now, 0, 0) });
    if first != 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
        return looked(first);
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let list: &mut [pollfd] = if count == 0 {
        &mut []
    } else {
        // SAFETY: the kernel has just used the list.
        unsafe { std::slice::from_raw_parts_mut(list, count as usize) }
    };
    let interests: Vec<Interest> = list.iter().flat_map(interests).collect();
    match ended(wait_for(&interests, deadline, || look(list))) {
        result if result == failed(libc::ECANCELED) => {
            instead_of_cancelled(interests.iter().map(|interest| interest.fd), |is_told| tell(list, is_told))
        }
        result => result,
    }
}

/// Notes the events that are asked for as those that have come, of the descriptors for which `is_told` says so. Returns how many these are.
fn tell(list: &mut [pollfd], is_told: &dyn Fn(c_int) -> bool) -> usize {
    let usual = libc::POLLIN | libc::POLLRDNORM | libc::POLLOUT | libc::POLLWRNORM;
    for entry in &mut *list {
        entry.revents = if entry.fd >= 0 && is_told(entry.fd) { entry.events & usual } else { 0 };
    }
    list.iter().filter(|entry| entry.revents != 0).count()
}

/// Parks the fiber until `look`, which does not wait, returns something else than 0.
pub(super) fn wait_for(
    interests: &[Interest],
    deadline: Option<Instant>,
    mut look: impl FnMut() -> isize,
) -> Ended {
    match *interests {
        [] => wait_for_nothing(deadline),
        [Interest { fd, direction }] => {
            let mut has_moved = false;
            let ended = wait_on_file(fd, direction, deadline, |now| {
                has_moved |= now != fd;
                if is_quiet(interests, &|_| now) { 0 } else { look() }
            });
            match ended {
                Ended::TimedOut | Ended::Interrupted if has_moved => match look() {
                    0 => ended,
                    result => Ended::Done(result),
                },
                ended => ended,
            }
        }
        _ => wait_any(interests, deadline, |numbers| match numbers {
            Some(numbers) if is_quiet(interests, numbers) => 0,
            _ => look(),
        }),
    }
}

/// Whether a number was closed under the call, which waits for its file as before, and none of the files has an event: then nothing has woken the
/// kernel's call either, which would see that the number is not open any more.
fn is_quiet(interests: &[Interest], numbers: Numbers<'_>) -> bool {
    let numbers = || (0..interests.len()).map(numbers);
    if numbers().zip(interests).all(|(number, interest)| number == interest.fd)
        || numbers().any(|number| number < 0)
    {
        return false;
    }
    let events = |direction| if direction == Direction::Read { READS } else { WRITES };
    let entry =
        |(fd, interest): (c_int, &Interest)| pollfd { fd, events: events(interest.direction), revents: 0 };
    let mut list: Vec<pollfd> = numbers().zip(interests).map(entry).collect();
    self::look(&mut list) == 0
}

/// A wait that only its time ends, or a signal.
fn wait_for_nothing(deadline: Option<Instant>) -> Ended {
    match sleep_until(deadline) {
        Slept::Cancelled => Ended::Cancelled,
        Slept::Handled | Slept::Interrupted => Ended::Interrupted,
        _ => Ended::TimedOut,
    }
}

/// [`wait_for`] of one descriptor, whose number `look` is given: if it is closed meanwhile, that of the file.
pub(super) fn wait_on_file(
    fd: c_int,
    direction: Direction,
    deadline: Option<Instant>,
    mut look: impl FnMut(c_int) -> isize,
) -> Ended {
    let mut number = fd;
    let ended = retry(Attempt {
        fd,
        direction,
        wanted: 0,
        limit: &mut WaitLimit::until(deadline),
        call: |now| {
            number = now;
            match look(now) {
                0 => failed(libc::EAGAIN),
                result => result,
            }
        },
    });
    match ended {
        Ended::TimedOut => match look(number) {
            0 => Ended::TimedOut,
            result => Ended::Done(result),
        },
        // It never changes.
        Ended::Unwatchable => wait_for_nothing(deadline),
        ended => ended,
    }
}

/// The result of poll(2) or one of its kin.
pub(super) fn ended(ended: Ended) -> isize {
    match ended {
        Ended::TimedOut => 0,
        ended => super::wishes::result(ended, 0),
    }
}
