//! Waits until a terminal has sent what was written to it, on a thread of the pool.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;

use libc::termios;

use crate::answer::of_c;
use crate::calls::kick::{Handlers, wait_elsewhere};
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
