//! Other names of libc's for the same functions, under which older programs call them: they answer, and wait, as libc's.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::fs::File;
use std::io::Write;
use std::os::fd::IntoRawFd;
use std::ptr::{null, null_mut};

use libc::{FILE, timespec};

use crate::ends::{pipe, unix};
use crate::support::{outcome, raw, same, with_children};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __connect(fd: c_int, address: *const libc::sockaddr, bytes: u32) -> c_int;
    fn __send(fd: c_int, buffer: *const c_void, bytes: usize, flags: c_int) -> isize;
    fn __poll(list: *mut libc::pollfd, count: u64, timeout: c_int) -> c_int;
    fn __select(
        count: c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        timeout: *mut libc::timeval,
    ) -> c_int;
    fn __open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn __open64(path: *const c_char, flags: c_int, ...) -> c_int;
    fn __close(fd: c_int) -> c_int;
    fn __dup2(fd: c_int, to: c_int) -> c_int;
    fn __pipe(pair: *mut c_int) -> c_int;
    fn __fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn __wait(status: *mut c_int) -> c_int;
    fn __waitpid(child: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _IO_popen(command: *const c_char, mode: *const c_char) -> *mut FILE;
    fn _IO_fgets(buffer: *mut c_char, bytes: c_int, file: *mut FILE) -> *mut c_char;
    fn _IO_fread(buffer: *mut c_void, bytes: usize, count: usize, file: *mut FILE) -> usize;
    fn _IO_getc(file: *mut FILE) -> c_int;
    fn __getdelim(line: *mut *mut c_char, bytes: *mut usize, end: c_int, file: *mut FILE) -> isize;
    fn __nanosleep(time: *const timespec, rest: *mut timespec) -> c_int;
    fn __sched_yield() -> c_int;
    fn __sigaction(signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
    fn res_query(name: *const c_char, class: c_int, kind: c_int, answer: *mut c_uchar, bytes: c_int)
    -> c_int;
}

#[test]
fn old_names_wait_as_the_new_ones() {
    same("poll and select", |world| {
        let (reader, writer) = pipe();
        let (fd, mut writer) = (raw(&reader), File::from(writer));
        let helper = world.when_waiting(move || writer.write_all(b"abc").unwrap());
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: an entry, and a set, of the test's, here and below.
        let polled = unsafe { __poll(&mut entry, 1, -1) };
        helper.join();
        // SAFETY: as above.
        let selected = unsafe {
            let mut set: libc::fd_set = std::mem::zeroed();
            libc::FD_SET(fd, &mut set);
            __select(fd + 1, &mut set, null_mut(), null_mut(), null_mut())
        };
        (polled, selected)
    });
    same("stdio", |world| {
        let (reader, writer) = pipe();
        let mut writer = File::from(writer);
        let helper = world.when_waiting(move || writer.write_all(b"abcde\nfg\n").unwrap());
        let (mut bytes, mut line, mut room) = ([0; 8], null_mut(), 0);
        // SAFETY: a file of the test's, buffers as large as is said, and a line that libc allocates.
        let found = unsafe {
            let file = libc::fdopen(reader.into_raw_fd(), c"r".as_ptr());
            let first = _IO_getc(file);
            let items = _IO_fread(bytes.as_mut_ptr().cast(), 1, 2, file);
            let rest = !_IO_fgets(bytes.as_mut_ptr(), 8, file).is_null();
            let last = __getdelim(&mut line, &mut room, c_int::from(b'\n'), file);
            libc::free(line.cast());
            (first, items, rest, bytes, last, libc::fclose(file))
        };
        helper.join();
        found
    });
}

#[test]
fn old_names_answer_as_the_new_ones() {
    with_children(|| {
        same("descriptors", |_| {
            let (near, _far) = unix();
            // SAFETY: names, numbers and buffers of the test's.
            unsafe {
                let mut pair = [-1; 2];
                let made =
                    [__open(c"/dev/null".as_ptr(), 0), __open64(c"/none".as_ptr(), 0)].map(|fd| fd >= 0);
                let piped = __pipe(pair.as_mut_ptr());
                let flags = __fcntl(pair[0], libc::F_GETFL);
                let copied = __dup2(pair[0], pair[1]) == pair[1];
                let closed = pair.map(|fd| __close(fd));
                let sent = __send(raw(&near), c"a".as_ptr().cast(), 1, 0);
                let connected = outcome(__connect(raw(&near), null(), 0) as isize);
                (made, piped, flags, copied, closed, sent, connected)
            }
        });
        same("others", |_| {
            let now = timespec { tv_sec: 0, tv_nsec: 1 };
            // SAFETY: as above; a command, whose file is closed.
            unsafe {
                let waited =
                    [outcome(__waitpid(1, null_mut(), 0) as isize), outcome(__wait(null_mut()) as isize)];
                let closed = libc::pclose(_IO_popen(c"exit 3".as_ptr(), c"r".as_ptr()));
                let slept = (__nanosleep(&now, null_mut()), __sched_yield());
                let mut action = std::mem::zeroed();
                (waited, closed, slept, __sigaction(libc::SIGUSR1, null(), &mut action))
            }
        });
        // Without a name there is nobody to ask.
        // SAFETY: a name, and a buffer of this size.
        same("res_query", |_| unsafe { res_query(c"".as_ptr(), -1, -1, [0; 16].as_mut_ptr(), 0) });
    });
}
