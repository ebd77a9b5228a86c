//! Other names of functions in this room, under which older programs and some libraries call them.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_char, c_int, c_uchar, c_void};

use libc::{FILE, pid_t, size_t, ssize_t};

use super::variadic::List;
use super::wide::Wide;
use crate::hooks::aliases;

aliases! {
    fn __wait = super::children::wait: (status: *mut c_int) -> pid_t;
    fn __waitpid = super::children::waitpid: (child: pid_t, status: *mut c_int, options: c_int) -> pid_t;
    fn _IO_popen = super::children::popen: (command: *const c_char, mode: *const c_char) -> *mut FILE;
    fn _IO_fgets = super::stdio::fgets: (buffer: *mut c_char, bytes: c_int, file: *mut FILE) -> *mut c_char;
    fn _IO_fread = super::stdio::fread: (buffer: *mut c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t;
    fn _IO_getc = super::stdio::getc: (file: *mut FILE) -> c_int;
    fn _IO_fwrite = super::puts::fwrite: (buffer: *const c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t;
    fn _IO_fputs = super::puts::fputs: (text: *const c_char, file: *mut FILE) -> c_int;
    fn _IO_puts = super::puts::puts: (text: *const c_char) -> c_int;
    fn _IO_putc = super::puts::putc: (byte: c_int, file: *mut FILE) -> c_int;
    fn _IO_fflush = super::puts::fflush: (file: *mut FILE) -> c_int;
    fn _IO_fclose = super::puts::fclose: (file: *mut FILE) -> c_int;
    fn _IO_vfprintf = super::formats::vfprintf: (file: *mut FILE, format: *const c_char, list: List) -> c_int;
    fn _IO_fsetpos = super::flushes::fsetpos: (file: *mut FILE, position: *const c_void) -> c_int;
    fn _IO_fsetpos64 = super::flushes::fsetpos64: (file: *mut FILE, position: *const c_void) -> c_int;
    fn _IO_setvbuf = super::flushes::setvbuf: (file: *mut FILE, buffer: *mut c_char, mode: c_int, bytes: size_t) -> c_int;
    fn _IO_setbuffer = super::flushes::setbuffer: (file: *mut FILE, buffer: *mut c_char, bytes: size_t) -> ();
    fn _IO_flockfile = super::flushes::flockfile: (file: *mut FILE) -> ();
    fn __vfscanf = super::scans::vfscanf: (file: *mut FILE, format: *const c_char, list: List) -> c_int;
    fn __wuflow = super::wide_reads::fgetwc_unlocked: (file: *mut FILE) -> Wide;
    fn __getdelim = super::stdio::getdelim: (line: *mut *mut c_char, bytes: *mut size_t, end: c_int, file: *mut FILE) -> ssize_t;
    fn __res_query = super::names::res_query: (
        name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    fn __res_search = super::names::res_search: (
        name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    fn __res_querydomain = super::names::res_querydomain: (
        name: *const c_char, domain: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    fn __res_nquery = super::lists::res_nquery: (
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
    fn __res_nsearch = super::lists::res_nsearch: (
        state: *mut c_void, name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int,
    ) -> c_int;
}
