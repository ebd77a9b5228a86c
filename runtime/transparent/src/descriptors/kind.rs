//! What kind of file a descriptor is.

#![expect(unsafe_code, reason = "a system call")]

use std::ffi::c_int;
use std::mem::MaybeUninit;

use crate::kernel::kernel;

/// What matters of a file's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file on a disk: its calls wait for the disk, of which no event tells.
    Regular,
    Fifo,
    Socket,
    /// Anything else, such as a terminal; or nothing.
    Other,
}

/// What the kernel tells of a descriptor's file; `None` if it is not open.
pub(crate) fn about(fd: c_int) -> Option<libc::stat> {
    let mut about = MaybeUninit::uninit();
    // SAFETY: the kernel fills the structure in if it says so.
    unsafe { (kernel!(libc::SYS_fstat, fd, about.as_mut_ptr()) == 0).then(|| about.assume_init()) }
}

pub(crate) fn kind_of(fd: c_int) -> Kind {
    let Some(about) = about(fd) else { return Kind::Other };
    match about.st_mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => Kind::Regular,
        libc::S_IFIFO => Kind::Fifo,
        libc::S_IFSOCK => Kind::Socket,
        _ => Kind::Other,
    }
}
