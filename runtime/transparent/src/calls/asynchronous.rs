//! Waits for what libc's own threads do: reads and writes of aio(7), and look-ups of getaddrinfo_a(3). What waits for all is made of a call
//! that waits for none, and of waits that can be given up.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_void};
use std::ptr::{from_ref, null, null_mut};
use std::time::{Duration, Instant};

use abaca::hook::descriptors::Ended;
use libc::{EAI_SYSTEM, aiocb, sigevent, timespec};

use super::attempts::{Handlers, wait_elsewhere};
use crate::answer::{errno, failed, of_c, set_errno};
use crate::descriptors::pause::retry_until_handled;
use crate::descriptors::poll::duration;
use crate::enter::{Within, looked};
use crate::hooks::hooks;
use crate::own::own;

/// `struct gaicb`, which is only passed on.
type Request = c_void;

const EAI_AGAIN: c_int = -3;
const EAI_INPROGRESS: c_int = -100;
const EAI_ALLDONE: c_int = -103;
const EAI_INTR: c_int = -104;
/// `GAI_WAIT` and `GAI_NOWAIT`.
const WAITS: c_int = 0;
const DOES_NOT_WAIT: c_int = 1;

// SAFETY: as glibc defines it.
unsafe extern "C" {
    fn gai_error(request: *const Request) -> c_int;
}

hooks! {
    /// aio_read(3). libc asks for the policy of a thread by the number that it knows of the fiber, and leaves that error in errno: so too below.
    fn aio_read(request: *mut aiocb) -> c_int, |_| -> kernel {
        // SAFETY: the caller's promise.
        of_c(unsafe { own!(fn aio_read(*mut aiocb) -> c_int)(request) } as isize)
    }

    /// aio_read(3) of programs with large files.
    fn aio_read64(request: *mut aiocb) -> c_int, |_| -> kernel {
        // SAFETY: the caller's promise.
        of_c(unsafe { own!(fn aio_read64(*mut aiocb) -> c_int)(request) } as isize)
    }

    /// aio_write(3).
    fn aio_write(request: *mut aiocb) -> c_int, |_| -> kernel {
        // SAFETY: the caller's promise.
        of_c(unsafe { own!(fn aio_write(*mut aiocb) -> c_int)(request) } as isize)
    }

    /// aio_write(3) of programs with large files.
    fn aio_write64(request: *mut aiocb) -> c_int, |_| -> kernel {
        // SAFETY: the caller's promise.
        of_c(unsafe { own!(fn aio_write64(*mut aiocb) -> c_int)(request) } as isize)
    }

    /// aio_fsync(3).
    fn aio_fsync(operation: c_int, request: *mut aiocb) -> c_int, |_| -> kernel {
        // SAFETY: the caller's promise.
        of_c(unsafe { own!(fn aio_fsync(c_int, *mut aiocb) -> c_int)(operation, request) } as isize)
    }

    /// aio_fsync(3) of programs with large files.
    fn aio_fsync64(operation: c_int, request: *mut aiocb) -> c_int, |_| -> kernel {
        // SAFETY: the caller's promise.
        of_c(unsafe { own!(fn aio_fsync64(c_int, *mut aiocb) -> c_int)(operation, request) } as isize)
    }

    /// aio_suspend(3).
    fn aio_suspend(list: *const *const aiocb, count: c_int, time: *const timespec) -> c_int, |_| -> kernel_point {
        let own = own!(fn aio_suspend(*const *const aiocb, c_int, *const timespec) -> c_int);
        // SAFETY: the caller's promise, here and below.
        unsafe { suspend(time, |time| own(list, count, time)) }
    }

    /// aio_suspend(3) of programs with large files.
    fn aio_suspend64(list: *const *const aiocb, count: c_int, time: *const timespec) -> c_int, |_| -> kernel_point {
        let own = own!(fn aio_suspend64(*const *const aiocb, c_int, *const timespec) -> c_int);
        // SAFETY: the caller's promise, here and below.
        unsafe { suspend(time, |time| own(list, count, time)) }
    }

    /// lio_listio(3).
    fn lio_listio(mode: c_int, list: *const *mut aiocb, count: c_int, event: *mut sigevent) -> c_int, |_| -> kernel_point {
        let own = own!(fn lio_listio(c_int, *const *mut aiocb, c_int, *mut sigevent) -> c_int);
        // SAFETY: the caller's promise, here and below.
        unsafe { begin_all(mode, list, count, |mode, event| own(mode, list, count, event), event) }
    }

    /// lio_listio(3) of programs with large files.
    fn lio_listio64(mode: c_int, list: *const *mut aiocb, count: c_int, event: *mut sigevent) -> c_int, |_| -> kernel_point {
        let own = own!(fn lio_listio64(c_int, *const *mut aiocb, c_int, *mut sigevent) -> c_int);
        // SAFETY: the caller's promise, here and below.
        unsafe { begin_all(mode, list, count, |mode, event| own(mode, list, count, event), event) }
    }

    /// gai_suspend(3): looks again after pauses. libc's own must not be ended by a time or a handler: it leaves a place of its stack behind with
    /// a look-up that ends at that moment.
    fn gai_suspend(list: *const *const Request, count: c_int, time: *const timespec) -> c_int, |within| -> c_point {
        // SAFETY: the caller's promise, here and below: there are so many.
        let (requests, time) = unsafe { (elements(list, count), duration(time)) };
        if requests.iter().all(|request| has_ended(*request)) {
            return EAI_ALLDONE;
        }
        let Ok(time) = time else { return EAI_AGAIN };
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        until(within, deadline, || requests.iter().any(|request| !request.is_null() && has_ended(*request)))
    }

    /// getaddrinfo_a(3).
    fn getaddrinfo_a(mode: c_int, list: *const *const Request, count: c_int, event: *mut sigevent) -> c_int, |within| -> c_point {
        let own = own!(fn getaddrinfo_a(c_int, *const *const Request, c_int, *mut sigevent) -> c_int);
        if mode != WAITS {
            // SAFETY: the caller's promise.
            return unsafe { own(mode, list, count, event) };
        }
        // SAFETY: the caller's promise, here and below.
        let begun = unsafe { own(DOES_NOT_WAIT, list, count, null_mut()) };
        if begun != 0 {
            return begun;
        }
        // SAFETY: as above: there are so many.
        let requests = unsafe { elements(list, count) };
        until(within, None, || requests.iter().all(|request| has_ended(*request)))
    }
}

/// # Safety
///
/// The list has so many elements, if it is to have some, and stays.
unsafe fn elements<'a, T>(list: *const T, count: c_int) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: the caller's promise.
        Ok(count @ 1..) => unsafe { std::slice::from_raw_parts(list, count) },
        _ => &[],
    }
}

/// Whether libc has done with a request; also if it is none.
fn has_ended(request: *const Request) -> bool {
    // SAFETY: the callers pass requests of their callers', which libc has.
    request.is_null() || unsafe { gai_error(request) } != EAI_INPROGRESS
}

/// Waits until `is_over` says so: 0, or an error of getaddrinfo_a(3).
fn until(within: &Within, deadline: Option<Instant>, is_over: impl Fn() -> bool) -> c_int {
    let attempt = || if is_over() { 0 } else { failed(libc::EAGAIN) };
    match retry_until_handled(|| Ok(deadline), attempt, deadline.is_some()) {
        Ended::Done(_) => 0,
        Ended::TimedOut => EAI_AGAIN,
        Ended::Interrupted => EAI_INTR,
        _ => {
            within.fails_with(libc::ECANCELED);
            EAI_SYSTEM
        }
    }
}

const NOT_AT_ALL: timespec = timespec { tv_sec: 0, tv_nsec: 0 };

/// libc waits at a futex, which a handler with SA_RESTART ends only if there is a time.
fn handlers(deadline: Option<Instant>) -> Handlers {
    if deadline.is_some() { Handlers::End } else { Handlers::EndUnlessRestarted }
}

/// The time that is left; `None` is for ever.
fn rest(deadline: Option<Instant>) -> Option<timespec> {
    let left = deadline?.saturating_duration_since(Instant::now());
    Some(timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    })
}

/// aio_suspend(3), whose last argument `own` takes.
///
/// # Safety
///
/// The time is null, or the user's, and `own` may be called.
unsafe fn suspend(time: *const timespec, own: impl Fn(*const timespec) -> c_int) -> isize {
    // SAFETY: the caller's promise.
    let time = match unsafe { duration(time) } {
        Ok(time) => time,
        Err(error) => return error,
    };
    let first = of_c(own(&NOT_AT_ALL) as isize);
    if first != failed(libc::EAGAIN) || time == Some(Duration::ZERO) {
        return looked(first);
    }
    let deadline = time.and_then(|time| Instant::now().checked_add(time));
    // SAFETY: what the caller promises stays while the fiber waits.
    unsafe {
        wait_elsewhere(handlers(deadline), || {
            let rest = rest(deadline);
            of_c(own(rest.as_ref().map_or(null(), from_ref)) as isize)
        })
    }
}

/// lio_listio(3), whose first and last argument `own` takes.
///
/// # Safety
///
/// The arguments are those of lio_listio(3).
unsafe fn begin_all(
    mode: c_int,
    list: *const *mut aiocb,
    count: c_int,
    own: impl Fn(c_int, *mut sigevent) -> c_int,
    event: *mut sigevent,
) -> isize {
    if mode != libc::LIO_WAIT {
        return of_c(own(mode, event) as isize);
    }
    let before = errno();
    let begun = own(libc::LIO_NOWAIT, null_mut());
    let error = errno();
    set_errno(before);
    // SAFETY: the caller's promise, here and below: there are so many.
    let requests = unsafe { elements(list, count) };
    let mut has_failed = begun != 0;
    let mut any_begun = false;
    for request in requests.iter().copied().filter(|request| {
        // SAFETY: as above.
        !request.is_null() && unsafe { (**request).aio_lio_opcode } != libc::LIO_NOP
    }) {
        loop {
            // SAFETY: as above.
            match unsafe { libc::aio_error(request) } {
                libc::EINPROGRESS => {}
                state => {
                    any_begun |= state == 0;
                    has_failed |= state != 0;
                    break;
                }
            }
            any_begun = true;
            // SAFETY: as above.
            let waited = unsafe {
                suspend(null(), |time| {
                    own!(fn aio_suspend(*const *const aiocb, c_int, *const timespec) -> c_int)(
                        &request.cast_const(),
                        1,
                        time,
                    )
                })
            };
            if waited < 0 {
                return waited;
            }
        }
    }
    match has_failed {
        false => 0,
        true if begun != 0 && !any_begun => failed(error),
        true => failed(libc::EIO),
    }
}
