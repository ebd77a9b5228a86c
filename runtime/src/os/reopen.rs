//! Opens the same pipe or terminal a second time, with a mode of its own.
//!
//! `O_NONBLOCK` belongs to the open file, and the kernel supports `RWF_NOWAIT` for few kinds of files: not for a FIFO, a pipe
//! that was opened by a name (`/dev/stdout`), or a terminal. Such a file can be opened once more through the descriptor's name
//! in `/proc`, and nothing else shares that open file.
//!
//! A regular file has a position, which a second open file does not share. A device may react to an open. The master side of
//! a terminal would make another terminal. So only pipes and terminals are opened again.

#![expect(unsafe_code, reason = "system calls")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::copy::{Kind, kind};
use super::socket::check;

/// Opens the file of `fd` again in non-blocking mode, for reading or writing as `fd` is.
///
/// # Errors
///
/// * [`ErrorKind::Unsupported`](io::ErrorKind::Unsupported): the file is neither a pipe nor a terminal.
/// * [`ErrorKind::NotFound`](io::ErrorKind::NotFound): there is no `/proc`.
/// * [`ErrorKind::PermissionDenied`](io::ErrorKind::PermissionDenied): the pipe belongs to another user.
/// * Any other error of open(2), such as that there are no more descriptors.
pub(crate) fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    if kind(fd)? != Kind::Pipe && !is_terminal(fd) {
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

/// Whether the file is a terminal, and not the master side of a pseudoterminal.
fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    let mut number: libc::c_uint = 0;
    // SAFETY: isatty(3) takes a number; TIOCGPTN writes a number into a live local, and fails unless this is a master.
    unsafe {
        libc::isatty(fd.as_raw_fd()) == 1 && libc::ioctl(fd.as_raw_fd(), libc::TIOCGPTN, &raw mut number) != 0
    }
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
        // The first open file still waits, here for the end.
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
