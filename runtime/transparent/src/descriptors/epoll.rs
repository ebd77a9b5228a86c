//! epoll_wait(2) and its kin: an epoll instance is itself a descriptor that the runtime's poller can watch.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::c_int;
use std::fs;
use std::time::{Duration, Instant};

use abaca::hook::descriptors::Direction;
use libc::{epoll_event, sigset_t, timespec};

use super::poll::{duration, ended, wait_on_file};
use super::told::{or_interrupted, wakes_its_process};
use crate::answer::failed;
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::threads::given::{Look, with_mask_or};
use crate::threads::thread_waits;

hooks! {
    /// epoll_wait(2).
    fn epoll_wait(set: c_int, events: *mut epoll_event, room: c_int, timeout: c_int) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        unsafe { wait(set, events, room, u64::try_from(timeout).ok().map(Duration::from_millis)) }
    }

    /// epoll_pwait(2). A signal mask is the fiber's meanwhile.
    fn epoll_pwait(set: c_int, events: *mut epoll_event, room: c_int, timeout: c_int, mask: *const sigset_t) -> c_int, |_| -> kernel_point_of_threads {
        let limit = u64::try_from(timeout).ok().map(Duration::from_millis);
        // SAFETY: the caller's promise.
        unsafe { with_mask_or(mask, Look::LeavesIt, || wait(set, events, room, limit), || thread_waits::epoll_pwait(set, events, room, timeout, mask)) }
    }

    /// epoll_pwait2(2), the same.
    fn epoll_pwait2(
        set: c_int, events: *mut epoll_event, room: c_int, timeout: *const timespec, mask: *const sigset_t,
    ) -> c_int, |_| -> kernel_point_of_threads {
        // SAFETY: the caller's promise.
        unsafe {
            let in_kernel = || thread_waits::epoll_pwait2(set, events, room, timeout, mask);
            match duration(timeout) {
                Ok(limit) => with_mask_or(mask, Look::LeavesIt, || wait(set, events, room, limit), in_kernel),
                Err(error) => error,
            }
        }
    }
}

/// # Safety
///
/// The arguments are those of epoll_wait(2).
unsafe fn wait(set: c_int, events: *mut epoll_event, room: c_int, timeout: Option<Duration>) -> isize {
    // SAFETY: the caller's promise.
    let look = |set| unsafe { kernel!(libc::SYS_epoll_pwait, set, events, room, 0, 0, 8) };
    let first = look(set);
    if first != 0 || timeout.is_some_and(|timeout| timeout.is_zero()) {
        return looked(first);
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    match ended(wait_on_file(set, Direction::Read, deadline, look)) {
        result if result == failed(libc::ECANCELED) => {
            let room = usize::try_from(room).unwrap_or(0);
            // SAFETY: the kernel has taken the address and the room.
            or_interrupted(unsafe { all_events(set, events, room) })
        }
        result => result,
    }
}

/// The events that the set waits for, as if they had come, but for those by which the process wakes itself.
///
/// # Safety
///
/// `events` has room for so many.
unsafe fn all_events(set: c_int, events: *mut epoll_event, room: usize) -> usize {
    let Ok(about) = fs::read_to_string(format!("/proc/self/fdinfo/{set}")) else { return 0 };
    let watched = about.lines().filter_map(|line| {
        let words: Vec<&str> = line.strip_prefix("tfd:")?.split_whitespace().collect();
        // `tfd: NUMBER events: HEX data: HEX pos: ..`
        let value = |name: &str| {
            let at = words.iter().position(|word| word.trim_end_matches(':') == name)?;
            u64::from_str_radix(words.get(at + 1)?, 16).ok()
        };
        let wanted = value("events")? as u32 & (libc::EPOLLIN | libc::EPOLLOUT) as u32;
        let is_told = wanted != 0 && !wakes_its_process(words.first()?.parse().ok()?);
        Some(epoll_event { events: wanted, u64: value("data")? }).filter(|_| is_told)
    });
    let mut found = 0;
    for event in watched.take(room) {
        // SAFETY: the caller's promise.
        unsafe { events.add(found).write(event) };
        found += 1;
    }
    found
}
