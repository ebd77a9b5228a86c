//! Which file a descriptor is of, and whether two are of the same open file.

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::about::About;

/// A file, whoever has opened it: its device and its number there.
pub(crate) type File = (u64, u64);

/// Whether it is a file on a disk whose last name was removed: its last close gives its blocks back.
pub(crate) fn has_no_name(fd: BorrowedFd<'_>) -> bool {
    About::of(fd).is_ok_and(|about| about.kind == libc::S_IFREG && about.names == 0)
}

/// File systems of this machine's memory and disks, whose files have nothing to do when they are closed: ext, XFS, Btrfs,
/// F2FS, tmpfs, ramfs, overlayfs, squashfs, procfs, sysfs.
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

/// Whether to close it is known to take no time, as long as it has a name. To ask may take some.
pub(crate) fn closes_at_once(fd: BorrowedFd<'_>) -> bool {
    match About::of(fd).map(|about| about.kind) {
        Ok(libc::S_IFIFO) => true,
        Ok(libc::S_IFREG | libc::S_IFDIR) => {
            // SAFETY: an all-zero statfs is a valid value to be written over.
            let mut system: libc::statfs = unsafe { std::mem::zeroed() };
            // SAFETY: the descriptor is open and the struct a live local.
            let asked = unsafe { libc::fstatfs(fd.as_raw_fd(), &mut system) };
            #[allow(clippy::unnecessary_cast, reason = "the type is the C library's choice")]
            let kind = system.f_type as u64 & 0xFFFF_FFFF;
            asked == 0 && QUICK.contains(&kind)
        }
        _ => false,
    }
}

/// The file behind a descriptor.
pub(crate) fn file(fd: BorrowedFd<'_>) -> io::Result<File> {
    Ok(About::of(fd)?.file)
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
