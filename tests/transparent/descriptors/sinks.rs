//! Writes by stdio.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{c_char, c_int};
use std::fs::File;
use std::io::Read;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use libc::{FILE, size_t};

use crate::ends::{pipe, tcp, unix};
use crate::support::{World, on_one_worker, raw, same};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn fputs_unlocked(text: *const c_char, file: *mut FILE) -> c_int;
    fn fwrite_unlocked(text: *const c_char, bytes: size_t, count: size_t, file: *mut FILE) -> size_t;
    fn putc(byte: c_int, file: *mut FILE) -> c_int;
    fn putc_unlocked(byte: c_int, file: *mut FILE) -> c_int;
    fn fputc_unlocked(byte: c_int, file: *mut FILE) -> c_int;
    fn __overflow(file: *mut FILE, byte: c_int) -> c_int;
    fn __fprintf_chk(file: *mut FILE, flag: c_int, format: *const c_char, ...) -> c_int;
    fn __dprintf_chk(fd: c_int, flag: c_int, format: *const c_char, ...) -> c_int;
    fn fflush_unlocked(file: *mut FILE) -> c_int;
    fn dprintf(fd: c_int, format: *const c_char, ...) -> c_int;
}

/// Text of many lines, of which one is longer than a small buffer.
const LINES: &std::ffi::CStr = c"one\ntwo\nand this one is longer than a buffer of sixteen bytes\nthe rest";

/// A write by stdio, again and again: it gets a number.
type Write = (&'static str, fn(*mut FILE, c_int) -> isize);

// SAFETY: for all, the only callers pass an open file.
const WRITES: &[Write] = unsafe {
    &[
        ("fwrite", |file, _| libc::fwrite(LINES.as_ptr().cast(), 1, 70, file) as isize),
        ("fwrite of items", |file, _| libc::fwrite(LINES.as_ptr().cast(), 7, 10, file) as isize),
        ("fwrite_unlocked", |file, _| fwrite_unlocked(LINES.as_ptr(), 1, 70, file) as isize),
        ("fputs", |file, _| libc::fputs(LINES.as_ptr(), file) as isize),
        ("fputs_unlocked", |file, _| fputs_unlocked(LINES.as_ptr(), file) as isize),
        ("fputc", |file, number| libc::fputc(if number % 7 == 0 { 10 } else { 97 }, file) as isize),
        ("putc", |file, number| putc(if number % 7 == 0 { 10 } else { 97 }, file) as isize),
        ("putc_unlocked", |file, number| putc_unlocked(if number % 7 == 0 { 10 } else { 97 }, file) as isize),
        ("fputc_unlocked", |file, number| {
            fputc_unlocked(if number % 7 == 0 { 10 } else { 97 }, file) as isize
        }),
        ("__overflow", |file, number| __overflow(file, if number % 7 == 0 { 10 } else { 97 }) as isize),
        ("fprintf", |file, number| {
            let (text, real) = (c"and a string".as_ptr(), f64::from(number) / 4.0);
            libc::fprintf(
                file,
                c"%d %s %.2f %ld %d %d %d %.1f\n".as_ptr(),
                number,
                text,
                real,
                1_i64 << 40,
                5,
                6,
                7,
                8.5_f64,
            ) as isize
        }),
        ("__fprintf_chk", |file, number| {
            __fprintf_chk(file, 1, c"%d %s %.2f %d %d %d\n".as_ptr(), number, c"x".as_ptr(), 0.5_f64, 4, 5, 6)
                as isize
        }),
    ]
};

pub(crate) fn open(fd: c_int, mode: &std::ffi::CStr) -> *mut FILE {
    // SAFETY: a descriptor of the test's, which the file takes.
    unsafe { libc::fdopen(fd, mode.as_ptr()) }
}

/// How a file is buffered: the mode, and how many bytes.
const BUFFERS: &[(c_int, size_t)] =
    &[(libc::_IOFBF, 4096), (libc::_IOFBF, 16), (libc::_IOLBF, 4096), (libc::_IOLBF, 16), (libc::_IONBF, 0)];

/// Writes until some twice what a pipe has room for is written, while another reads from the first time on at which the writer waits. Returns
/// the results, what was read, and how the file was closed.
fn write_much(
    world: &World,
    write: fn(*mut FILE, c_int) -> isize,
    (mode, bytes): (c_int, size_t),
    ends: fn() -> crate::ends::Ends,
) -> String {
    const ENOUGH: usize = 12_000;
    let (reader, writer) = ends();
    // SAFETY: the kernel makes the pipe smaller; what is no pipe refuses.
    unsafe { libc::fcntl(raw(&writer), libc::F_SETPIPE_SZ, 4096) };
    let file = open(writer.into_raw_fd(), c"w");
    let mut buffer = vec![0 as c_char; bytes];
    // SAFETY: the buffer lives longer than the file.
    unsafe {
        libc::setvbuf(file, if bytes == 0 { std::ptr::null_mut() } else { buffer.as_mut_ptr() }, mode, bytes)
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let helper = world.when_waiting(move || {
        let mut all = Vec::new();
        File::from(reader).read_to_end(&mut all).unwrap();
        sender.send(all).unwrap();
    });
    let mut results = Vec::new();
    let mut written = 0;
    for number in 0.. {
        let result = write(file, number);
        results.push(result);
        written += if result > 9 { 70 } else { 1 };
        if written > ENOUGH {
            break;
        }
    }
    // SAFETY: the file is the test's.
    let closed = unsafe { (libc::ferror(file), libc::fclose(file)) };
    helper.join();
    let all = receiver.recv().unwrap();
    results.dedup();
    format!(
        "{results:?}, {closed:?}, {} bytes: {:x}",
        all.len(),
        all.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte))
    )
}

#[test]
fn a_write_by_stdio_waits_for_room_and_moves_all() {
    for (name, write) in WRITES {
        for buffer in BUFFERS {
            same(&format!("{name}, {buffer:?}"), move |world| write_much(world, *write, *buffer, pipe));
        }
    }
    for ends in [unix, tcp] {
        same("a socket", move |world| write_much(world, WRITES[0].1, BUFFERS[0], ends));
    }
}

/// Fills a pipe, which stays full.
pub(crate) fn full_pipe() -> crate::ends::Ends {
    let (reader, writer) = pipe();
    // SAFETY: descriptors of the test's.
    unsafe {
        libc::fcntl(raw(&writer), libc::F_SETPIPE_SZ, 4096);
        libc::fcntl(raw(&writer), libc::F_SETFL, libc::O_NONBLOCK);
        while libc::write(raw(&writer), [0_u8; 4096].as_ptr().cast(), 4096) > 0 {}
        libc::fcntl(raw(&writer), libc::F_SETFL, 0);
    }
    (reader, writer)
}

/// A write that would wait, how it has ended, and what its file says.
pub(crate) fn ended(result: isize, file: *mut FILE) -> String {
    let error = std::io::Error::last_os_error().raw_os_error();
    // SAFETY: the file is the test's.
    format!("{result}, {error:?}, {}", unsafe { libc::ferror(file) })
}

/// What writes at once, if the file has no buffer, or writes what is in it.
// SAFETY: for all, the only callers pass an open file.
const FLUSHES: &[Write] = unsafe {
    &[
        ("fwrite, unbuffered", |file, _| {
            libc::setvbuf(file, std::ptr::null_mut(), libc::_IONBF, 0);
            libc::fwrite(LINES.as_ptr().cast(), 1, 70, file) as isize
        }),
        ("fputs of a line", |file, _| {
            libc::setvbuf(file, std::ptr::null_mut(), libc::_IOLBF, 4096);
            libc::fputs(LINES.as_ptr(), file) as isize
        }),
        ("fflush", |file, _| {
            libc::fputs(LINES.as_ptr(), file);
            libc::fflush(file) as isize
        }),
        ("fflush_unlocked", |file, _| {
            libc::fputs(LINES.as_ptr(), file);
            fflush_unlocked(file) as isize
        }),
        ("__overflow of none", |file, _| {
            libc::fputs(LINES.as_ptr(), file);
            __overflow(file, libc::EOF) as isize
        }),
        ("fprintf, unbuffered", |file, _| {
            libc::setvbuf(file, std::ptr::null_mut(), libc::_IONBF, 0);
            libc::fprintf(file, c"%d\n".as_ptr(), 7) as isize
        }),
        ("dprintf", |file, _| dprintf(libc::fileno(file), c"%s %d\n".as_ptr(), c"x".as_ptr(), 7) as isize),
        ("__dprintf_chk", |file, _| {
            __dprintf_chk(libc::fileno(file), 1, c"%d %.1f\n".as_ptr(), 7, 0.5_f64) as isize
        }),
    ]
};

#[test]
fn a_write_by_stdio_without_waiting_is_an_error() {
    for (name, write) in FLUSHES {
        same(&format!("{name}, non-blocking"), move |_| {
            let (_reader, writer) = full_pipe();
            // SAFETY: descriptors of the test's.
            unsafe {
                libc::fcntl(raw(&writer), libc::F_SETFL, libc::O_NONBLOCK);
                let file = open(writer.into_raw_fd(), c"w");
                let ended = ended(write(file, 0), file);
                format!("{ended}, {}", libc::fclose(file))
            }
        });
    }
    same("fclose, non-blocking", |_| {
        let (_reader, writer) = full_pipe();
        // SAFETY: descriptors of the test's.
        unsafe {
            libc::fcntl(raw(&writer), libc::F_SETFL, libc::O_NONBLOCK);
            let file = open(writer.into_raw_fd(), c"w");
            libc::fputs(LINES.as_ptr(), file);
            (libc::fclose(file), std::io::Error::last_os_error().raw_os_error())
        }
    });
    same("a file to read", |_| {
        let (reader, _writer) = pipe();
        let file = open(reader.into_raw_fd(), c"r");
        // SAFETY: the file is the test's.
        unsafe { (ended(libc::fputs(LINES.as_ptr(), file) as isize, file), libc::fclose(file)) }
    });
    same("a reader that has gone", |_| {
        let (reader, writer) = pipe();
        drop(reader);
        let file = open(writer.into_raw_fd(), c"w");
        // SAFETY: the file is the test's.
        unsafe {
            libc::fputs(LINES.as_ptr(), file);
            (ended(libc::fflush(file) as isize, file), libc::fclose(file))
        }
    });
}

#[test]
fn the_time_of_a_socket_ends_a_write_by_stdio() {
    same("SO_SNDTIMEO", |_| {
        let (_reader, writer) = unix();
        let time = libc::timeval { tv_sec: 0, tv_usec: 2000 };
        let file = open(writer.into_raw_fd(), c"w");
        let mut all = vec![0_u8; 1 << 20];
        all.push(0);
        // SAFETY: the file is the test's; the kernel reads a time, and libc the bytes.
        unsafe {
            let fd = libc::fileno(file);
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_SNDTIMEO,
                (&raw const time).cast(),
                size_of_val(&time) as _,
            );
            let moved = libc::fwrite(all.as_ptr().cast(), 1, all.len(), file);
            (ended(isize::from(moved < all.len()), file), libc::fclose(file))
        }
    });
}

#[test]
fn a_write_by_stdio_to_a_full_pipe_can_be_given_up() {
    for (name, write) in FLUSHES {
        on_one_worker(|| {
            let (reader, writer) = full_pipe();
            let fd = writer.into_raw_fd();
            let late = abaca::time::timeout(Duration::from_millis(2), || {
                let file = open(fd, c"w");
                let ended = ended(write(file, 0), file);
                // SAFETY: the file is the test's.
                assert_eq!(unsafe { libc::fclose(file) }, 0, "{name}: nothing is left in the buffer");
                assert!(ended.contains(&format!("Some({})", libc::ECANCELED)), "{name}: {ended}");
            });
            assert!(late.is_err(), "{name}");
            drop(reader);
        });
    }
    on_one_worker(|| {
        let (reader, writer) = full_pipe();
        let fd = writer.into_raw_fd();
        let fiber = abaca::spawn(move || {
            let file = open(fd, c"w");
            // SAFETY: the file is the test's.
            unsafe {
                libc::fputs(LINES.as_ptr(), file);
                (libc::fclose(file), std::io::Error::last_os_error().raw_os_error())
            }
        });
        (0..20).for_each(|_| abaca::yield_now());
        assert!(!fiber.is_finished());
        fiber.cancel();
        assert_eq!(fiber.join().unwrap(), (libc::EOF, Some(libc::ECANCELED)));
        drop(reader);
    });
}

/// A neighbour has the file while it waits for room; who wants it as well waits, and can be given up.
#[test]
fn a_file_of_stdio_that_another_writes_to_is_waited_for() {
    on_one_worker(|| {
        let (reader, writer) = full_pipe();
        let file = open(writer.into_raw_fd(), c"w").expose_provenance();
        let began = Arc::new(AtomicUsize::new(0));
        let put = || {
            let began = began.clone();
            move || {
                let file: *mut FILE = std::ptr::with_exposed_provenance_mut(file);
                began.fetch_add(1, SeqCst);
                // SAFETY: the file is open until all have ended.
                unsafe { (libc::fputs(LINES.as_ptr(), file) >= 0, libc::fflush(file)) }
            }
        };
        let first = abaca::spawn(put());
        (0..20).for_each(|_| abaca::yield_now());
        let [second, third] = [(); 2].map(|()| abaca::spawn(put()));
        while began.load(SeqCst) < 3 {
            abaca::yield_now();
        }
        (0..20).for_each(|_| abaca::yield_now());
        assert!(!first.is_finished() && !second.is_finished());
        third.cancel();
        assert_eq!(third.join().unwrap(), (false, libc::EOF));
        let mut reader = File::from(reader);
        let mut all = vec![0; 4096 + 2 * LINES.count_bytes()];
        reader.read_exact(&mut all).unwrap();
        assert_eq!((first.join().unwrap(), second.join().unwrap()), ((true, 0), (true, 0)));
        assert_eq!(&all[4096..], [LINES.to_bytes(), LINES.to_bytes()].concat());
        // SAFETY: as above.
        unsafe { libc::fclose(std::ptr::with_exposed_provenance_mut(file)) };
    });
}
