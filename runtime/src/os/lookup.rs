//! Whether the kernel can follow a path with what it remembers.
//!
//! A path leads over disks and networks, and where the kernel has forgotten a name on it, or has to ask a network whether it
//! still holds, whoever looks the path up waits. openat2(2) with `RESOLVE_CACHED` (Linux 5.12) looks, and does not wait.

#![expect(unsafe_code, reason = "a system call")]

use std::io;
use std::mem::size_of;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::socket::check;

/// The path of a Unix socket is no longer than this, with its end.
const ROOM: usize = 128;

/// Whether to look it up now takes no time, whatever comes of it. False where the kernel does not say.
pub(crate) fn is_at_hand(path: &Path) -> bool {
    let (mut name, bytes) = ([0_u8; ROOM], path.as_os_str().as_bytes());
    let Some(room) = name.get_mut(..bytes.len()).filter(|room| room.len() < ROOM) else { return false };
    room.copy_from_slice(bytes);
    // SAFETY: an all-zero struct is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    // Nothing is opened: O_PATH is a place in the tree.
    how.flags = (libc::O_PATH | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_CACHED;
    // SAFETY: the name ends with 0, and both are live locals; the size is the struct's.
    let found = check(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            name.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    } as isize);
    match found {
        Ok(fd) => {
            // SAFETY: the descriptor was just made and is nobody else's.
            drop(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) });
            true
        }
        Err(error) => is_known(&error),
    }
}

/// Whether it says that there is no way, which then takes as little time to find again.
fn is_known(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [libc::ENOENT, libc::ENOTDIR, libc::EACCES, libc::ELOOP].iter().any(|known| code == Some(*known))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_looked_up_is_at_hand_where_the_kernel_tells() {
        let path = std::env::temp_dir();
        let missing = path.join("abaca-there-is-no-such-name");
        let _ = (std::fs::metadata(&path), std::fs::metadata(&missing));
        // An older kernel says no for all of them.
        assert_eq!(is_at_hand(&path), is_at_hand(Path::new("/")));
        assert!(!is_at_hand(Path::new(&"x".repeat(200))));
        // Its dentry may have been forgotten, but a name that is missing does not open anything.
        let _ = is_at_hand(&missing);
    }
}
