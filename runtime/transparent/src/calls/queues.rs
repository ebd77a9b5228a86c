//! Queues of messages and sets of semaphores that processes share: POSIX's, of which events tell, and System V's, of which none do. Who waits for
//! those waits in the kernel, on a thread of the pool: only so is a message his that is gone at the next moment, or a value that does not last.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_char, c_int, c_long, c_short, c_uint, c_void};
use std::ptr::{self, null};
use std::time::Instant;

use abaca::hook::descriptors::{Attempt, Direction, WaitLimit, close_under, retry};
use libc::{EAGAIN, ETIMEDOUT, IPC_NOWAIT, mqd_t, sembuf, size_t, ssize_t, timespec};

use crate::answer::{failed, of_c};
use crate::calls::attempts::{Handlers, wait_elsewhere};
use crate::descriptors::wishes::result;
use crate::enter::{looked, would_block};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;
use crate::threads::thread_waits::in_seconds;
use crate::threads::until::Until;

hooks! {
    /// mq_receive(3).
    fn mq_receive(queue: mqd_t, buffer: *mut c_char, bytes: size_t, priority: *mut c_uint) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        let call = |queue, now| unsafe { kernel!(libc::SYS_mq_timedreceive, queue, buffer, bytes, priority, now) };
        moved(queue, Direction::Read, None, call)
    }

    /// mq_timedreceive(3).
    fn mq_timedreceive(
        queue: mqd_t, buffer: *mut c_char, bytes: size_t, priority: *mut c_uint, time: *const timespec,
    ) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        let Some(deadline) = (unsafe { deadline(time) }) else {
            // SAFETY: as above.
            return unsafe { of_c(own!(fn mq_timedreceive(mqd_t, *mut c_char, size_t, *mut c_uint, *const timespec) -> ssize_t)(queue, buffer, bytes, priority, time)) };
        };
        // SAFETY: as above.
        let call = |queue, now| unsafe { kernel!(libc::SYS_mq_timedreceive, queue, buffer, bytes, priority, now) };
        moved(queue, Direction::Read, deadline, call)
    }

    /// mq_send(3).
    fn mq_send(queue: mqd_t, buffer: *const c_char, bytes: size_t, priority: c_uint) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        let call = |queue, now| unsafe { kernel!(libc::SYS_mq_timedsend, queue, buffer, bytes, priority, now) };
        moved(queue, Direction::Write, None, call)
    }

    /// mq_timedsend(3).
    fn mq_timedsend(
        queue: mqd_t, buffer: *const c_char, bytes: size_t, priority: c_uint, time: *const timespec,
    ) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        let Some(deadline) = (unsafe { deadline(time) }) else {
            // SAFETY: as above.
            return unsafe { of_c(own!(fn mq_timedsend(mqd_t, *const c_char, size_t, c_uint, *const timespec) -> c_int)(queue, buffer, bytes, priority, time) as isize) };
        };
        // SAFETY: as above.
        let call = |queue, now| unsafe { kernel!(libc::SYS_mq_timedsend, queue, buffer, bytes, priority, now) };
        moved(queue, Direction::Write, deadline, call)
    }

    /// mq_close(3), as close(2).
    fn mq_close(queue: mqd_t) -> c_int, |_| -> always {
        close_under(queue);
        // SAFETY: the caller's promise.
        unsafe { own!(fn mq_close(mqd_t) -> c_int)(queue) }
    }

    /// msgrcv(2).
    fn msgrcv(queue: c_int, message: *mut c_void, bytes: size_t, kind: c_long, flags: c_int) -> ssize_t, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        let call = |flags: c_int| unsafe { kernel!(libc::SYS_msgrcv, queue, message, bytes, kind, flags) };
        // The kernel never waits for a copy, and refuses it if it might.
        if flags & (IPC_NOWAIT | libc::MSG_COPY) != 0 {
            return looked(call(flags));
        }
        let first = match call(flags | IPC_NOWAIT) {
            result if result == failed(libc::ENOMSG) => failed(EAGAIN),
            result => result,
        };
        // SAFETY: the message stays while the fiber waits.
        or_wait(first, || unsafe { wait_elsewhere(Handlers::End, || call(flags)) })
    }

    /// msgsnd(2).
    fn msgsnd(queue: c_int, message: *const c_void, bytes: size_t, flags: c_int) -> c_int, |_| -> kernel_point {
        // SAFETY: the caller's promise.
        let call = |flags: c_int| unsafe { kernel!(libc::SYS_msgsnd, queue, message, bytes, flags) };
        if flags & IPC_NOWAIT != 0 {
            return looked(call(flags));
        }
        // SAFETY: the message stays while the fiber waits.
        or_wait(call(flags | IPC_NOWAIT), || unsafe { wait_elsewhere(Handlers::End, || call(flags)) })
    }

    /// semop(2).
    fn semop(set: c_int, operations: *mut sembuf, count: size_t) -> c_int, |_| -> kernel {
        // SAFETY: the caller's promise.
        unsafe { operate(set, operations, count, None) }
    }

    /// semtimedop(2).
    fn semtimedop(set: c_int, operations: *mut sembuf, count: size_t, timeout: *const timespec) -> c_int, |_| -> kernel {
        // SAFETY: null, or the user's.
        match unsafe { crate::descriptors::poll::duration(timeout) } {
            // SAFETY: the caller's promise.
            Ok(timeout) => unsafe { operate(set, operations, count, timeout.and_then(|timeout| Instant::now().checked_add(timeout))) },
            Err(error) => error,
        }
    }
}

/// The end of a call that the user gives a time. `None` if it is no time: the kernel says what comes first.
///
/// # Safety
///
/// The time can be read, or is null, which is for ever.
unsafe fn deadline(time: *const timespec) -> Option<Option<Instant>> {
    if time.is_null() {
        return Some(None);
    }
    // SAFETY: the caller's promise, here and below.
    if unsafe { (*time).tv_sec } < 0 {
        return None;
    }
    // SAFETY: as above.
    let until = unsafe { Until::clock(libc::CLOCK_REALTIME, time) }.ok()?;
    // A queue that is not empty is not waited for.
    Some(until.deadline())
}

/// A call on a queue of POSIX's: with a time that has passed it does not wait.
fn moved(
    queue: mqd_t,
    direction: Direction,
    deadline: Option<Instant>,
    call: impl Fn(mqd_t, *const timespec) -> isize,
) -> isize {
    /// What no call returns: the user wants an error.
    const REFUSED: isize = isize::MIN;
    let long_ago = timespec { tv_sec: 0, tv_nsec: 0 };
    // Who has begun to wait goes on, whoever changes the mode meanwhile.
    let mut is_first = true;
    let ended = retry(Attempt {
        fd: queue,
        direction,
        wanted: 0,
        limit: &mut WaitLimit::until(deadline).restarted(),
        call: |queue| match call(queue, &long_ago) {
            result if result == failed(ETIMEDOUT) || result == failed(EAGAIN) => {
                let is_refused = std::mem::replace(&mut is_first, false) && result == failed(EAGAIN);
                if is_refused { REFUSED } else { failed(EAGAIN) }
            }
            result => result,
        },
    });
    match result(ended, ETIMEDOUT) {
        REFUSED => would_block(),
        result => result,
    }
}

/// The result of a first attempt that does not wait; if it would, that of the call that does.
fn or_wait(first: isize, wait: impl FnOnce() -> isize) -> isize {
    if first == failed(EAGAIN) { wait() } else { looked(first) }
}

/// semtimedop(2) on a fiber.
///
/// # Safety
///
/// The operations are so many.
unsafe fn operate(set: c_int, operations: *mut sembuf, count: usize, deadline: Option<Instant>) -> isize {
    /// The kernel's limit is 500 by default, and it refuses more than this.
    const MOST: usize = 32_000;
    let no_wait = IPC_NOWAIT as c_short;
    if count == 0 || count > MOST || operations.is_null() {
        // SAFETY: the kernel refuses it.
        return unsafe { kernel!(libc::SYS_semop, set, operations, count) };
    }
    let wait = || {
        let left = deadline.map(|at| in_seconds(at.saturating_duration_since(Instant::now())));
        let left = left.as_ref().map_or(null(), ptr::from_ref);
        // SAFETY: the caller's promise.
        unsafe { kernel!(libc::SYS_semtimedop, set, operations, count, left) }
    };
    // SAFETY: the operations stay while the fiber waits.
    let elsewhere = || unsafe { wait_elsewhere(Handlers::End, wait) };
    // SAFETY: the caller's promise.
    let mut all = unsafe { std::slice::from_raw_parts(operations, count) }.to_vec();
    if all.iter().any(|operation| operation.sem_flg & no_wait != 0) {
        // Only the kernel knows which of them would wait.
        return elsewhere();
    }
    all.iter_mut().for_each(|operation| operation.sem_flg |= no_wait);
    // SAFETY: the list is this function's.
    or_wait(unsafe { kernel!(libc::SYS_semop, set, all.as_ptr(), all.len()) }, elsewhere)
}
