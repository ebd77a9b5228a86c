//! Connections that break while a call has moved a part. The kernel's call ends with the part, and leaves the error to the next one: so no attempt is
//! made that would take it. One that breaks between the look and the attempt has its error kept here, for the next call.

#![expect(unsafe_code, reason = "system calls")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use abaca::hook::PerProcess;
use libc::{FIONREAD, POLLERR, POLLHUP};

use super::connect::option;
use super::kind::about;
use super::poll::look_at;
use crate::answer::failed;
use crate::kernel::kernel;

/// For how long an error is kept: while there are any, each call asks which socket it is about.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// How many errors are kept; the oldest goes.
const MOST: usize = 64;

/// The errors that are kept.
static ERRORS: PerProcess<Vec<Kept>> = PerProcess::new(Vec::new);

/// How many those are.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An error that the kernel has told of a socket, and that no call has returned.
struct Kept {
    /// The socket's inode, which no other one has while it lives.
    socket: u64,
    error: c_int,
    since: Instant,
}

/// Whether a connection is broken, so that a call which has moved a part ends. Of a Unix socket the kernel's own call takes the error as well.
pub(super) fn is_broken(fd: c_int) -> bool {
    // POLLERR alone may tell of messages for MSG_ERRQUEUE.
    look_at(fd, 0).is_ok_and(|found| found & POLLERR != 0 && found & POLLHUP != 0) && is_of_internet(fd)
}

fn is_of_internet(fd: c_int) -> bool {
    [Some(libc::AF_INET), Some(libc::AF_INET6)].contains(&option(fd, libc::SO_DOMAIN))
}

/// Keeps the error of an attempt that was made after a part, if it is one that the kernel tells once.
#[cold]
pub(super) fn keep(fd: c_int, result: isize) {
    let is_told_once = [
        libc::ECONNRESET,
        libc::ECONNREFUSED,
        libc::ECONNABORTED,
        libc::ETIMEDOUT,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::ENETDOWN,
    ];
    let Some(&error) = is_told_once.iter().find(|error| result == failed(**error)) else { return };
    let Some(socket) = about(fd).filter(|_| is_of_internet(fd)).map(|about| about.st_ino) else { return };
    let mut errors = ERRORS.lock();
    if errors.len() == MOST {
        errors.remove(0);
    }
    errors.push(Kept { socket, error, since: Instant::now() });
    // Relaxed, also below: who makes the next call knows of this one by other means.
    COUNT.store(errors.len(), Ordering::Relaxed);
}

/// The result of a call on a socket of which an error is kept: this call's, and no other one's.
#[inline]
pub(super) fn kept(fd: c_int) -> Option<isize> {
    if COUNT.load(Ordering::Relaxed) == 0 { None } else { take(fd).map(failed) }
}

#[cold]
fn take(fd: c_int) -> Option<c_int> {
    let socket = about(fd)?.st_ino;
    let mut errors = ERRORS.lock();
    errors.retain(|kept| kept.since.elapsed() < KEPT_FOR);
    let found = errors.iter().position(|kept| kept.socket == socket);
    let error = found.map(|index| errors.remove(index).error);
    COUNT.store(errors.len(), Ordering::Relaxed);
    error
}

/// The same of one from which nothing more is to be read.
pub(super) fn is_broken_and_empty(fd: c_int) -> bool {
    let mut bytes: c_int = 0;
    // SAFETY: the kernel writes a number.
    is_broken(fd) && unsafe { kernel!(libc::SYS_ioctl, fd, FIONREAD, &raw mut bytes) } == 0 && bytes == 0
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn an_error_that_the_kernel_tells_once_is_told_once_under_any_number_of_the_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let other = listener.accept().unwrap().0;
        let clone = stream.try_clone().unwrap();
        keep(stream.as_raw_fd(), failed(libc::ECONNRESET));
        assert_eq!(kept(other.as_raw_fd()), None);
        assert_eq!(kept(clone.as_raw_fd()), Some(failed(libc::ECONNRESET)));
        assert_eq!(kept(stream.as_raw_fd()), None);
        // These are told again by the kernel itself, or were told by its own call as well.
        keep(stream.as_raw_fd(), failed(libc::EPIPE));
        assert_eq!(kept(stream.as_raw_fd()), None);
        let local = UnixStream::pair().unwrap().0;
        keep(local.as_raw_fd(), failed(libc::ECONNRESET));
        assert_eq!(kept(local.as_raw_fd()), None);
        // There is room for so many; the oldest goes.
        let streams: Vec<_> =
            (0..=MOST).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        streams.iter().for_each(|stream| keep(stream.as_raw_fd(), failed(libc::ETIMEDOUT)));
        let told = streams.iter().filter_map(|stream| kept(stream.as_raw_fd())).count();
        assert_eq!(told, MOST);
    }
}
