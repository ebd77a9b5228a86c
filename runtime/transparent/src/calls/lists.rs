//! Look-ups that are waited for to the end, whatever happens: their next call goes on where they end, or they can say nothing else than
//! what they have found, or they use a state of the caller's that cannot be copied, or hardly anybody calls them. They run on another thread.

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
    /// fgetpwent(3).
    fn fgetpwent(file: *mut FILE) -> *mut passwd;
    /// fgetpwent_r(3).
    fn fgetpwent_r(file: *mut FILE, entry: *mut passwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut passwd) -> c_int;
    /// fgetgrent(3).
    fn fgetgrent(file: *mut FILE) -> *mut group;
    /// fgetgrent_r(3).
    fn fgetgrent_r(file: *mut FILE, entry: *mut group, buffer: *mut c_char, bytes: size_t, result: *mut *mut group) -> c_int;
    /// getrpcbyname(3).
    fn getrpcbyname(name: *const c_char) -> *mut c_void;
    /// getrpcbynumber(3).
    fn getrpcbynumber(number: c_int) -> *mut c_void;
    /// innetgr(3).
    fn innetgr(name: *const c_char, host: *const c_char, user: *const c_char, domain: *const c_char) -> c_int;
    /// setnetgrent(3).
    fn setnetgrent(name: *const c_char) -> c_int;
    /// getnetgrent(3).
    fn getnetgrent(host: *mut *mut c_char, user: *mut *mut c_char, domain: *mut *mut c_char) -> c_int;
    /// ether_hostton(3).
    fn ether_hostton(name: *const c_char, address: *mut c_void) -> c_int;
    /// ether_ntohost(3).
    fn ether_ntohost(name: *mut c_char, address: *const c_void) -> c_int;
    /// getlogin(3).
    fn getlogin() -> *mut c_char;
    /// getlogin_r(3).
    fn getlogin_r(name: *mut c_char, bytes: size_t) -> c_int;
    /// wordexp(3), which may run commands.
    fn wordexp(words: *const c_char, result: *mut c_void, flags: c_int) -> c_int;
    /// getgrouplist(3), which can only say that its list is too short.
    fn getgrouplist(user: *const c_char, number: gid_t, groups: *mut gid_t, count: *mut c_int) -> c_int;
    /// res_nquery(3).
    fn res_nquery(
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    /// res_nsend(3).
    fn res_nsend(state: *mut c_void, question: *const c_uchar, bytes: c_int, answer: *mut c_uchar, room: c_int) -> c_int;
    /// res_nsearch(3).
    fn res_nsearch(
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
}
