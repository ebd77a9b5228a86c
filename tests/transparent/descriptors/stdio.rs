//! Reads by stdio.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::Write;
use std::os::fd::IntoRawFd;
use std::ptr::null_mut;

use libc::{FILE, size_t};

use crate::ends::pipe;
use crate::support::{World, on_one_worker, raw, same};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __fgets_chk(buffer: *mut c_char, room: size_t, bytes: c_int, file: *mut FILE) -> *mut c_char;
    fn __fread_chk(
        buffer: *mut c_void,
        room: size_t,
        bytes: size_t,
        count: size_t,
        file: *mut FILE,
    ) -> size_t;
    fn getc(file: *mut FILE) -> c_int;
    fn getc_unlocked(file: *mut FILE) -> c_int;
    fn fgetc_unlocked(file: *mut FILE) -> c_int;
    fn fgets_unlocked(buffer: *mut c_char, bytes: c_int, file: *mut FILE) -> *mut c_char;
    fn fread_unlocked(buffer: *mut c_void, bytes: size_t, count: size_t, file: *mut FILE) -> size_t;
    fn getdelim(line: *mut *mut c_char, bytes: *mut size_t, end: c_int, file: *mut FILE) -> isize;
}

fn name(name: *const c_char) -> String {
    // SAFETY: a C string of a test's buffer.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// A read by stdio.
type Stdio = (&'static str, fn(*mut FILE) -> String);

// SAFETY: for all, the only callers pass an open file, and the buffers are as large as is said.
const STDIO: &[Stdio] = unsafe {
    &[
        ("fgets", |file| {
            let mut line = [0; 16];
            (libc::fgets(line.as_mut_ptr(), 16, file).is_null()).to_string() + &name(line.as_ptr())
        }),
        ("__fgets_chk", |file| {
            let mut line = [0; 16];
            (__fgets_chk(line.as_mut_ptr(), 16, 16, file).is_null()).to_string() + &name(line.as_ptr())
        }),
        ("fread", |file| libc::fread([0_u8; 3].as_mut_ptr().cast(), 1, 3, file).to_string()),
        ("__fread_chk", |file| __fread_chk([0_u8; 3].as_mut_ptr().cast(), 3, 1, 3, file).to_string()),
        ("fgetc", |file| libc::fgetc(file).to_string()),
        ("fgets_unlocked", |file| {
            let mut line = [0; 16];
            (fgets_unlocked(line.as_mut_ptr(), 16, file).is_null()).to_string() + &name(line.as_ptr())
        }),
        ("fread_unlocked", |file| fread_unlocked([0_u8; 3].as_mut_ptr().cast(), 1, 3, file).to_string()),
        ("fgetc_unlocked", |file| fgetc_unlocked(file).to_string()),
        ("getc_unlocked", |file| getc_unlocked(file).to_string()),
        ("getc", |file| getc(file).to_string()),
        ("getline", |file| by_line(|line, bytes| libc::getline(line, bytes, file))),
        ("getdelim", |file| by_line(|line, bytes| getdelim(line, bytes, i32::from(b'b'), file))),
    ]
};

fn by_line(read: impl FnOnce(*mut *mut c_char, *mut size_t) -> isize) -> String {
    let (mut line, mut bytes) = (null_mut(), 0);
    let count = read(&mut line, &mut bytes);
    let text = if count < 0 { String::new() } else { name(line) };
    // SAFETY: libc has allocated it.
    unsafe { libc::free(line.cast()) };
    format!("{count} {text}")
}

/// Reads twice from a pipe: with `act` when it waits, and at the end.
fn read_twice(world: &World, read: fn(*mut FILE) -> String, act: fn(File)) -> String {
    let (reader, writer) = pipe();
    // SAFETY: a descriptor of the test's, which the file takes.
    let file = unsafe { libc::fdopen(reader.into_raw_fd(), c"r".as_ptr()) };
    let helper = world.when_waiting(move || act(File::from(writer)));
    let first = read(file);
    helper.join();
    let second = read(file);
    // SAFETY: it is the test's.
    let flags = unsafe { (libc::feof(file) != 0, libc::ferror(file) != 0, libc::fclose(file)) };
    format!("{first}; {second}; {flags:?}")
}

#[test]
fn a_read_by_stdio_waits_for_bytes_and_for_the_end() {
    for (name, read) in STDIO {
        same(name, move |world| read_twice(world, *read, |mut writer| writer.write_all(b"ab\n").unwrap()));
        same(&format!("{name}, the end"), move |world| read_twice(world, *read, drop));
    }
}

#[test]
fn a_read_by_stdio_waits_for_all_parts_and_can_be_given_up_between_two() {
    for (name, read) in STDIO {
        same(&format!("{name}, in parts"), move |world| {
            let (reader, writer) = pipe();
            // SAFETY: a descriptor of the test's, which the file takes.
            let file = unsafe { libc::fdopen(reader.into_raw_fd(), c"r".as_ptr()) };
            let mut writer = File::from(writer);
            writer.write_all(b"a").unwrap();
            let helper = world.when_waiting(move || {
                writer.write_all(b"cb\n").unwrap();
            });
            let first = read(file);
            // What reads no more than the first byte does not wait for the rest.
            helper.join();
            let second = read(file);
            // SAFETY: it is the test's.
            let flags = unsafe { (libc::feof(file) != 0, libc::ferror(file) != 0, libc::fclose(file)) };
            format!("{first}; {second}; {flags:?}")
        });
    }
    for (name, read) in
        STDIO.iter().filter(|(name, _)| name.starts_with("fgets") || name.starts_with("fread"))
    {
        on_one_worker(|| {
            let (reader, writer) = pipe();
            let fd = reader.into_raw_fd();
            File::from(writer.try_clone().unwrap()).write_all(b"a").unwrap();
            let fiber = abaca::spawn(move || {
                // SAFETY: a descriptor of the test's, which the file takes.
                unsafe {
                    let file = libc::fdopen(fd, c"r".as_ptr());
                    read(file);
                    (libc::ferror(file) != 0, libc::fclose(file))
                }
            });
            (0..20).for_each(|_| abaca::yield_now());
            assert!(!fiber.is_finished(), "{name} waits");
            fiber.cancel();
            assert_eq!(fiber.join().unwrap(), (true, 0), "{name}");
            drop(writer);
        });
    }
}

#[test]
fn a_read_by_stdio_without_waiting_is_an_error() {
    for (name, read) in STDIO {
        same(&format!("{name}, non-blocking"), move |_| {
            let (reader, _writer) = pipe();
            // SAFETY: a descriptor of the test's, which the file takes.
            unsafe {
                libc::fcntl(raw(&reader), libc::F_SETFL, libc::O_NONBLOCK);
                let file = libc::fdopen(reader.into_raw_fd(), c"r".as_ptr());
                let first = read(file);
                let flags = (libc::feof(file) != 0, libc::ferror(file) != 0);
                libc::fclose(file);
                format!("{first}; {flags:?}")
            }
        });
    }
}
