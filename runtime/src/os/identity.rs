//! Which file a descriptor is of, and whether two are of the same open file.

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::socket::check;

/// A file, whoever has opened it: its device and its number there.
pub(crate) type File = (u64, u64);

/// The file behind a descriptor.
pub(crate) fn file(fd: BorrowedFd<'_>) -> io::Result<File> {
    // SAFETY: an all-zero stat is a valid value to be written over.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the struct a live local.
    check(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) } as isize)?;
    #[allow(clippy::unnecessary_cast, reason = "the types are the C library's choice")]
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// `fcntl(2)`, Linux 6.10, not in the libc crate yet.
const F_DUPFD_QUERY: libc::c_int = 1024 + 3;

/// kcmp(2) of two descriptors.
const KCMP_FILE: libc::c_int = 0;

/// Whether two descriptors of one file, either of which may have been closed, share an open file. Where the kernel does not
/// tell, it is taken for granted.
pub(crate) fn is_same_open_file(one: RawFd, other: RawFd) -> bool {
    // SAFETY: fcntl(2) with F_DUPFD_QUERY takes numbers.
    match unsafe { libc::fcntl(one, F_DUPFD_QUERY, other) } {
        same @ (0 | 1) => return same == 1,
        _ if io::Error::last_os_error().raw_os_error() == Some(libc::EBADF) => return false,
        _ => {}
    }
    // SAFETY: getpid(2) and kcmp(2) take numbers.
    unsafe {
        let me = libc::getpid();
        match libc::syscall(libc::SYS_kcmp, me, me, KCMP_FILE, one, other) {
            -1 => io::Error::last_os_error().raw_os_error() != Some(libc::EBADF),
            order => order == 0,
        }
    }
}
