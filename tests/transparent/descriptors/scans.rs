//! scanf(3) and its kin.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{c_char, c_int};
use std::fs::File;
use std::io::Write;
use std::os::fd::IntoRawFd;

use libc::FILE;

use crate::ends::pipe;
use crate::support::{World, on_one_worker, same};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __isoc99_fscanf(file: *mut FILE, format: *const c_char, ...) -> c_int;
    fn __uflow(file: *mut FILE) -> c_int;
}

fn open(reader: impl IntoRawFd) -> *mut FILE {
    // SAFETY: a descriptor of the test's, which the file takes.
    unsafe { libc::fdopen(reader.into_raw_fd(), c"r".as_ptr()) }
}

/// A number and a word.
fn scan(file: *mut FILE) -> String {
    let (mut number, mut word) = (0, [0_u8; 100]);
    // SAFETY: a number, and a word of at most 99 bytes.
    let found = unsafe { libc::fscanf(file, c"%d %99s".as_ptr(), &raw mut number, word.as_mut_ptr()) };
    format!("{found} {number} {}", String::from_utf8_lossy(&word).trim_end_matches('\0'))
}

/// Many numbers, more than registers take.
fn scan_many(file: *mut FILE) -> String {
    let (mut numbers, mut real) = ([0; 7], 0.0_f64);
    let [a, b, c, d, e, f, g] = numbers.each_mut().map(|number| &raw mut *number);
    // SAFETY: as many numbers as the format has.
    let found = unsafe {
        __isoc99_fscanf(file, c"%d,%d,%d,%d,%d,%d,%d,%lf".as_ptr(), a, b, c, d, e, f, g, &raw mut real)
    };
    format!("{found} {numbers:?} {real}")
}

/// What comes in two parts, the second when the reader waits: what both scans find, and what is left.
const PARTS: &[(&str, &str, &str)] = &[
    ("a number in two parts", "12", "34 word 5 six\n"),
    ("a word in two parts", "12 wo", "rd 5 six\n"),
    ("what is no number", "ab", "c 5 six\n"),
    ("a sign that is none", "1 a -", "x 7 y"),
    ("the end", "12 wo", ""),
    ("nothing", "", ""),
    (
        "more than is taken at once",
        "5 0123456789012345678901234567890123456789012345678901234567890123456789",
        "0 6 x\n",
    ),
    ("white space", "  \n\n  ", "  7   x  rest"),
];

fn scan_twice(
    world: &World,
    scan: fn(*mut FILE) -> String,
    first: &'static str,
    second: &'static str,
) -> String {
    let (reader, writer) = pipe();
    let file = open(reader);
    let mut writer = File::from(writer);
    writer.write_all(first.as_bytes()).unwrap();
    let helper = world.when_waiting(move || writer.write_all(second.as_bytes()).unwrap());
    let found = [scan(file), scan(file)];
    helper.join();
    // SAFETY: the file is the test's.
    unsafe {
        let next = [libc::fgetc(file), __uflow(file)];
        format!("{found:?}, {next:?}, {} {} {}", libc::feof(file), libc::ferror(file), libc::fclose(file))
    }
}

#[test]
fn a_scan_waits_for_what_it_reads_and_leaves_the_rest() {
    for (name, first, second) in PARTS {
        same(name, move |world| scan_twice(world, scan, first, second));
    }
    same("many", |world| scan_twice(world, scan_many, "1,2,3,", "4,5,6,7,0.5,8\n"));
}

#[test]
fn a_scan_of_a_user_that_wants_errors_is_one() {
    same("fscanf, non-blocking", |_| {
        let (reader, writer) = pipe();
        let reader = reader.into_raw_fd();
        // SAFETY: descriptors of the test's.
        unsafe {
            libc::fcntl(reader, libc::F_SETFL, libc::O_NONBLOCK);
            let file = libc::fdopen(reader, c"r".as_ptr());
            let found = [scan(file), scan(file)];
            drop(writer);
            (found, libc::ferror(file), libc::fclose(file))
        }
    });
}

#[test]
fn a_scan_can_be_given_up() {
    on_one_worker(|| {
        let (reader, writer) = pipe();
        File::from(writer.try_clone().unwrap()).write_all(b"12").unwrap();
        let fd = reader.into_raw_fd();
        let fiber = abaca::spawn(move || {
            // SAFETY: a descriptor of the test's, which the file takes.
            unsafe {
                let file = libc::fdopen(fd, c"r".as_ptr());
                (scan(file), libc::ferror(file) != 0, libc::fclose(file))
            }
        });
        (0..20).for_each(|_| abaca::yield_now());
        assert!(!fiber.is_finished());
        fiber.cancel();
        let (found, has_error, closed) = fiber.join().unwrap();
        assert!(has_error && closed == 0, "{found}");
        drop(writer);
    });
}
