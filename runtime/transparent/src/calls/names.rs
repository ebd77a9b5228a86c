//! Users, groups and hosts: NSS asks a server or reads files, with locks of libc held. So a fiber must not park in it, and the call runs on
//! another thread.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_char, c_int, c_uchar, c_void};

use libc::{FILE, gid_t, group, hostent, passwd, size_t, socklen_t, uid_t};

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
    /// gethostbyname(3).
    fn gethostbyname(name: *const c_char) -> *mut hostent;
    /// gethostbyname2(3).
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent;
    /// gethostbyaddr(3).
    fn gethostbyaddr(address: *const c_void, bytes: socklen_t, family: c_int) -> *mut hostent;
    /// gethostbyname_r(3).
    fn gethostbyname_r(
        name: *const c_char, entry: *mut hostent, buffer: *mut c_char, bytes: size_t, result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int;
    /// gethostbyname2_r(3).
    fn gethostbyname2_r(
        name: *const c_char, family: c_int, entry: *mut hostent, buffer: *mut c_char, bytes: size_t, result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int;
    /// gethostbyaddr_r(3).
    fn gethostbyaddr_r(
        address: *const c_void, address_bytes: socklen_t, family: c_int, entry: *mut hostent, buffer: *mut c_char, bytes: size_t,
        result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int;
    /// getpwnam(3).
    fn getpwnam(name: *const c_char) -> *mut passwd;
    /// getpwuid(3).
    fn getpwuid(user: uid_t) -> *mut passwd;
    /// getpwnam_r(3).
    fn getpwnam_r(
        name: *const c_char, entry: *mut passwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut passwd,
    ) -> c_int;
    /// getpwuid_r(3).
    fn getpwuid_r(user: uid_t, entry: *mut passwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut passwd) -> c_int;
    /// getpwent(3).
    fn getpwent() -> *mut passwd;
    /// getpwent_r(3).
    fn getpwent_r(entry: *mut passwd, buffer: *mut c_char, bytes: size_t, result: *mut *mut passwd) -> c_int;
    /// fgetpwent(3).
    fn fgetpwent(file: *mut FILE) -> *mut passwd;
    /// getgrnam(3).
    fn getgrnam(name: *const c_char) -> *mut group;
    /// getgrgid(3).
    fn getgrgid(group: gid_t) -> *mut group;
    /// getgrnam_r(3).
    fn getgrnam_r(name: *const c_char, entry: *mut group, buffer: *mut c_char, bytes: size_t, result: *mut *mut group) -> c_int;
    /// getgrgid_r(3).
    fn getgrgid_r(number: gid_t, entry: *mut group, buffer: *mut c_char, bytes: size_t, result: *mut *mut group) -> c_int;
    /// getgrent(3).
    fn getgrent() -> *mut group;
    /// getgrent_r(3).
    fn getgrent_r(entry: *mut group, buffer: *mut c_char, bytes: size_t, result: *mut *mut group) -> c_int;
    /// getgrouplist(3).
    fn getgrouplist(user: *const c_char, number: gid_t, groups: *mut gid_t, count: *mut c_int) -> c_int;
    /// initgroups(3).
    fn initgroups(user: *const c_char, number: gid_t) -> c_int;
    /// res_query(3).
    fn res_query(name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int) -> c_int;
    /// res_search(3).
    fn res_search(name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int) -> c_int;
    /// res_querydomain(3).
    fn res_querydomain(
        name: *const c_char, domain: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    /// res_nquery(3).
    fn res_nquery(
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    /// res_nsearch(3).
    fn res_nsearch(
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
}
