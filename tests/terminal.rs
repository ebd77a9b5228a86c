//! A terminal for tests.

#![expect(unsafe_code, reason = "openpty(3)")]

use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// A terminal, after the side that displays it and types into it.
///
/// # Panics
///
/// If there are no more terminals.
pub fn terminal() -> (File, OwnedFd) {
    let (mut master, mut terminal) = (-1, -1);
    let no_name = ptr::null_mut();
    // SAFETY: the descriptors are written into live locals; there is no name, and no settings.
    let made = unsafe {
        libc::openpty(&raw mut master, &raw mut terminal, no_name, ptr::null_mut(), ptr::null_mut())
    };
    assert_eq!(made, 0, "a terminal can be had");
    // SAFETY: both were just made and are nobody else's.
    unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(terminal)) }
}
