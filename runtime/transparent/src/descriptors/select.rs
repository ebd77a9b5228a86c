//! select(2) and pselect(2).

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_ulong};
use std::fs;
use std::time::{Duration, Instant};

use abaca::hook::descriptors::{Direction, Interest};
use libc::{fd_set, sigset_t, timespec, timeval};

use super::poll::{duration, ended, undisturbed, wait_for};
use super::told::instead_of_cancelled;
use crate::answer::failed;
use crate::enter::looked;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::threads::given::{Look, with_mask_or};
use crate::threads::thread_waits;

hooks! {
    /// select(2). As Linux does, it writes into `timeout` what is left of it.
    fn select(count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, timeout: *mut timeval) -> c_int, |_| -> kernel_point {
        // SAFETY: null, or the user's.
        let timeout = unsafe { timeout.as_mut() };
        let limit = match timeout.as_ref().map(|time| (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec))) {
            None => None,
            // Linux takes more than a million.
            Some((Ok(seconds), Ok(micros))) => Some(Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros))),
            Some(_) => return failed(libc::EINVAL),
        };
        let began = Instant::now();
        // SAFETY: the caller's promise.
        let result = unsafe { select_for(count, [read, write, except], limit) };
        if let (Some(timeout), Some(limit)) = (timeout, limit) {
            let left = limit.saturating_sub(began.elapsed());
            (timeout.tv_sec, timeout.tv_usec) = (left.as_secs() as i64, i64::from(left.subsec_micros()));
        }
        result
    }

    /// pselect(2). A signal mask is the fiber's meanwhile.
    fn pselect(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, timeout: *const timespec, mask: *const sigset_t,
    ) -> c_int, |_| -> kernel_point_of_threads {
        // SAFETY: the caller's promise.
        unsafe {
            let in_kernel = || thread_waits::pselect(count, read, write, except, timeout, mask);
            match duration(timeout) {
                Ok(limit) => with_mask_or(mask, Look::Ends, || select_for(count, [read, write, except], limit), in_kernel),
                Err(error) => error,
            }
        }
    }
}

/// The words of a set for so many descriptors. A program may have made sets that are larger than an `fd_set`.
type Words = Vec<c_ulong>;

const BITS: usize = c_ulong::BITS as usize;

/// To read, to write, and for exceptions.
type Sets = [Option<Words>; 3];

/// How many numbers the kernel looks at, however many it is asked for: programs ask for as many as there may ever be, and their sets are smaller.
#[cold]
fn most_numbers() -> usize {
    let about = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = about.lines().find_map(|line| line.strip_prefix("FDSize:")?.trim().parse().ok());
    size.unwrap_or(libc::FD_SETSIZE)
}

/// select(2) on a fiber.
///
/// # Safety
///
/// The sets are null, or have room for so many descriptors, as far as the kernel takes so many.
unsafe fn select_for(count: c_int, sets: [*mut fd_set; 3], limit: Option<Duration>) -> isize {
    let Ok(numbers) = usize::try_from(count) else { return failed(libc::EINVAL) };
    let numbers = if numbers > libc::FD_SETSIZE { numbers.min(most_numbers()) } else { numbers };
    let words = numbers.div_ceil(BITS);
    let asked: Sets = sets.map(|set| {
        // SAFETY: the caller's promise.
        (!set.is_null()).then(|| unsafe { std::slice::from_raw_parts(set.cast::<c_ulong>(), words) }.to_vec())
    });
    let mut found = asked.clone();
    let first = look(numbers, &asked, &mut found);
    let result = if first != 0 || limit.is_some_and(|limit| limit.is_zero()) {
        looked(first)
    } else {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut interests = Vec::new();
        for (set, direction) in asked.iter().zip([Direction::Read, Direction::Write, Direction::Read]) {
            let Some(set) = set else { continue };
            let is_in = |fd: &usize| set[fd / BITS] & 1 << (fd % BITS) != 0;
            interests.extend((0..numbers).filter(is_in).map(|fd| Interest { fd: fd as c_int, direction }));
        }
        match ended(wait_for(&interests, deadline, || look_again(numbers, &asked, &mut found))) {
            result if result == failed(libc::ECANCELED) => {
                let fds = interests.iter().map(|interest| interest.fd);
                instead_of_cancelled(fds, |is_told| {
                    tell(&asked, &mut found, |number| number < numbers && is_told(number as c_int))
                })
            }
            result => result,
        }
    };
    if result >= 0 {
        for (set, found) in sets.into_iter().zip(&found) {
            if let Some(found) = found {
                // SAFETY: the set has so many words.
                unsafe { std::ptr::copy_nonoverlapping(found.as_ptr(), set.cast::<c_ulong>(), words) };
            }
        }
    }
    result
}

/// select(2) without waiting: makes `found` those of `asked` that are ready.
fn look(numbers: usize, asked: &Sets, found: &mut Sets) -> isize {
    undisturbed(|| {
        found.clone_from(asked);
        let now = timespec { tv_sec: 0, tv_nsec: 0 };
        let [read, write, except] =
            found.each_mut().map(|set| set.as_mut().map_or(0, |set| set.as_mut_ptr().addr()));
        // SAFETY: the kernel writes into the copies.
        unsafe { kernel!(libc::SYS_pselect6, numbers, read, write, except, &raw const now, 0) }
    })
}

/// [`look`], of a call that has waited: a number that was closed meanwhile is ready for all that is asked.
fn look_again(numbers: usize, asked: &Sets, found: &mut Sets) -> isize {
    match look(numbers, asked, found) {
        result if result == failed(libc::EBADF) => {}
        result => return result,
    }
    // SAFETY: no memory is involved.
    let is_open = |fd: usize| unsafe { kernel!(libc::SYS_fcntl, fd, libc::F_GETFD) } >= 0;
    let mut open = asked.clone();
    let mut closed = Vec::new();
    for (kind, set) in open.iter_mut().enumerate() {
        let Some(set) = set else { continue };
        for fd in 0..numbers {
            let (word, bit) = (&mut set[fd / BITS], 1 << (fd % BITS));
            if *word & bit != 0 && !is_open(fd) {
                *word &= !bit;
                closed.push((kind, fd));
            }
        }
    }
    let others = look(numbers, &open, found);
    if others < 0 {
        return others;
    }
    for (kind, fd) in &closed {
        if let Some(set) = &mut found[*kind] {
            set[fd / BITS] |= 1 << (fd % BITS);
        }
    }
    others + closed.len() as isize
}

/// Makes `found` the descriptors that are asked for, to read and to write, and for which `is_told` says so. Returns how many these are.
fn tell(asked: &Sets, found: &mut Sets, is_told: impl Fn(usize) -> bool) -> usize {
    found.clone_from(asked);
    let [read, write, except] = found;
    except.iter_mut().for_each(|set| set.fill(0));
    let mut told = 0;
    for set in [read, write].into_iter().flatten() {
        for at in 0..set.len() * BITS {
            let (word, bit) = (&mut set[at / BITS], 1 << (at % BITS));
            if *word & bit != 0 && is_told(at) {
                told += 1;
            } else {
                *word &= !bit;
            }
        }
    }
    told
}
