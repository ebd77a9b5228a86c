//! Other names of functions in this room, under which older programs and some libraries call them.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_char, c_int, c_void};

use libc::{FILE, fd_set, mode_t, nfds_t, pollfd, size_t, sockaddr, socklen_t, ssize_t, timeval};

use crate::hooks::aliases;

aliases! {
    fn __read = super::read::read: (fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t;
    fn __write = super::write::write: (fd: c_int, buffer: *const c_void, bytes: size_t) -> ssize_t;
    fn __send = super::send::send: (fd: c_int, buffer: *const c_void, bytes: size_t, flags: c_int) -> ssize_t;
    fn __connect = super::connect::connect: (fd: c_int, address: *const sockaddr, bytes: socklen_t) -> c_int;
    fn __poll = super::poll::poll: (list: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    fn __pread64 = super::offset::pread64: (fd: c_int, buffer: *mut c_void, bytes: size_t, offset: i64) -> ssize_t;
    fn __pwrite64 = super::offset::pwrite64: (fd: c_int, buffer: *const c_void, bytes: size_t, offset: i64) -> ssize_t;
    fn _IO_fopen = super::files::fopen: (path: *const c_char, mode: *const c_char) -> *mut FILE;
    fn __select = super::select::select: (
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set, timeout: *mut timeval,
    ) -> c_int;
    fn __open = super::files::open: (path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn __open64 = super::files::open64: (path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn __close = super::numbers::close: (fd: c_int) -> c_int;
    fn __dup2 = super::numbers::dup2: (fd: c_int, to: c_int) -> c_int;
    fn __pipe = super::numbers::pipe: (pair: *mut c_int) -> c_int;
    fn __fcntl = super::control::fcntl: (fd: c_int, command: c_int, argument: usize) -> c_int;
}
