//! Terminals: waits until one has sent what was written to it, on a thread of the pool; and reads of one that end with nothing read.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_int, c_short};

use libc::termios;

use super::kind::{Kind, kind_of};
use super::poll::look_at;
use crate::answer::{failed, of_c};
use crate::calls::attempts::{Handlers, wait_elsewhere};
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// tcdrain(3), which any handler of a signal ends.
    fn tcdrain(fd: c_int) -> c_int, |_| -> kernel_point {
        let own = own!(fn tcdrain(c_int) -> c_int);
        // SAFETY: no memory is involved.
        unsafe { wait_elsewhere(Handlers::End, || of_c(own(fd) as isize)) }
    }

    /// tcsendbreak(3), which takes half a second at most.
    fn tcsendbreak(fd: c_int, duration: c_int) -> c_int, |_| -> kernel {
        let own = own!(fn tcsendbreak(c_int, c_int) -> c_int);
        // SAFETY: no memory is involved.
        unsafe { wait_elsewhere(Handlers::End, || of_c(own(fd, duration) as isize)) }
    }

    /// tcsetattr(3), which waits if it is to change what comes after the output.
    fn tcsetattr(fd: c_int, when: c_int, settings: *const termios) -> c_int, |_| -> kernel {
        let own = own!(fn tcsetattr(c_int, c_int, *const termios) -> c_int);
        // SAFETY: the caller's promise.
        let call = || unsafe { of_c(own(fd, when, settings) as isize) };
        if when == libc::TCSANOW {
            return call();
        }
        // SAFETY: the settings stay while the fiber waits.
        unsafe { wait_elsewhere(Handlers::EndUnlessRestarted, call) }
    }
}

/// When a read ends that has found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// When there is something.
    Endless,
    /// After a time (VTIME).
    Limited,
    /// At once.
    None,
}

/// That of the reads of a file: a terminal whose input is not by lines may have reads end that have read nothing (VMIN is 0).
pub(crate) fn patience(fd: c_int) -> Patience {
    let Some(termios { c_lflag, c_cc, .. }) = settings(fd) else { return Patience::Endless };
    match (c_lflag & libc::ICANON, c_cc[libc::VMIN], c_cc[libc::VTIME]) {
        (0, 0, 0) => Patience::None,
        (0, 0, _) => Patience::Limited,
        _ => Patience::Endless,
    }
}

/// Whether the file is a terminal.
pub(crate) fn is_terminal(fd: c_int) -> bool {
    settings(fd).is_some()
}

/// The result of a read that has waited: of a terminal whose other end was closed meanwhile it is EIO, although the next read will have read nothing.
pub(super) fn or_hung_up(fd: c_int, moved: isize) -> isize {
    let is_hung_up = |found: c_short| found & libc::POLLHUP != 0 && found & libc::POLLERR != 0;
    if moved == 0 && kind_of(fd) == Kind::Other && look_at(fd, libc::POLLIN).is_ok_and(is_hung_up) {
        return failed(libc::EIO);
    }
    moved
}

/// A terminal's settings; `None` of another file.
fn settings(fd: c_int) -> Option<termios> {
    let mut settings = std::mem::MaybeUninit::uninit();
    // SAFETY: libc writes a local, which is read if that was done.
    unsafe { (libc::tcgetattr(fd, settings.as_mut_ptr()) == 0).then(|| settings.assume_init()) }
}
