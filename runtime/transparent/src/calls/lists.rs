//! Look-ups that are waited for to the end, whatever happens: their next call goes on where they end, or they can say nothing else than
//! what they have found, or they use a state of the caller's that cannot be copied. They run on another thread.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_char, c_int, c_uchar, c_void};

use libc::{FILE, gid_t, group, passwd, size_t};

use super::elsewhere::elsewhere;
use crate::hooks::hooks;
use crate::own::own;

/// Hooks that call libc's own function on another thread.
macro_rules! elsewhere {
    ($($(#[$attribute:meta])* fn $name:ident($($a:ident: $t:ty),* $(,)?) -> $r:ty;)*) => {
        hooks! { $(
            $(#[$attribute])*
            fn $name($($a: $t),*) -> $r, |within| -> c {
                // SAFETY: the caller's promise.
                elsewhere(within, || unsafe { own!(fn $name($($t),*) -> $r)($($a),*) })
            }
        )* }
    };
}

elsewhere! {
    /// getpwent(3).
    fn getpwent() -> *mut passwd;
    /// getpwent_r(3).
    fn getpwent_r(entry: *mut passwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut passwd) -> c_int;
    /// fgetpwent(3).
    fn fgetpwent(file: *mut FILE) -> *mut passwd;
    /// getgrent(3).
    fn getgrent() -> *mut group;
    /// getgrent_r(3).
    fn getgrent_r(entry: *mut group, buffer: *mut c_char, bytes: size_t, result: *mut *mut group) -> c_int;
    /// getgrouplist(3), which can only say that its list is too short.
    fn getgrouplist(user: *const c_char, number: gid_t, groups: *mut gid_t, count: *mut c_int) -> c_int;
    /// res_nquery(3).
    fn res_nquery(
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    /// res_nsearch(3).
    fn res_nsearch(
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
}
