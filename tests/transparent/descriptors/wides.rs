//! Writes and reads of wide characters.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CStr, c_int};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::IntoRawFd;
use std::ptr::null_mut;
use std::time::Duration;

use libc::{FILE, wchar_t};

use crate::ends::{Ends, pipe, unix};
use crate::sinks::{ended, full_pipe, open};
use crate::support::{World, on_one_worker, raw, same};

type Wide = u32;

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn fputwc(character: wchar_t, file: *mut FILE) -> Wide;
    fn putwc(character: wchar_t, file: *mut FILE) -> Wide;
    fn fputwc_unlocked(character: wchar_t, file: *mut FILE) -> Wide;
    fn putwc_unlocked(character: wchar_t, file: *mut FILE) -> Wide;
    fn fputws(text: *const wchar_t, file: *mut FILE) -> c_int;
    fn fputws_unlocked(text: *const wchar_t, file: *mut FILE) -> c_int;
    fn fwprintf(file: *mut FILE, format: *const wchar_t, ...) -> c_int;
    fn __fwprintf_chk(file: *mut FILE, flag: c_int, format: *const wchar_t, ...) -> c_int;
    fn fgetwc(file: *mut FILE) -> Wide;
    fn getwc(file: *mut FILE) -> Wide;
    fn fgetwc_unlocked(file: *mut FILE) -> Wide;
    fn getwc_unlocked(file: *mut FILE) -> Wide;
    fn __wuflow(file: *mut FILE) -> Wide;
    fn fgetws(buffer: *mut wchar_t, count: c_int, file: *mut FILE) -> *mut wchar_t;
    fn fgetws_unlocked(buffer: *mut wchar_t, count: c_int, file: *mut FILE) -> *mut wchar_t;
    fn __fgetws_chk(buffer: *mut wchar_t, room: usize, count: c_int, file: *mut FILE) -> *mut wchar_t;
    fn __fgetws_unlocked_chk(
        buffer: *mut wchar_t,
        room: usize,
        count: c_int,
        file: *mut FILE,
    ) -> *mut wchar_t;
    fn ungetwc(character: Wide, file: *mut FILE) -> Wide;
}

/// A string of wide characters, with its zero. The test's locale has no others than these.
fn wide(text: &str) -> Vec<wchar_t> {
    text.bytes().map(wchar_t::from).chain([0]).collect()
}

/// Text of many lines.
const LINES: &str = "one\ntwo\nand this one is longer than a buffer of sixteen characters\nthe rest";

type Write1 = (&'static str, fn(*mut FILE, c_int) -> isize);

fn letter(number: c_int) -> wchar_t {
    if number % 7 == 0 { 10 } else { 97 }
}

// SAFETY: for all, the only callers pass an open file.
const WRITES: &[Write1] = unsafe {
    &[
        ("fputws", |file, _| fputws(wide(LINES).as_ptr(), file) as isize),
        ("fputws_unlocked", |file, _| fputws_unlocked(wide(LINES).as_ptr(), file) as isize),
        ("fputwc", |file, number| fputwc(letter(number), file) as isize),
        ("putwc", |file, number| putwc(letter(number), file) as isize),
        ("fputwc_unlocked", |file, number| fputwc_unlocked(letter(number), file) as isize),
        ("putwc_unlocked", |file, number| putwc_unlocked(letter(number), file) as isize),
        ("fwprintf", |file, number| {
            let format = wide("%d %s %.2f %d %d %d %d\n");
            fwprintf(file, format.as_ptr(), number, c"x".as_ptr(), 0.5_f64, 4, 5, 6, 7) as isize
        }),
        ("__fwprintf_chk", |file, number| {
            __fwprintf_chk(file, 1, wide("%d %.1f\n").as_ptr(), number, 0.5_f64) as isize
        }),
    ]
};

const BUFFERS: &[(c_int, usize)] =
    &[(libc::_IOFBF, 4096), (libc::_IOFBF, 64), (libc::_IOLBF, 4096), (libc::_IONBF, 0)];

/// As `write_much` of `sinks.rs`.
fn write_much(
    world: &World,
    write: fn(*mut FILE, c_int) -> isize,
    (mode, bytes): (c_int, usize),
    ends: fn() -> Ends,
) -> String {
    const ENOUGH: usize = 12_000;
    let (reader, writer) = ends();
    // SAFETY: the kernel makes the pipe smaller; what is no pipe refuses.
    unsafe { libc::fcntl(raw(&writer), libc::F_SETPIPE_SZ, 4096) };
    let file = open(writer.into_raw_fd(), c"w");
    let mut buffer = vec![0; bytes];
    // SAFETY: the buffer lives longer than the file.
    unsafe { libc::setvbuf(file, if bytes == 0 { null_mut() } else { buffer.as_mut_ptr() }, mode, bytes) };
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
        written += if result == 1 { LINES.len() } else { result.clamp(1, 70) as usize };
        if written > ENOUGH {
            break;
        }
    }
    // SAFETY: the file is the test's.
    let closed = unsafe { (libc::ferror(file), libc::fclose(file)) };
    helper.join();
    let all = receiver.recv().unwrap();
    results.dedup();
    let sum = all.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
    format!("{results:?}, {closed:?}, {} bytes: {sum:x}", all.len())
}

#[test]
fn a_write_of_wide_characters_waits_for_room_and_moves_all() {
    for (name, write) in WRITES {
        for buffer in BUFFERS {
            same(&format!("{name}, {buffer:?}"), move |world| write_much(world, *write, *buffer, pipe));
        }
    }
    same("a socket", |world| write_much(world, WRITES[0].1, BUFFERS[0], unix));
    same("a file of bytes", |_| {
        let (_reader, writer) = pipe();
        let file = open(writer.into_raw_fd(), c"w");
        // SAFETY: the file is the test's.
        unsafe {
            libc::fputs(c"x".as_ptr(), file);
            (ended(fputws(wide("x").as_ptr(), file) as isize, file), fputwc(97, file), libc::fclose(file))
        }
    });
}

/// What writes at once.
// SAFETY: for all, the only callers pass an open file.
const FLUSHES: &[Write1] = unsafe {
    &[
        ("fputws, unbuffered", |file, _| {
            libc::setvbuf(file, null_mut(), libc::_IONBF, 0);
            fputws(wide(LINES).as_ptr(), file) as isize
        }),
        ("fputws of a line", |file, _| {
            libc::setvbuf(file, null_mut(), libc::_IOLBF, 4096);
            fputws(wide("a line\n").as_ptr(), file) as isize
        }),
        ("fflush", |file, _| {
            fputws(wide(LINES).as_ptr(), file);
            libc::fflush(file) as isize
        }),
        ("fwprintf, unbuffered", |file, _| {
            libc::setvbuf(file, null_mut(), libc::_IONBF, 0);
            fwprintf(file, wide("%d\n").as_ptr(), 7) as isize
        }),
    ]
};

#[test]
fn a_write_of_wide_characters_without_waiting_is_an_error_and_can_be_given_up() {
    for (name, write) in FLUSHES {
        same(&format!("{name}, non-blocking"), move |_| {
            let (_reader, writer) = full_pipe();
            // SAFETY: descriptors of the test's.
            unsafe {
                libc::fcntl(raw(&writer), libc::F_SETFL, libc::O_NONBLOCK);
                let file = open(writer.into_raw_fd(), c"w");
                let ended = ended(write(file, 0), file);
                libc::fclose(file);
                ended
            }
        });
        on_one_worker(|| {
            let (reader, writer) = full_pipe();
            let fd = writer.into_raw_fd();
            let late = abaca::time::timeout(Duration::from_millis(2), || {
                let file = open(fd, c"w");
                let ended = ended(write(file, 0), file);
                assert!(ended.contains(&format!("-1, Some({})", libc::ECANCELED)), "{name}: {ended}");
                // What is left in the buffer has no reader, and does not wait.
                drop(reader);
                // SAFETY: the file is the test's.
                unsafe { libc::fclose(file) };
            });
            assert!(late.is_err(), "{name}");
        });
    }
}

type Read1 = (&'static str, fn(*mut FILE) -> String);

fn line(read: impl FnOnce(*mut wchar_t) -> *mut wchar_t) -> String {
    let mut line = [0; 16];
    let is_null = read(line.as_mut_ptr()).is_null();
    format!("{is_null} {line:?}")
}

// SAFETY: for all, the only callers pass an open file, and the buffers are as large as is said.
const READS: &[Read1] = unsafe {
    &[
        ("fgetwc", |file| fgetwc(file).to_string()),
        ("getwc", |file| getwc(file).to_string()),
        ("fgetwc_unlocked", |file| fgetwc_unlocked(file).to_string()),
        ("getwc_unlocked", |file| getwc_unlocked(file).to_string()),
        ("__wuflow", |file| __wuflow(file).to_string()),
        ("fgetws", |file| line(|at| fgetws(at, 16, file))),
        ("fgetws_unlocked", |file| line(|at| fgetws_unlocked(at, 16, file))),
        ("__fgetws_chk", |file| line(|at| __fgetws_chk(at, 16, 16, file))),
        ("__fgetws_unlocked_chk", |file| line(|at| __fgetws_unlocked_chk(at, 16, 16, file))),
    ]
};

/// Reads twice from a pipe, with `act` when it waits, and at the end.
fn read_twice(world: &World, read: fn(*mut FILE) -> String, before: &[u8], act: fn(File)) -> String {
    let (reader, writer) = pipe();
    let file = open(reader.into_raw_fd(), c"r");
    let mut writer = File::from(writer);
    writer.write_all(before).unwrap();
    let helper = world.when_waiting(move || act(writer));
    let first = read(file);
    helper.join();
    let second = read(file);
    // SAFETY: it is the test's.
    let flags = unsafe { (libc::feof(file) != 0, libc::ferror(file) != 0, libc::fclose(file)) };
    format!("{first}; {second}; {flags:?}")
}

#[test]
fn a_read_of_wide_characters_waits_for_all_parts_and_for_the_end() {
    for (name, read) in READS {
        let whole = |mut writer: File| writer.write_all(b"ab\ncd").unwrap();
        same(name, move |world| read_twice(world, *read, b"", whole));
        same(&format!("{name}, the end"), move |world| read_twice(world, *read, b"", drop));
        if name.contains("fgetws") {
            let rest = |mut writer: File| writer.write_all(b"b\ncd").unwrap();
            same(&format!("{name}, in parts"), move |world| read_twice(world, *read, b"a", rest));
        }
        same(&format!("{name}, non-blocking"), move |_| {
            let (reader, _writer) = pipe();
            // SAFETY: a descriptor of the test's.
            unsafe { libc::fcntl(raw(&reader), libc::F_SETFL, libc::O_NONBLOCK) };
            let file = open(reader.into_raw_fd(), c"r");
            let first = read(file);
            // SAFETY: the file is the test's.
            unsafe { (first, libc::feof(file) != 0, libc::ferror(file) != 0, libc::fclose(file)) }
        });
        on_one_worker(|| {
            let (reader, writer) = pipe();
            let fd = reader.into_raw_fd();
            let late = abaca::time::timeout(Duration::from_millis(2), || {
                let file = open(fd, c"r");
                read(file);
                // SAFETY: the file is the test's.
                assert_eq!(unsafe { (libc::ferror(file) != 0, libc::fclose(file)) }, (true, 0), "{name}");
            });
            assert!(late.is_err(), "{name}");
            drop(writer);
        });
    }
    same("what was put back", |_| {
        let (reader, writer) = pipe();
        File::from(writer).write_all(b"abcd\n").unwrap();
        let file = open(reader.into_raw_fd(), c"r");
        // SAFETY: the file is the test's.
        unsafe {
            let first = fgetwc(file);
            let back = [120, 121].map(|character| ungetwc(character, file));
            let rest = [(); 7].map(|()| fgetwc(file));
            (first, back, rest, libc::fclose(file))
        }
    });
    same("a file of bytes", |_| {
        let (reader, writer) = pipe();
        File::from(writer.try_clone().unwrap()).write_all(b"ab").unwrap();
        let file = open(reader.into_raw_fd(), c"r");
        // SAFETY: the file is the test's.
        let read =
            unsafe { (libc::fgetc(file), fgetwc(file), libc::fgetc(file), fgetwc(file), libc::fclose(file)) };
        drop(writer);
        read
    });
}

/// Characters of several bytes, where the locale has them.
#[test]
fn characters_of_several_bytes_are_moved_whole() {
    // SAFETY: as glibc defines them.
    unsafe extern "C" {
        fn newlocale(
            mask: c_int,
            name: *const std::ffi::c_char,
            base: *mut std::ffi::c_void,
        ) -> *mut std::ffi::c_void;
        fn uselocale(locale: *mut std::ffi::c_void) -> *mut std::ffi::c_void;
    }
    let name: &CStr = c"C.UTF-8";
    same("UTF-8", move |world| {
        // SAFETY: a name; the locale is that of the calling thread, or fiber, which ends soon.
        unsafe {
            let locale = newlocale(1, name.as_ptr(), null_mut());
            if locale.is_null() {
                return None;
            }
            uselocale(locale);
        }
        let (reader, writer) = pipe();
        // SAFETY: the kernel makes the pipe smaller.
        unsafe { libc::fcntl(raw(&writer), libc::F_SETPIPE_SZ, 4096) };
        let to = open(writer.into_raw_fd(), c"w");
        let from = open(reader.into_raw_fd(), c"r").expose_provenance();
        let text: Vec<wchar_t> =
            "äöü€😀\n".chars().map(|letter| letter as wchar_t).cycle().take(6000).chain([0]).collect();
        let expected = text.clone();
        let helper = world.when_waiting(move || {
            let from: *mut FILE = std::ptr::with_exposed_provenance_mut(from);
            // The reader has the bytes of a locale of its own.
            let mut all = Vec::new();
            // SAFETY: the file is the test's.
            unsafe {
                loop {
                    match libc::fgetc(from) {
                        libc::EOF => break,
                        byte => all.push(byte as u8),
                    }
                }
                libc::fclose(from);
            }
            let all: Vec<wchar_t> =
                String::from_utf8(all).unwrap().chars().map(|letter| letter as wchar_t).collect();
            assert_eq!(all, expected[..6000]);
        });
        // SAFETY: the file is the test's.
        let put = unsafe { (fputws(text.as_ptr(), to), libc::fclose(to)) };
        helper.join();
        Some(put)
    });
}
