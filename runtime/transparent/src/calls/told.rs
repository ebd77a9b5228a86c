//! What a program tells its user: functions that write to `stderr`, or to the system's log. The fiber makes the text, and puts it into the file
//! as by fwrite(3). The log has a lock of libc's and a socket that may be full, so a thread of the pool writes to it; a fiber that is
//! cancelled leaves that behind.
//!
//! Not warn(3), err(3) and error(3): their names are anybody's, and libraries have functions of their own under them, whose place a hook
//! would take as well.

#![expect(unsafe_code, reason = "takes the place of functions of libc, and uses its variables")]

use std::ffi::{CStr, c_char, c_int};

use abaca::hook::offload_and_leave;

use super::elsewhere::elsewhere;
use super::entries::host_error;
use super::file::{call, is_wide, waiting_number, write};
use super::formats::Text;
use super::puts::{stderr, with_sink};
use super::variadic::List;
use crate::enter::Within;
use crate::hooks::hooks;
use crate::own::own;

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn sigdescr_np(signal: c_int) -> *const c_char;
    fn hstrerror(error: c_int) -> *const c_char;
}

hooks! {
    /// psignal(3).
    fn psignal(signal: c_int, text: *const c_char) -> (), |within| -> c {
        // SAFETY: null, or the caller's string; libc's strings.
        let line = unsafe {
            let begin = prefix(text);
            let name = sigdescr_np(signal);
            let name = if name.is_null() { format!("Unknown signal {signal}").into_bytes() } else { bytes(name).to_vec() };
            [begin, name, b"\n".to_vec()].concat()
        };
        // SAFETY: as above.
        unsafe { tell(within, &line, || own!(fn psignal(c_int, *const c_char) -> ())(signal, text)) }
    }

    /// herror(3), which writes around the file.
    fn herror(text: *const c_char) -> (), |within| -> c {
        // SAFETY: null, or the caller's string; libc's string.
        let line = unsafe { [prefix(text), bytes(hstrerror(host_error())).to_vec(), b"\n".to_vec()].concat() };
        // SAFETY: the bytes are this function's.
        let moved = unsafe { write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
        if moved < 0 {
            within.fails_with(-moved as c_int);
        }
    }

    /// vsyslog(3).
    fn vsyslog(priority: c_int, format: *const c_char, list: List) -> (), |within| -> c {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            log(within, priority, list, |list| own!(fn vsyslog(c_int, *const c_char, List) -> ())(priority, format, list), |text, list| {
                own!(fn vasprintf(*mut *mut c_char, *const c_char, List) -> c_int)(text, format, list)
            })
        }
    }

    /// vsyslog(3) of a program that checks its formats (`_FORTIFY_SOURCE`).
    fn __vsyslog_chk(priority: c_int, flag: c_int, format: *const c_char, list: List) -> (), |within| -> c {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            let own = |list| own!(fn __vsyslog_chk(c_int, c_int, *const c_char, List) -> ())(priority, flag, format, list);
            log(within, priority, list, own, |text, list| {
                own!(fn __vasprintf_chk(*mut *mut c_char, c_int, *const c_char, List) -> c_int)(text, flag, format, list)
            })
        }
    }

    /// openlog(3), which waits for whoever writes to the log.
    fn openlog(name: *const c_char, options: c_int, facility: c_int) -> (), |within| -> c {
        // SAFETY: the caller's promise: the name stays.
        elsewhere(within, || unsafe { own!(fn openlog(*const c_char, c_int, c_int) -> ())(name, options, facility) });
    }

    /// closelog(3), the same.
    fn closelog() -> (), |within| -> c {
        // SAFETY: it takes nothing.
        elsewhere(within, || unsafe { own!(fn closelog() -> ())() });
    }
}

/// # Safety
///
/// The string ends in a zero byte.
unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// What comes before the text of an error, as in perror(3).
///
/// # Safety
///
/// As [`bytes`], or null.
unsafe fn prefix(text: *const c_char) -> Vec<u8> {
    // SAFETY: the caller's promise.
    let text = if text.is_null() { &[] } else { unsafe { bytes(text) } };
    if text.is_empty() { Vec::new() } else { [text, b": "].concat() }
}

/// Whether the fiber itself puts what it tells into `stderr`.
fn tells() -> bool {
    // SAFETY: libc's variable, which is an open file.
    unsafe { waiting_number(stderr).is_some() && !is_wide(stderr) }
}

/// # Safety
///
/// `own` may be called.
unsafe fn tell(within: &Within, line: &[u8], own: impl FnOnce()) {
    if !tells() {
        return call(within, own);
    }
    // SAFETY: libc's variable, which is an open file.
    unsafe { with_sink(within, (stderr, true), (), own, |sink| sink.put(line).map(drop)) }
}

/// syslog(3) and its kin.
///
/// # Safety
///
/// The functions may be called with the list.
unsafe fn log(
    within: &Within,
    priority: c_int,
    list: List,
    own: impl FnOnce(List),
    format: impl FnOnce(*mut *mut c_char, List) -> c_int,
) {
    // SAFETY: 0 changes nothing.
    let mask = unsafe { own!(fn setlogmask(c_int) -> c_int)(0) };
    // Below, a level of 0 to 7.
    if mask & 1 << (priority & 7) == 0 {
        return call(within, || own(list));
    }
    // SAFETY: the caller's promise.
    let (mut copied, text) = unsafe { Text::make(within, list, format) };
    let Some(text) = text else { return call(within, || own(copied.list())) };
    let text = [text.bytes(), b"\0"].concat();
    // Also that of a fiber which is cancelled is written.
    offload_and_leave(move || {
        // SAFETY: a format that takes a string.
        unsafe {
            own!(fn syslog(c_int, *const c_char, *const c_char) -> ())(
                priority,
                c"%s".as_ptr(),
                text.as_ptr().cast(),
            )
        }
    });
}
