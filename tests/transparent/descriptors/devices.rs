//! Files of the kernel's that never tell that they are writable: fanotify's, to which each write is a message, and those that refuse what would
//! otherwise wait.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CString, c_void};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use libc::{FAN_ALLOW, FAN_CLASS_CONTENT, FAN_CLOEXEC, FAN_DENY, fanotify_event_metadata, fanotify_response};

use crate::support::{outcome, raw, same};

/// A group that is asked for permissions; `None` where the caller may not have one.
fn group() -> Option<OwnedFd> {
    // SAFETY: the number is new, and nobody else's.
    unsafe {
        let fd = libc::fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, libc::O_RDONLY as u32);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
    }
}

/// Writes an answer, and more than it, which the kernel leaves alone.
fn answer(group: &OwnedFd, response: fanotify_response) -> (isize, i32) {
    let mut bytes = [0_u8; 8192];
    // SAFETY: the buffer has room for a response, wherever it lies.
    unsafe {
        bytes.as_mut_ptr().cast::<fanotify_response>().write_unaligned(response);
        outcome(libc::write(raw(group), bytes.as_ptr().cast::<c_void>(), bytes.len()))
    }
}

#[test]
fn what_is_refused_in_any_case_does_not_wait() {
    // SAFETY: no memory is involved.
    let made = unsafe {
        [
            ("epoll", libc::epoll_create1(libc::EPOLL_CLOEXEC)),
            ("timerfd", libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC)),
            ("eventfd", libc::eventfd(0, libc::EFD_CLOEXEC)),
        ]
    };
    for (name, fd) in made {
        // SAFETY: the number is new, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        same(&format!("four bytes of {name}"), |_| {
            let mut bytes = [0_u8; 4];
            let buffer = bytes.as_mut_ptr().cast::<c_void>();
            // SAFETY: a buffer of four bytes.
            unsafe { [outcome(libc::read(raw(&fd), buffer, 4)), outcome(libc::write(raw(&fd), buffer, 4))] }
        });
    }
}

#[test]
fn an_answer_that_nobody_has_asked_for_is_refused_at_once() {
    let Some(group) = group() else {
        eprintln!("skipped: no permission for fanotify");
        return;
    };
    same("fanotify, refused", |_| answer(&group, fanotify_response { fd: raw(&group), response: FAN_ALLOW }));
}

#[test]
fn a_file_is_opened_when_a_fiber_allows_it() {
    if group().is_none() {
        eprintln!("skipped: no permission for fanotify");
        return;
    }
    let path = std::env::temp_dir().join(format!("abaca-devices-{}", std::process::id()));
    File::create(&path).unwrap();
    same("fanotify, asked", |_| {
        let group = group().unwrap();
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a name, and a descriptor of this function's.
        let marked = unsafe {
            libc::fanotify_mark(
                raw(&group),
                libc::FAN_MARK_ADD,
                libc::FAN_OPEN_PERM,
                libc::AT_FDCWD,
                name.as_ptr(),
            )
        };
        assert_eq!(marked, 0, "{}", std::io::Error::last_os_error());
        let opener = abaca_transparent::as_kernel_threads(|| {
            let path = path.clone();
            std::thread::spawn(move || [(); 2].map(|()| File::open(&path).map(drop).map_err(|e| e.kind())))
        });
        let answers = [FAN_DENY, FAN_ALLOW].map(|response| {
            // SAFETY: all zeros are an event; it has room for one.
            let event = unsafe {
                let mut event: fanotify_event_metadata = std::mem::zeroed();
                let bytes = libc::read(raw(&group), (&raw mut event).cast(), size_of_val(&event));
                assert_eq!(bytes, size_of_val(&event) as isize);
                event
            };
            // SAFETY: the number comes with the event, and is the reader's.
            let file = unsafe { File::from_raw_fd(event.fd) };
            answer(&group, fanotify_response { fd: file.as_raw_fd(), response })
        });
        (answers, opener.join().unwrap())
    });
    std::fs::remove_file(&path).unwrap();
}
