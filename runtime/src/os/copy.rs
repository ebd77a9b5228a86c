//! Copies that the kernel makes from one descriptor to another.

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::socket::check;

/// What a descriptor is, as far as it decides which call copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Pipe,
    Socket,
    /// Devices, and whatever there is.
    Other,
}

pub(crate) fn kind(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    // SAFETY: an all-zero stat is a valid value to be written over.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the struct a live local.
    check(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) } as isize)?;
    Ok(match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Kind::Regular,
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFSOCK => Kind::Socket,
        _ => Kind::Other,
    })
}

/// From a file, at its position, to a file, at its.
pub(crate) fn copy_file_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let (from, to, here) = (from.as_raw_fd(), to.as_raw_fd(), ptr::null_mut());
    // SAFETY: null offsets mean the files' own positions.
    check(unsafe { libc::copy_file_range(from, here, to, here, most, 0) })
}

/// From a file, at its position, to anything.
pub(crate) fn sendfile(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    // SAFETY: a null offset means the file's own position.
    check(unsafe { libc::sendfile(to.as_raw_fd(), from.as_raw_fd(), ptr::null_mut(), most) })
}

/// From or to a pipe. Does not wait for the pipe; whether it waits for the other side is a matter of `O_NONBLOCK`.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let (from, to, here) = (from.as_raw_fd(), to.as_raw_fd(), ptr::null_mut());
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: null offsets mean the files' own positions, or none.
    check(unsafe { libc::splice(from, here, to, here, most, flags) })
}

/// Duplicates what is in a pipe into another one, which takes nothing out. Waits for neither.
pub(crate) fn tee(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK;
    // SAFETY: tee(2) takes numbers.
    check(unsafe { libc::tee(from.as_raw_fd(), to.as_raw_fd(), most, flags) })
}

/// Moves a file's position back by so many bytes.
pub(crate) fn step_back(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    // SAFETY: lseek(2) takes numbers.
    check(unsafe { libc::lseek(fd.as_raw_fd(), -(bytes as libc::off_t), libc::SEEK_CUR) } as isize).map(drop)
}

/// Whether the kernel cannot copy in this way between these two, and has copied nothing.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    let plain = [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::EXDEV, libc::EOVERFLOW];
    // A file opened for appending, a file under a seal or of a strange file system.
    let of_files = [libc::EBADF, libc::EPERM, libc::ETXTBSY];
    code.is_some_and(|code| plain.contains(&code) || of_files.contains(&code))
}
