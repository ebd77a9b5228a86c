//! Other names of functions in this room, under which older programs and some libraries call them.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;

use libc::{sigset_t, timespec};

use crate::hooks::aliases;

aliases! {
    fn __nanosleep = super::sleep::nanosleep: (request: *const timespec, rest: *mut timespec) -> c_int;
    fn __sched_yield = super::sleep::sched_yield: () -> c_int;
    fn __sigaction = super::handlers::sigaction: (signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
    fn __sigsuspend = super::handlers::sigsuspend: (mask: *const sigset_t) -> c_int;
}
