//! Calls that wait for a disk: a thread of the pool makes them.
//!
//! A sync that its fiber has left behind goes on. The kernel tells an error of writing once, and so the next sync of that file fails with
//! the error of one that nobody has waited for.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and makes system calls")]

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::mem::MaybeUninit;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use abaca::hook::{PerProcess, ends_in_error, is_cancelled, offload, offload_and_leave, offload_or_leave};
use libc::{loff_t, size_t, ssize_t};

use crate::answer::{failed, of_c};
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

hooks! {
    /// fsync(2).
    fn fsync(fd: c_int) -> c_int, |_| -> kernel_point {
        sync_one(libc::SYS_fsync, fd)
    }

    /// fdatasync(2).
    fn fdatasync(fd: c_int) -> c_int, |_| -> kernel_point {
        sync_one(libc::SYS_fdatasync, fd)
    }

    /// syncfs(2).
    fn syncfs(fd: c_int) -> c_int, |_| -> kernel {
        sync_one(libc::SYS_syncfs, fd)
    }

    /// sync(2), which nobody learns anything of: a fiber that is cancelled leaves it behind.
    fn sync() -> (), |_| -> c {
        // SAFETY: no memory is involved.
        let _ = offload_and_leave(|| unsafe { kernel!(libc::SYS_sync) });
    }

    /// sync_file_range(2).
    fn sync_file_range(fd: c_int, offset: loff_t, bytes: loff_t, flags: c_uint) -> c_int, |_| -> kernel_point {
        let own = own!(fn sync_file_range(c_int, loff_t, loff_t, c_uint) -> c_int);
        // SAFETY: no memory is involved.
        offload(move || unsafe { of_c(own(fd, offset, bytes, flags) as isize) })
    }

    /// msync(2): with MS_ASYNC it does not wait.
    fn msync(address: *mut c_void, bytes: size_t, flags: c_int) -> c_int, |_| -> kernel_point {
        let address = address.addr();
        // SAFETY: the user's memory, which stays while the fiber waits.
        let call = move || unsafe { kernel!(libc::SYS_msync, address, bytes, flags) };
        if flags & libc::MS_SYNC == 0 { call() } else { offload(call) }
    }

    /// copy_file_range(2): both are files on disks. A fiber that is cancelled between two parts has moved some.
    fn copy_file_range(
        from: c_int, from_offset: *mut loff_t, to: c_int, to_offset: *mut loff_t, bytes: size_t, flags: c_uint,
    ) -> ssize_t, |_| -> kernel_point {
        if ends_in_error() {
            return failed(libc::ECANCELED);
        }
        let (from_offset, to_offset) = (from_offset.addr(), to_offset.addr());
        let mut moved = 0;
        loop {
            let part = PART.min(bytes - moved as usize);
            // SAFETY: the offsets are null, or the user's, which stay while the fiber waits.
            let copy = move || unsafe { kernel!(libc::SYS_copy_file_range, from, from_offset, to, to_offset, part, flags) };
            let result = offload(copy);
            if result <= 0 && moved == 0 {
                return result;
            }
            moved += result.max(0);
            let is_short = result < part as isize;
            if is_short || moved as usize >= bytes || is_cancelled() {
                return moved;
            }
        }
    }
}

/// How many bytes are copied before the caller is looked after.
const PART: usize = 4 << 20;

/// A file, wherever its name and its descriptors are: the device's number and its own.
type File = (u64, u64);

/// Errors of syncs that were left behind.
static LOST: PerProcess<Vec<(File, isize)>> = PerProcess::new(Vec::new);

/// Whether there is one.
static IS_ANY_LOST: AtomicBool = AtomicBool::new(false);

fn lost() -> MutexGuard<'static, Vec<(File, isize)>> {
    LOST.lock()
}

/// The result of a sync; an error is kept for the next one if nobody takes it.
struct Synced {
    file: Option<File>,
    result: isize,
}

impl Synced {
    fn take(mut self) -> isize {
        self.file = None;
        self.result
    }
}

impl Drop for Synced {
    fn drop(&mut self) {
        let Some(file) = self.file.filter(|_| self.result < 0) else { return };
        let mut lost = lost();
        if !lost.iter().any(|entry| entry.0 == file) {
            lost.push((file, self.result));
        }
        // Relaxed: who looks at the list takes its lock.
        IS_ANY_LOST.store(true, Ordering::Relaxed);
    }
}

fn sync_one(call: c_long, fd: c_int) -> isize {
    if IS_ANY_LOST.load(Ordering::Relaxed)
        && let Some(error) = take_lost(fd)
    {
        return error;
    }
    let synced = offload_or_leave(move || {
        let file = file_of(fd);
        // SAFETY: no memory is involved.
        Synced { file, result: unsafe { kernel!(call, fd) } }
    });
    synced.map_or(failed(libc::ECANCELED), Synced::take)
}

#[cold]
fn take_lost(fd: c_int) -> Option<isize> {
    let file = file_of(fd)?;
    let mut lost = lost();
    let at = lost.iter().position(|entry| entry.0 == file)?;
    let (_, error) = lost.swap_remove(at);
    IS_ANY_LOST.store(!lost.is_empty(), Ordering::Relaxed);
    Some(error)
}

fn file_of(fd: c_int) -> Option<File> {
    let mut about = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure in.
    let result = unsafe { kernel!(libc::SYS_fstat, fd, about.as_mut_ptr()) };
    // SAFETY: as above.
    (result == 0).then(|| unsafe { about.assume_init() }).map(|about| (about.st_dev, about.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_sync_that_nobody_has_waited_for_is_the_next_one_s() {
        let (one, two) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let numbers = [&one.0, &two.0].map(std::os::fd::AsRawFd::as_raw_fd);
        drop(Synced { file: file_of(numbers[0]), result: failed(libc::EIO) });
        drop(Synced { file: file_of(numbers[1]), result: 0 });
        assert_eq!(Synced { file: file_of(numbers[1]), result: failed(libc::EIO) }.take(), failed(libc::EIO));
        assert_eq!(take_lost(numbers[1]), None);
        assert!(IS_ANY_LOST.load(Ordering::Relaxed));
        assert_eq!(take_lost(numbers[0]), Some(failed(libc::EIO)));
        assert_eq!(take_lost(numbers[0]), None);
        assert!(!IS_ANY_LOST.load(Ordering::Relaxed));
    }
}
