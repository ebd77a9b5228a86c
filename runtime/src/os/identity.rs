//! The identity of a descriptor's file, and whether two descriptors share an open file.

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::fs::{FileType, fstatfs};

use super::about::About;

/// The identity of a file: its device and its inode number.
pub(crate) type File = (u64, u64);

/// Whether this is a regular file whose last name was removed: its last close frees its blocks.
pub(crate) fn has_no_name(fd: BorrowedFd<'_>) -> bool {
    About::of(fd).is_ok_and(|about| about.kind == FileType::RegularFile && about.names == 0)
}

/// Local file systems on which closing a file does no work: ext, XFS, Btrfs, F2FS, tmpfs, ramfs, overlayfs, squashfs, procfs,
/// sysfs.
const QUICK: [u64; 10] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0xF2F5_2010,
    0x0102_1994,
    0x8584_58F6,
    0x794C_7630,
    0x7371_7368,
    0x9FA0,
    0x6265_6572,
];

/// Whether closing the descriptor is known to take no time, as long as its file has a name. This call itself may take some.
pub(crate) fn closes_at_once(fd: BorrowedFd<'_>) -> bool {
    match About::of(fd).map(|about| about.kind) {
        Ok(FileType::Fifo) => true,
        #[allow(clippy::unnecessary_cast, reason = "the type depends on the architecture")]
        Ok(FileType::RegularFile | FileType::Directory) => {
            fstatfs(fd).is_ok_and(|system| QUICK.contains(&(system.f_type as u64 & 0xFFFF_FFFF)))
        }
        _ => false,
    }
}

/// The file behind a descriptor.
pub(crate) fn file(fd: BorrowedFd<'_>) -> io::Result<File> {
    Ok(About::of(fd)?.file)
}

/// Sets or clears `O_NONBLOCK` of a descriptor's open file, if the number still is one of that file. It may have been closed.
pub(crate) fn set_nonblocking_of(fd: RawFd, of: File, nonblocking: bool) {
    if !About::of_raw(fd).is_ok_and(|about| about.file == of) {
        return;
    }
    // SAFETY: fcntl(2) takes numbers.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        let wanted = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
        if flags >= 0 && wanted != flags {
            libc::fcntl(fd, libc::F_SETFL, wanted);
        }
    }
}

#[cfg(test)]
thread_local! {
    /// How many pairs of descriptors this thread has compared.
    pub(crate) static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// `fcntl(2)`, Linux 6.10, not in the libc crate yet.
const F_DUPFD_QUERY: libc::c_int = 1024 + 3;

/// kcmp(2) of two descriptors.
const KCMP_FILE: libc::c_int = 0;

/// Whether two descriptors of one file share an open file. Either of them may have been closed. If the kernel does not tell, the
/// result is true.
pub(crate) fn is_same_open_file(one: RawFd, other: RawFd) -> bool {
    #[cfg(test)]
    COMPARED.set(COMPARED.get() + 1);
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
