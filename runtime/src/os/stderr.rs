//! Standard error for code that must not wait: the monitor, and signal handlers.
//!
//! Standard error may be a pipe that is not read, or a terminal that is stopped. Text that it cannot take now is lost. The
//! descriptor's mode is not changed: it is shared with other processes.

#![expect(unsafe_code, reason = "system calls that a signal handler may make")]

use std::os::fd::RawFd;

use rustix::fs::FileType;

use super::about::About;

/// Writes without waiting, locking or allocating. Text that cannot be written at once is lost. May be called in a signal
/// handler.
pub(crate) fn write(text: &[u8]) {
    write_to(libc::STDERR_FILENO, text);
}

fn write_to(fd: RawFd, text: &[u8]) {
    if is_file(fd) {
        // SAFETY: write(2) reads a live slice.
        unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
        return;
    }
    let parts = [libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() }];
    // SAFETY: pwritev2(2) reads one live slice; -1 is the file's own position.
    let result = unsafe { libc::pwritev2(fd, parts.as_ptr(), 1, -1, libc::RWF_NOWAIT) };
    if result >= 0 || errno() == libc::EAGAIN {
        return;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: send(2) reads a live slice. It fails at once if this is no socket.
    let result = unsafe { libc::send(fd, text.as_ptr().cast(), text.len(), flags) };
    if result >= 0 || errno() != libc::ENOTSOCK {
        return;
    }
    // A FIFO or a terminal: it can be opened again in non-blocking mode.
    if write_reopened(fd, text).is_some() {
        return;
    }
    // It must not be opened again, or there is no /proc.
    write_polled(fd, text);
}

/// Writes if poll(2) says that there is room: for a page in a FIFO; a terminal may have less, and then the caller waits.
fn write_polled(fd: RawFd, text: &[u8]) {
    let mut entry = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the entry is a live local.
    if unsafe { libc::poll(&mut entry, 1, 0) } == 1 && entry.revents & libc::POLLOUT != 0 {
        // SAFETY: write(2) reads a live slice.
        unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) };
    }
}

/// The length of "/proc/self/fd/".
const PREFIX: usize = 14;

fn write_reopened(fd: RawFd, text: &[u8]) -> Option<()> {
    // The number's digits, from behind, between the prefix and the zeros.
    let mut name = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0";
    let mut left = u32::try_from(fd).ok()?;
    let digits = left.checked_ilog10().unwrap_or(0) as usize + 1;
    for place in name[PREFIX..PREFIX + digits].iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the name is a live local that ends with 0.
    let again = unsafe { libc::open(name.as_ptr().cast(), flags) };
    if again == -1 {
        return None;
    }
    // SAFETY: write(2) reads a live slice.
    unsafe { libc::write(again, text.as_ptr().cast(), text.len()) };
    // SAFETY: the descriptor was opened above, and nothing else owns it.
    unsafe { libc::close(again) };
    Some(())
}

/// Whether this is a regular file, to which a write never waits for a reader.
fn is_file(fd: RawFd) -> bool {
    About::of_raw(fd).is_ok_and(|about| about.kind == FileType::RegularFile)
}

fn errno() -> libc::c_int {
    // SAFETY: the location is the calling thread's.
    unsafe { *libc::__errno_location() }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::ffi::CString;
    use std::io::{self, Read};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
    use std::os::unix::net::UnixStream;

    use super::{write_polled, write_reopened, write_to};

    /// Writes more than fits. The test is that this returns.
    fn fill(fd: RawFd) {
        for _ in 0..1000 {
            write_to(fd, &[b'x'; 4096]);
        }
    }

    #[test]
    fn a_full_pipe_or_socket_loses_what_is_written() {
        let (mut reader, writer) = io::pipe().unwrap();
        write_to(writer.as_raw_fd(), b"first");
        fill(writer.as_raw_fd());
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("firstxxx"), "{text}");
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        write_to(theirs.as_raw_fd(), b"first");
        fill(theirs.as_raw_fd());
        drop(theirs);
        text.clear();
        ours.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("firstxxx"), "{text}");
    }

    #[test]
    fn a_full_fifo_and_a_terminal_without_a_reader_lose_it_too() {
        let name = std::env::temp_dir().join(format!("abaca-stderr-{}", std::process::id()));
        let path = CString::new(name.to_str().unwrap()).unwrap();
        // SAFETY: the path ends with 0.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        let fifo = std::fs::OpenOptions::new().read(true).write(true).open(&name).unwrap();
        std::fs::remove_file(&name).unwrap();
        // SAFETY: fcntl(2) takes numbers.
        let high = unsafe { libc::fcntl(fifo.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 150) };
        // SAFETY: just made.
        let high = unsafe { OwnedFd::from_raw_fd(high) };
        (0..1000).for_each(|_| write_polled(fifo.as_raw_fd(), &[b'x'; 4096]));
        fill(fifo.as_raw_fd());
        fill(high.as_raw_fd());
        assert_eq!([high.as_raw_fd(), 1 << 30].map(|fd| write_reopened(fd, b"")), [Some(()), None]);
        // SAFETY: posix_openpt(3) takes flags.
        let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
        if master == -1 {
            return; // no terminals here
        }
        // SAFETY: just made.
        let master = unsafe { OwnedFd::from_raw_fd(master) };
        // SAFETY: a descriptor of a terminal's master.
        assert_eq!(unsafe { libc::unlockpt(master.as_raw_fd()) }, 0);
        // SAFETY: as above; the request takes flags.
        let slave =
            unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY) };
        // SAFETY: just made.
        let slave = unsafe { OwnedFd::from_raw_fd(slave) };
        fill(slave.as_raw_fd());
    }
}
