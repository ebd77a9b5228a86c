//! Copies that the kernel makes from one descriptor to another.

#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::about::About;
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
    Ok(match About::of(fd)?.kind {
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
    quietly(to, || check(unsafe { libc::sendfile(to.as_raw_fd(), from.as_raw_fd(), ptr::null_mut(), most) }))
}

/// From or to a pipe. Does not wait for the pipe; whether it waits for the other side is a matter of `O_NONBLOCK`.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let here = ptr::null_mut();
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: null offsets mean the files' own positions, or none.
    quietly(to, || check(unsafe { libc::splice(from.as_raw_fd(), here, to.as_raw_fd(), here, most, flags) }))
}

/// A call that writes to `to`. That a socket is broken is an error and no signal, as with send(2) and `MSG_NOSIGNAL`, which
/// these calls do not take: a program that has set SIGPIPE to its default would die.
fn quietly(to: BorrowedFd<'_>, call: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
    // SAFETY: an all-zero sigaction is a valid value to be written over.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; the old one is written into a live local.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &mut action) };
    // Which is what Rust programs begin with.
    if (asked == 0 && action.sa_sigaction == libc::SIG_IGN) || kind(to)? != Kind::Socket {
        return call();
    }
    // SAFETY: an all-zero set is a valid value to be written over; so are the others below.
    let [mut pipe, mut before, mut pending]: [libc::sigset_t; 3] = unsafe { std::mem::zeroed() };
    // SAFETY: the sets are live locals. The signal of a broken socket goes to the calling thread, which blocks it meanwhile.
    let was_pending = unsafe {
        libc::sigemptyset(&mut pipe);
        libc::sigaddset(&mut pipe, libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, &mut before);
        libc::sigpending(&mut pending);
        libc::sigismember(&pending, libc::SIGPIPE) == 1
    };
    let result = call();
    let is_broken = result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPIPE));
    // SAFETY: as above. One that was there before stays for whoever it is for.
    unsafe {
        if is_broken && !was_pending {
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(&pipe, ptr::null_mut(), &at_once);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
    }
    result
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
