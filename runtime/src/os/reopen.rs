//! A second open file of the same pipe or terminal, whose mode is its own.
//!
//! `O_NONBLOCK` belongs to the open file, and the kernel takes `RWF_NOWAIT` of few kinds: not of a FIFO, not of a pipe that
//! was opened by a name (`/dev/stdout`), not of a terminal. What is behind such a descriptor can be opened once more through
//! the descriptor's own name, and that open file is nobody else's.
//!
//! A regular file has a position, which a second open file does not share; a device may take an open for an event; a
//! terminal's master side would make another terminal. So only pipes and terminals are opened again.

#![expect(unsafe_code, reason = "system calls")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::about::About;
use super::copy::{Kind, kind};
use super::socket::check;

/// Opens it in non-blocking mode, for what it is open for.
///
/// # Errors
///
/// `Unsupported` for what cannot be opened again; what open(2) says, such as that there is no `/proc`, that the pipe is
/// another user's, or that there are no more descriptors.
pub(crate) fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    if kind(fd)? != Kind::Pipe && !is_displayed(fd) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: fcntl(2) with F_GETFL takes no pointer.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } as isize)? as libc::c_int;
    let (reads, writes) = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => (true, false),
        libc::O_WRONLY => (false, true),
        _ => (true, true),
    };
    OpenOptions::new()
        .read(reads)
        .write(writes)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .map(OwnedFd::from)
}

/// Whether it is a terminal, and not the side of a pseudoterminal that displays it.
fn is_displayed(fd: BorrowedFd<'_>) -> bool {
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one into a live local, and only a master has one.
    unsafe { is_terminal(fd) && libc::ioctl(fd.as_raw_fd(), libc::TIOCGPTN, &raw mut number) != 0 }
}

/// Whether it is a terminal. A file, which may be served by a program, is not asked.
pub(crate) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: isatty(3) takes a number.
    About::of(fd).is_ok_and(|about| about.kind == libc::S_IFCHR)
        && unsafe { libc::isatty(fd.as_raw_fd()) } == 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_pipe_is_opened_again_in_a_mode_of_its_own() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut again = std::fs::File::from(nonblocking(reader.as_fd()).unwrap());
        assert_eq!(again.read(&mut [0; 2]).unwrap_err().kind(), ErrorKind::WouldBlock);
        writer.write_all(b"x").unwrap();
        assert_eq!(again.read(&mut [0; 2]).unwrap(), 1);
        // The first one waits, as ever: for the end.
        drop(writer);
        assert_eq!((&reader).read(&mut [0; 2]).unwrap(), 0);
    }

    #[test]
    fn sockets_and_files_are_not_opened_again() {
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert_eq!(nonblocking(socket.as_fd()).unwrap_err().kind(), ErrorKind::Unsupported);
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(nonblocking(file.as_fd()).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
