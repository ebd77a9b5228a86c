//! Copies within the kernel from one descriptor to another.

#![expect(unsafe_code, reason = "asks for a signal's disposition")]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;

use rustix::fs::{self, FileType};
use rustix::pipe::{self, SpliceFlags};

use super::about::About;
use super::mask;

/// The kind of a descriptor, which decides which call can copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Pipe,
    Socket,
    /// Devices, and everything else.
    Other,
}

pub(crate) fn kind(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    Ok(match About::of(fd)?.kind {
        FileType::RegularFile => Kind::Regular,
        FileType::Fifo => Kind::Pipe,
        FileType::Socket => Kind::Socket,
        _ => Kind::Other,
    })
}

/// Copies from a file to a file, both at their own positions.
pub(crate) fn copy_file_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    Ok(fs::copy_file_range(from, None, to, None, most)?)
}

/// Copies from a file, at its position, to any descriptor.
pub(crate) fn sendfile(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    without_sigpipe(to, || Ok(fs::sendfile(to, from, None, most)?))
}

/// Copies from or to a pipe. Does not wait for the pipe; whether it waits for the other descriptor depends on `O_NONBLOCK`.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    without_sigpipe(to, || Ok(pipe::splice(from, None, to, None, most, flags)?))
}

/// Makes a call that writes to `to`, without SIGPIPE: a broken socket is an error and no signal, as with send(2) and
/// `MSG_NOSIGNAL`. These calls do not take that flag, and a program that has set SIGPIPE to its default would die.
fn without_sigpipe(to: BorrowedFd<'_>, call: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
    // SAFETY: an all-zero sigaction is a valid value to be written over.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action changes nothing; the current one is written into a live local.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &mut action) };
    // Rust programs begin with SIGPIPE ignored.
    if (asked == 0 && action.sa_sigaction == libc::SIG_IGN) || kind(to)? != Kind::Socket {
        return call();
    }
    // The signal of a broken socket goes to the calling thread, which blocks it meanwhile.
    let pipe = mask::only(libc::SIGPIPE);
    let before = mask::block(&pipe);
    let was_pending = mask::is_pending(libc::SIGPIPE);
    let result = call();
    let is_broken = result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPIPE));
    // A signal that was pending before stays pending.
    if is_broken && !was_pending {
        mask::take(&pipe);
    }
    mask::set(&before);
    result
}

/// Duplicates the contents of a pipe into another one, without taking anything out. Waits for neither.
pub(crate) fn tee(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    Ok(pipe::tee(from, to, most, SpliceFlags::NONBLOCK)?)
}

/// Moves a file's position back by `bytes`.
pub(crate) fn step_back(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    fs::seek(fd, fs::SeekFrom::Current(-(bytes as i64)))?;
    Ok(())
}

/// Whether the error means that the kernel cannot copy in this way between these descriptors, and has copied nothing.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    let plain = [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::EXDEV, libc::EOVERFLOW];
    // A file opened for appending, a sealed file, or a file of an unusual file system.
    let of_files = [libc::EBADF, libc::EPERM, libc::ETXTBSY];
    code.is_some_and(|code| plain.contains(&code) || of_files.contains(&code))
}
