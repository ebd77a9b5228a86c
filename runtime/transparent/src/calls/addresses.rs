//! getaddrinfo(3), on another thread: a fiber that is cancelled leaves the call behind.

#![expect(unsafe_code, reason = "takes the place of a function of libc, and reads C strings")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

use abaca::hook::offload_or_leave;
use libc::{AI_NUMERICHOST, EAI_SYSTEM, addrinfo};

use crate::answer::{errno, set_errno};
use crate::hooks::hooks;
use crate::own::own;

hooks! {
    /// getaddrinfo(3).
    fn getaddrinfo(node: *const c_char, service: *const c_char, hints: *const addrinfo, result: *mut *mut addrinfo) -> c_int, |within| -> c {
        let own = own!(fn getaddrinfo(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int);
        // SAFETY: null, or the user's, here and below.
        let hints_ref = unsafe { hints.as_ref() };
        if node.is_null() || hints_ref.is_some_and(|hints| hints.ai_flags & AI_NUMERICHOST != 0) {
            // Nobody is asked.
            // SAFETY: the caller's promise.
            let found = unsafe { own(node, service, hints, result) };
            within.fails_with(errno());
            return found;
        }
        // SAFETY: C strings of the user's, or null.
        let (node, service) = unsafe { (copy(node), copy(service)) };
        let hints = hints_ref.map(|hints| Hints {
            flags: hints.ai_flags,
            family: hints.ai_family,
            kind: hints.ai_socktype,
            protocol: hints.ai_protocol,
        });
        let before = within.errno();
        let found = offload_or_leave(move || {
            set_errno(before);
            let pointer = |string: &Option<CString>| string.as_ref().map_or(ptr::null(), |string| string.as_ptr());
            let hints = hints.map(Hints::into_c);
            let mut list = List(ptr::null_mut());
            // SAFETY: the strings and the hints are the closure's.
            let code = unsafe {
                own(pointer(&node), pointer(&service), hints.as_ref().map_or(ptr::null(), ptr::from_ref), &raw mut list.0)
            };
            (code, errno(), list)
        });
        match found {
            Some((code, error, list)) => {
                within.fails_with(error);
                if code == 0 {
                    // SAFETY: the caller's promise.
                    unsafe { *result = list.take() };
                }
                code
            }
            None => {
                within.fails_with(libc::ECANCELED);
                EAI_SYSTEM
            }
        }
    }
}

/// # Safety
///
/// The string is null, or ends in a zero byte.
unsafe fn copy(string: *const c_char) -> Option<CString> {
    // SAFETY: the caller's promise.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_owned())
}

/// The hints that count.
struct Hints {
    flags: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
}

impl Hints {
    fn into_c(self) -> addrinfo {
        // SAFETY: all zeros are hints for anything.
        let mut hints: addrinfo = unsafe { std::mem::zeroed() };
        (hints.ai_flags, hints.ai_family) = (self.flags, self.family);
        (hints.ai_socktype, hints.ai_protocol) = (self.kind, self.protocol);
        hints
    }
}

/// A list of libc's, which is freed unless somebody takes it.
struct List(*mut addrinfo);

// SAFETY: the list belongs to whoever holds it.
unsafe impl Send for List {}

impl List {
    fn take(mut self) -> *mut addrinfo {
        std::mem::replace(&mut self.0, ptr::null_mut())
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: libc has made the list, and nobody else has it.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}
