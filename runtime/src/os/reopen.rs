//! Opens the same pipe or terminal a second time, with a mode of its own.
//!
//! `O_NONBLOCK` belongs to the open file, and the kernel supports `RWF_NOWAIT` for few kinds of files: not for a FIFO, a pipe
//! that was opened by a name (`/dev/stdout`), or a terminal. Such a file can be opened once more through the descriptor's name
//! in `/proc`, and nothing else shares that open file.
//!
//! A regular file has a position, which a second open file does not share. A device may react to an open. The master side of
//! a terminal would make another terminal. So only pipes and terminals are opened again.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FileType, OFlags, fcntl_getfl};
use rustix::pty::ptsname;
use rustix::termios::isatty;

use super::about::About;
use super::copy::{Kind, kind};

/// Opens the file of `fd` again in non-blocking mode, for reading or writing as `fd` is.
///
/// # Errors
///
/// * [`ErrorKind::Unsupported`](io::ErrorKind::Unsupported): the file is neither a pipe nor a terminal.
/// * [`ErrorKind::NotFound`](io::ErrorKind::NotFound): there is no `/proc`.
/// * [`ErrorKind::PermissionDenied`](io::ErrorKind::PermissionDenied): the pipe belongs to another user.
/// * Any other error of open(2), such as that there are no more descriptors.
pub(crate) fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    if kind(fd)? != Kind::Pipe && !is_displayed(fd) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let (reads, writes) = match fcntl_getfl(fd)? & OFlags::ACCMODE {
        OFlags::RDONLY => (true, false),
        OFlags::WRONLY => (false, true),
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
fn is_displayed(fd: BorrowedFd<'_>) -> bool {
    // Only a master has the number of a slave.
    is_terminal(fd) && ptsname(fd, Vec::new()).is_err()
}

/// Whether the file is a terminal. A regular file, which a program may serve, is not asked.
pub(crate) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    About::of(fd).is_ok_and(|about| about.kind == FileType::CharacterDevice) && isatty(fd)
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
