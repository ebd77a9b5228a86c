//! Facts about a descriptor's file, found without waiting.
//!
//! fstat(2) of a file on a network, or of one that a program serves (FUSE), asks its server and waits for the answer. The facts
//! here do not change while a file is open, or need not be up to date, so statx(2) is told not to ask (Linux 4.11).

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::fs::FileType;

use super::socket::check;

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(super) kind: FileType,
    /// The number of the file's names, as far as this machine knows.
    pub(super) names: u64,
    /// The file system's device, and the inode number.
    pub(super) file: (u64, u64),
}

impl About {
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::of_raw(fd.as_raw_fd())
    }

    /// [`of`](Self::of) an open descriptor. May be called in a signal handler.
    pub(super) fn of_raw(fd: RawFd) -> io::Result<Self> {
        let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
        let wanted = libc::STATX_TYPE | libc::STATX_NLINK | libc::STATX_INO;
        // SAFETY: all-zero structs are valid values to be written over; so is the other below.
        let mut about: libc::statx = unsafe { std::mem::zeroed() };
        // SAFETY: the name is empty and ends with 0, and the struct is a live local.
        match check(unsafe { libc::statx(fd, c"".as_ptr(), flags, wanted, &mut about) } as isize) {
            // An older kernel, or a container's filter: fstat(2) has to do.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
            result => {
                result?;
                let device = u64::from(about.stx_dev_major) << 32 | u64::from(about.stx_dev_minor);
                return Ok(Self {
                    kind: FileType::from_raw_mode(about.stx_mode.into()),
                    names: about.stx_nlink.into(),
                    file: (device, about.stx_ino),
                });
            }
        }
        // SAFETY: as above.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the struct is a live local.
        check(unsafe { libc::fstat(fd, &mut stat) } as isize)?;
        #[allow(clippy::unnecessary_cast, reason = "the types are the C library's choice")]
        Ok(Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            names: stat.st_nlink as u64,
            file: (stat.st_dev as u64, stat.st_ino as u64),
        })
    }
}
