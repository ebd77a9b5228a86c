//! Tells whether the kernel can look a path up in its cache.
//!
//! A path may lead over disks and networks. If the kernel does not have a name of it in its cache, or has to ask a server whether
//! the name is still valid, the lookup waits. openat2(2) with `RESOLVE_CACHED` (Linux 5.12) looks the path up without waiting.

#![expect(unsafe_code, reason = "a system call")]

use std::io;
use std::mem::size_of;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::socket::check;

/// The longest path of a Unix socket, with its end.
const ROOM: usize = 128;

/// Whether looking the path up now takes no time, whatever the result. False if the kernel does not tell.
pub(crate) fn is_cached(path: &Path) -> bool {
    let (mut name, bytes) = ([0_u8; ROOM], path.as_os_str().as_bytes());
    let Some(room) = name.get_mut(..bytes.len()).filter(|room| room.len() < ROOM) else { return false };
    room.copy_from_slice(bytes);
    // SAFETY: an all-zero struct is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    // Nothing is opened: O_PATH only names a place in the tree.
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
            // SAFETY: the descriptor was just made, and nothing else owns it.
            drop(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) });
            true
        }
        Err(error) => is_known(&error),
    }
}

/// Whether the error says that the path does not exist, which takes as little time to find again.
fn is_known(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [libc::ENOENT, libc::ENOTDIR, libc::EACCES, libc::ELOOP].iter().any(|known| code == Some(*known))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_was_just_looked_up_is_cached_where_the_kernel_tells() {
        let path = std::env::temp_dir();
        let missing = path.join("abaca-there-is-no-such-name");
        let _ = (std::fs::metadata(&path), std::fs::metadata(&missing));
        // An older kernel says no for all paths.
        assert_eq!(is_cached(&path), is_cached(Path::new("/")));
        assert!(!is_cached(Path::new(&"x".repeat(200))));
        // Its dentry may have been forgotten, but a name that is missing does not open anything.
        let _ = is_cached(&missing);
    }
}
