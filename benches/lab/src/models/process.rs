//! fork(2), as the models with processes need it. The only unsafe code of theirs.
#![expect(unsafe_code, reason = "fork(2) and _exit(2) have no safe form")]

use std::io;

use rustix::process::{Signal, WaitOptions, getppid, set_parent_process_death_signal};

/// Runs `child` in a process of its own, which ends with it or with this process.
///
/// `child` must not wait for other threads of this process: they are not there.
pub(super) fn fork(child: impl FnOnce()) -> io::Result<()> {
    let parent = rustix::process::getpid();
    // SAFETY: the child has only this thread. The C library makes its own locks, the allocator's among them, usable
    // there; the thread that is gone reads standard input and shares no other lock with what a connection does.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            // A parent that died before that call has sent no signal.
            if getppid() == Some(parent) {
                child();
            }
            // SAFETY: it does not return; what the parent registered to run at its exit is not run here.
            unsafe { libc::_exit(0) }
        }
        _ => Ok(()),
    }
}

/// Takes leave of the children that have ended. Returns how many.
pub(super) fn reap(options: WaitOptions) -> usize {
    let mut count = 0;
    while let Ok(Some(_)) = rustix::process::wait(options) {
        count += 1;
        if !options.contains(WaitOptions::NOHANG) {
            break;
        }
    }
    count
}
