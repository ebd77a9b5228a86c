//! Room at an end for what is written to it.

#![expect(unsafe_code, reason = "sets the kernel's mode of a descriptor, and looks at it")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use libc::c_int;

/// Writes to an end until there is no room, and will be none until its other end is read. Leaves it in the kernel's blocking mode.
pub(crate) fn fill(fd: impl AsFd) {
    let number = fd.as_fd().as_raw_fd();
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(number, libc::F_SETFL, libc::O_NONBLOCK) };
    let mut file = File::from(fd.as_fd().try_clone_to_owned().unwrap());
    loop {
        while file.write(&[1; 4096]).is_ok() {}
        if is_settled(number) && file.write(&[1; 4096]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(number, libc::F_SETFL, 0) };
}

/// Whether nothing makes room any more of what was written to an end. A TCP socket has room again when the other end acknowledges what is
/// under way, which it may put off for 40 ms; and if the last of its window is smaller than a packet, the kernel sends that part only after
/// 200 ms or more.
fn is_settled(number: c_int) -> bool {
    // `tcpi_unacked` and `tcpi_snd_wnd` of Linux's `tcp_info`. A kernel before 5.4 does not tell the second.
    const UNACKNOWLEDGED: usize = 24 / 4;
    const WINDOW: usize = 228 / 4;
    let mut info = [0_u32; 64];
    let mut bytes = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes so many bytes at the most.
    let result = unsafe {
        libc::getsockopt(number, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut bytes)
    };
    // Other ends have what was written to them at once.
    result != 0 || (info[UNACKNOWLEDGED], info[WINDOW]) == (0, 0)
}
