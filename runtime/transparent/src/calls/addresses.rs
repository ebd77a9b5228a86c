//! getaddrinfo(3), on another thread: a fiber that is cancelled leaves the call behind. What is asked in figures is answered on the spot.

#![expect(unsafe_code, reason = "takes the place of a function of libc, and reads C strings")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

use abaca::hook::offload_or_leave;
use libc::{
    AF_UNSPEC, AI_ADDRCONFIG, AI_ALL, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV, AI_PASSIVE, AI_V4MAPPED,
    EAI_SYSTEM, addrinfo,
};

use super::resolver::Settings;
use crate::answer::{errno, set_errno};
use crate::hooks::hooks;
use crate::own::own;
use crate::threads::wait_at_point;

hooks! {
    /// getaddrinfo(3).
    fn getaddrinfo(node: *const c_char, service: *const c_char, hints: *const addrinfo, result: *mut *mut addrinfo) -> c_int, |within| -> c_wait {
        let own = own!(fn getaddrinfo(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int);
        // SAFETY: null, or the user's, here and below.
        let hints_ref = unsafe { hints.as_ref() };
        // SAFETY: the caller's promise, with hints of his or ours.
        let here = |hints: *const addrinfo| unsafe { own(node, service, hints, result) };
        // SAFETY: C strings of the user's, or null.
        match unsafe { asks(node, service, hints_ref) } {
            Asks::Nobody => {
                let found = here(hints);
                within.fails_with(errno());
                return found;
            }
            Asks::NobodyIfANumber => {
                // The flag has one meaning: a host that is no number is an error. So a success is what the call would have been without it,
                // but for the flags that each entry repeats.
                let before = errno();
                let mut numeric = Hints::of(hints_ref);
                numeric.flags |= AI_NUMERICHOST;
                if here(&numeric.into_c()) == 0 {
                    // SAFETY: libc has made a list, which ends in null, and it is nobody else's yet.
                    let mut next = unsafe { *result };
                    // SAFETY: the same.
                    while let Some(entry) = unsafe { next.as_mut() } {
                        entry.ai_flags &= !AI_NUMERICHOST;
                        next = entry.ai_next;
                    }
                    within.fails_with(errno());
                    return 0;
                }
                set_errno(before);
            }
            Asks::Somebody => {}
        }
        // SAFETY: C strings of the user's, or null.
        let (node, service) = unsafe { (copy(node), copy(service)) };
        let hints = hints_ref.map(|hints| Hints::of(Some(hints)));
        let before = within.errno();
        let settings = Settings::of_caller();
        let look_up = move || {
            set_errno(before);
            let pointer = |string: &Option<CString>| string.as_ref().map_or(ptr::null(), |string| string.as_ptr());
            let hints = hints.map(Hints::into_c);
            let mut list = List(ptr::null_mut());
            let hints = hints.as_ref().map_or(ptr::null(), ptr::from_ref);
            // SAFETY: the strings and the hints are the closure's.
            let code = settings.lend(|| unsafe { own(pointer(&node), pointer(&service), hints, &raw mut list.0) });
            (code, errno(), list)
        };
        match wait_at_point(|| None, || offload_or_leave(look_up)) {
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

/// Whom libc asks for an answer, which takes time.
enum Asks {
    Nobody,
    /// Nobody if the host is an address in figures: it begins like one.
    NobodyIfANumber,
    Somebody,
}

/// # Safety
///
/// The strings are null, or end in a zero byte.
unsafe fn asks(node: *const c_char, service: *const c_char, hints: Option<&addrinfo>) -> Asks {
    // SAFETY: the caller's promise.
    let bytes =
        |string: *const c_char| (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_bytes());
    let flags = Hints::of(hints).flags;
    // Names of services stand in a file, or somewhere else.
    if bytes(service).is_some_and(|service| !service.iter().all(u8::is_ascii_digit)) {
        return Asks::Somebody;
    }
    match bytes(node) {
        None => Asks::Nobody,
        Some(_) if flags & AI_NUMERICHOST != 0 => Asks::Nobody,
        // Other flags ask a library for names in other alphabets.
        Some(_) if flags & !PLAIN != 0 => Asks::Somebody,
        // "0x7f.1" is an address as well, and "::" and "fe80::1%eth0".
        Some(node) if node.first().is_some_and(u8::is_ascii_digit) || node.contains(&b':') => {
            Asks::NobodyIfANumber
        }
        Some(_) => Asks::Somebody,
    }
}

const PLAIN: c_int =
    AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG | AI_NUMERICSERV;

/// The hints that count.
struct Hints {
    flags: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
}

impl Hints {
    /// Those of libc if there are none.
    fn of(hints: Option<&addrinfo>) -> Self {
        let Some(hints) = hints else {
            return Self { flags: AI_V4MAPPED | AI_ADDRCONFIG, family: AF_UNSPEC, kind: 0, protocol: 0 };
        };
        let (kind, protocol) = (hints.ai_socktype, hints.ai_protocol);
        Self { flags: hints.ai_flags, family: hints.ai_family, kind, protocol }
    }

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
