//! What blocks a thread all the same is named: the system call, who made it, and from where.

#![expect(unsafe_code, reason = "calls C functions, and makes raw system calls")]

use std::ffi::c_int;
use std::fs::File;
use std::io::Write;
use std::os::fd::IntoRawFd;
use std::time::Duration;

use abaca_transparent::{BlockingCall, report};

use crate::ends::pipe;

unsafe extern "C" {
    fn getw(file: *mut libc::FILE) -> c_int;
}

#[test]
fn a_function_of_a_c_library_that_waits_within_is_reported() {
    abaca_transparent::install().unwrap();
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let is_it = |call: &BlockingCall| {
            call.system_call == libc::SYS_read
                && call.backtrace.iter().any(|function| function.contains("getw"))
        };
        let (reader, writer) = pipe();
        let fiber = abaca::spawn(move || {
            // SAFETY: a descriptor of the test's, which the file takes.
            unsafe {
                let file = libc::fdopen(reader.into_raw_fd(), c"r".as_ptr());
                let found = getw(file);
                libc::fclose(file);
                found
            }
        });
        // The worker is left to this fiber, which finds the call in the report.
        let call = loop {
            abaca::sleep(Duration::from_millis(1));
            if let Some(call) = report().into_iter().find(is_it) {
                break call;
            }
        };
        File::from(writer).write_all(b"****").unwrap();
        assert_eq!(fiber.join().unwrap(), i32::from_ne_bytes(*b"****"));
        assert_eq!(call.name, Some("read"));
        assert!(call.library.as_ref().is_some_and(|library| library.contains("libc.so")), "{call:?}");
        assert!(call.count >= 1, "{call:?}");
        assert!(call.to_string().contains("read(2)") && call.to_string().contains("getw"), "{call}");
    });
}

/// Waits in the kernel for some milliseconds, unseen by any hook.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn block_unseen() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut result = libc::SYS_nanosleep as isize;
    // SAFETY: the kernel reads the time.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") result, in("rdi") &raw const time, in("rsi") 0, lateout("rcx") _, lateout("r11") _);
    }
    assert_eq!(result, 0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_blocks_all_the_same_is_reported() {
    abaca_transparent::install().unwrap();
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let found = || report().into_iter().find(|call| call.system_call == libc::SYS_nanosleep);
        let call = loop {
            let fiber = abaca::spawn(block_unseen);
            // Somebody waits for the worker.
            while !fiber.is_finished() {
                abaca::sleep(Duration::from_millis(1));
            }
            if let Some(call) = found() {
                break call;
            }
        };
        assert_eq!(call.name, Some("nanosleep"));
        assert!(call.count >= 1 && call.library.is_some(), "{call:?}");
        assert!(call.to_string().contains("nanosleep(2)"));
    });
}
