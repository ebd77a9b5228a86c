//! Room at an end for what is written to it.

#![expect(unsafe_code, reason = "sets the kernel's mode of a descriptor, and looks at it")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use libc::c_int;

/// Writes to an end until there is no room, and leaves it in the kernel's blocking mode. What is on its way to the other end makes room
/// when it arrives there: less than the kernel calls writable, at times. So it is full when a write finds no room after a wait as well.
pub(crate) fn fill(fd: impl AsFd) {
    let number = fd.as_fd().as_raw_fd();
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(number, libc::F_SETFL, libc::O_NONBLOCK) };
    let mut file = File::from(fd.as_fd().try_clone_to_owned().unwrap());
    let mut has_waited = false;
    loop {
        let mut has_written = false;
        while file.write(&[1; 4096]).is_ok() {
            has_written = true;
        }
        if has_waited && !has_written {
            break;
        }
        has_waited = !has_room_within(number, Duration::from_millis(60));
    }
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(number, libc::F_SETFL, 0) };
}

/// Whether there is room within a time, whatever signals come meanwhile.
fn has_room_within(number: c_int, time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut entry = libc::pollfd { fd: number, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one entry.
        let result = unsafe { libc::poll(&mut entry, 1, left.as_millis() as c_int) };
        if result > 0 || left.is_zero() {
            return result > 0;
        }
    }
}
