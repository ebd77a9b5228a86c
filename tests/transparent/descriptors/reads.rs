//! Calls that read.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::c_void;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;

use libc::{MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, c_int};

use crate::ends::{Ends, KINDS, deliver, tcp, unix};
use crate::support::{World, outcome, raw, same};

/// A call that reads up to 8 bytes.
pub(crate) type Read = fn(c_int, &mut [u8; 8]) -> isize;

/// A call that reads, and whether it is for sockets only.
pub(crate) const READS: &[(&str, Read, bool)] = &[
    ("read", read, false),
    ("readv", readv, false),
    ("__read_chk", read_checked, false),
    ("__read", read_by_its_old_name, false),
    ("preadv2", read_from_nowhere, false),
    ("recv", recv, true),
    ("recvfrom", recvfrom, true),
    ("recvmsg", recvmsg, true),
    ("recvmmsg", recvmmsg, true),
    ("__recv_chk", recv_checked, true),
    ("__recvfrom_chk", recvfrom_checked, true),
    ("recv of three bytes", recv_three, true),
    ("recvmsg of three bytes", recvmsg_three, true),
    ("a peek at three bytes", peek_three, true),
];

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __read(fd: c_int, buffer: *mut c_void, bytes: usize) -> isize;
    fn preadv2(fd: c_int, list: *const libc::iovec, count: c_int, offset: i64, flags: c_int) -> isize;
    fn __read_chk(fd: c_int, buffer: *mut c_void, bytes: usize, room: usize) -> isize;
    fn __recv_chk(fd: c_int, buffer: *mut c_void, bytes: usize, room: usize, flags: c_int) -> isize;
    fn __recvfrom_chk(
        fd: c_int,
        buffer: *mut c_void,
        bytes: usize,
        room: usize,
        flags: c_int,
        address: *mut libc::sockaddr,
        address_bytes: *mut libc::socklen_t,
    ) -> isize;
}

fn read_by_its_old_name(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: the buffer has eight bytes.
    unsafe { __read(fd, buffer.as_mut_ptr().cast(), 8) }
}

fn read_from_nowhere(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    let list = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: 8 };
    // SAFETY: the buffer has eight bytes.
    unsafe { preadv2(fd, &list, 1, -1, 0) }
}

fn read(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: the buffer has so many bytes; here and in all that follows.
    unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), 8) }
}

fn read_checked(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { __read_chk(fd, buffer.as_mut_ptr().cast(), 8, 8) }
}

fn parts(buffer: &mut [u8]) -> [libc::iovec; 2] {
    let (one, two) = buffer.split_at_mut(2);
    [one, two].map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() })
}

fn readv(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::readv(fd, parts(buffer).as_ptr(), 2) }
}

fn recv(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), 8, 0) }
}

fn recv_checked(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { __recv_chk(fd, buffer.as_mut_ptr().cast(), 8, 8, 0) }
}

fn recv_three(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), 3, MSG_WAITALL) }
}

fn peek_three(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), 3, MSG_WAITALL | MSG_PEEK) }
}

fn recvfrom(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::recvfrom(fd, buffer.as_mut_ptr().cast(), 8, 0, ptr::null_mut(), ptr::null_mut()) }
}

fn recvfrom_checked(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    // SAFETY: as above.
    unsafe { __recvfrom_chk(fd, buffer.as_mut_ptr().cast(), 8, 8, 0, ptr::null_mut(), ptr::null_mut()) }
}

fn header(parts: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros are a header without anything.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (parts.as_mut_ptr(), parts.len() as _);
    header
}

fn recvmsg(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    let mut parts = parts(buffer);
    // SAFETY: as above.
    unsafe { libc::recvmsg(fd, &mut header(&mut parts), 0) }
}

fn recvmsg_three(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    let mut parts = parts(&mut buffer[..3]);
    // SAFETY: as above.
    unsafe { libc::recvmsg(fd, &mut header(&mut parts), MSG_WAITALL) }
}

fn recvmmsg(fd: c_int, buffer: &mut [u8; 8]) -> isize {
    let mut parts = parts(buffer);
    let mut message = libc::mmsghdr { msg_hdr: header(&mut parts), msg_len: 0 };
    // SAFETY: as above.
    match unsafe { libc::recvmmsg(fd, &mut message, 1, 0, ptr::null_mut()) } {
        1 => message.msg_len as isize,
        result => result as isize,
    }
}

/// What a call returns, its error, and what it has found.
pub(crate) type Found = (isize, i32, [u8; 8]);

pub(crate) fn found(call: Read, fd: c_int) -> Found {
    let mut buffer = [0; 8];
    let (result, error) = outcome(call(fd, &mut buffer));
    (result, error, buffer)
}

pub(crate) fn send(fd: &OwnedFd, bytes: &[u8]) {
    File::from(fd.try_clone().unwrap()).write_all(bytes).unwrap();
}

/// Runs a scenario for each call and each kind of ends that suits it.
pub(crate) fn for_all(what: &str, scenario: fn(&World, Read, Ends) -> Vec<Found>) {
    for (kind, ends, is_socket) in KINDS {
        for (name, call, is_for_sockets) in READS {
            if *is_socket || !is_for_sockets {
                same(&format!("{what}: {name} of {kind}"), |world| scenario(world, *call, ends()));
            }
        }
    }
}

#[test]
fn what_is_there_is_read_at_once() {
    for_all("there", |_, call, (reader, writer)| {
        send(&writer, b"abc");
        vec![found(call, raw(&reader))]
    });
}

#[test]
fn a_read_waits_until_something_comes() {
    for_all("waits", |world, call, (reader, writer)| {
        let sender = world.when_waiting(move || send(&writer, b"abc"));
        let found = vec![found(call, raw(&reader))];
        sender.join();
        found
    });
}

#[test]
fn a_read_that_waits_ends_when_the_other_end_is_closed() {
    for (kind, ends, is_socket) in KINDS {
        // Nothing tells the end of datagrams.
        for (name, call, is_for_sockets) in READS {
            if *kind != "datagram" && (*is_socket || !is_for_sockets) {
                same(&format!("end: {name} of {kind}"), |world| {
                    let (reader, writer) = ends();
                    let closer = world.when_waiting(move || drop(writer));
                    let first = found(*call, raw(&reader));
                    closer.join();
                    [first, found(*call, raw(&reader))]
                });
            }
        }
    }
}

#[test]
fn a_user_that_wants_errors_gets_them() {
    for_all("non-blocking", |_, call, ends| {
        let reader = raw(&ends.0);
        // SAFETY: no memory is involved.
        unsafe { libc::fcntl(reader, libc::F_SETFL, libc::O_NONBLOCK) };
        let empty = found(call, reader);
        deliver(&ends, b"abc");
        let full = found(call, reader);
        let mut off: c_int = 0;
        // SAFETY: the call reads a number.
        unsafe { libc::ioctl(reader, libc::FIONBIO, &mut off) };
        send(&ends.1, b"def");
        vec![empty, full, found(call, reader)]
    });
}

#[test]
fn a_call_of_a_user_that_wants_errors_for_it_alone_does_not_wait() {
    for (kind, ends, is_socket) in KINDS {
        if *is_socket {
            same(kind, |_| {
                let (reader, _writer) = ends();
                let mut byte = 0_u8;
                // SAFETY: the buffer has one byte.
                outcome(unsafe { libc::recv(raw(&reader), (&raw mut byte).cast(), 1, MSG_DONTWAIT) })
            });
        }
    }
}

fn limit(fd: c_int, name: c_int, millis: i64) {
    let value = libc::timeval { tv_sec: 0, tv_usec: millis * 1000 };
    // SAFETY: the kernel reads a `timeval`.
    let result = unsafe {
        libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const value).cast(), size_of_val(&value) as _)
    };
    assert_eq!(result, 0);
}

#[test]
fn the_time_of_a_socket_ends_a_read() {
    for (kind, ends, is_socket) in KINDS {
        for (name, call, _) in READS {
            if *is_socket {
                same(&format!("limit: {name} of {kind}"), |_| {
                    let (reader, writer) = ends();
                    limit(raw(&reader), libc::SO_RCVTIMEO, 20);
                    let late = found(*call, raw(&reader));
                    send(&writer, b"abc");
                    let early = found(*call, raw(&reader));
                    [late, early]
                });
            }
        }
    }
}

#[test]
fn a_read_goes_on_when_its_descriptor_is_closed_under_it() {
    for_all("closed", |world, call, (reader, writer)| {
        let reader = reader.into_raw_fd();
        let closer = world.when_waiting(move || {
            // SAFETY: the scenario uses the number no more but in its call.
            unsafe { libc::close(reader) };
            send(&writer, b"abc");
        });
        let found = vec![found(call, reader)];
        closer.join();
        found
    });
}

/// A read of less than was asked for is made up for where the file is a disk's; this one is not, although its number is one's by then.
#[test]
fn a_read_goes_on_when_its_number_becomes_that_of_a_file_on_a_disk() {
    for_all("replaced", |world, call, (reader, writer)| {
        let reader = reader.into_raw_fd();
        let replacer = world.when_waiting(move || {
            let file = File::open("/proc/self/stat").unwrap();
            // SAFETY: as above; the number is closed below.
            unsafe { libc::dup2(file.as_raw_fd(), reader) };
            send(&writer, b"abc");
        });
        let found = vec![found(call, reader)];
        replacer.join();
        // SAFETY: the file's, by now.
        drop(unsafe { OwnedFd::from_raw_fd(reader) });
        found
    });
}

#[test]
fn a_number_that_is_not_open_is_an_error() {
    for (name, call, _) in READS {
        same(name, |_| {
            // Beyond what a process may have.
            let (result, error, _) = found(*call, 1 << 29);
            (result, error, found(*call, -1).1)
        });
    }
}

#[test]
fn a_call_for_all_puts_the_parts_together() {
    for (kind, ends) in [("tcp", tcp as fn() -> Ends), ("unix", unix)] {
        for (name, call) in [("recv", recv_three as Read), ("recvmsg", recvmsg_three), ("peek", peek_three)] {
            same(&format!("{name} of {kind}"), |world| {
                let (reader, writer) = ends();
                send(&writer, b"a");
                let sender = world.when_waiting(move || send(&writer, b"bcd"));
                let found = found(call, raw(&reader));
                sender.join();
                found
            });
            same(&format!("{name} of {kind}, and the end"), |world| {
                let (reader, writer) = ends();
                send(&writer, b"a");
                let sender = world.when_waiting(move || drop(writer));
                let found = found(call, raw(&reader));
                sender.join();
                found
            });
        }
    }
}

#[test]
fn recvmmsg_takes_as_many_as_come() {
    for flags in [0, libc::MSG_WAITFORONE] {
        same(&format!("flags {flags}"), |world| {
            let (reader, writer) = crate::ends::datagram();
            send(&writer, b"one");
            send(&writer, b"two");
            let late = writer.try_clone().unwrap();
            let sender = (flags == 0).then(|| world.when_waiting(move || send(&late, b"three")));
            let mut buffers = [[0_u8; 8]; 3];
            let mut list = buffers
                .each_mut()
                .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: 8 });
            let mut messages = list
                .each_mut()
                .map(|part| libc::mmsghdr { msg_hdr: header(std::slice::from_mut(part)), msg_len: 0 });
            // SAFETY: three messages, each with a buffer.
            let count = unsafe {
                libc::recvmmsg(raw(&reader), messages.as_mut_ptr(), 3, flags as _, ptr::null_mut())
            };
            let lengths = messages.map(|message| message.msg_len);
            if let Some(sender) = sender {
                sender.join();
            }
            (count, lengths, buffers)
        });
    }
}

#[test]
fn a_file_on_a_disk_is_read_whole() {
    same("file", |_| {
        let path = std::env::temp_dir().join(format!(
            "abaca-transparent-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, vec![7; 300_000]).unwrap();
        let file = File::open(&path).unwrap();
        // SAFETY: no memory is involved. What is not in memory has to be read from the disk.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 4096, 0, libc::POSIX_FADV_DONTNEED) };
        let mut buffer = vec![0; 300_001];
        // SAFETY: the buffer has so many bytes.
        let first =
            outcome(unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) });
        // SAFETY: as above.
        let end = outcome(unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) });
        std::fs::remove_file(&path).unwrap();
        (first, end, buffer)
    });
}

#[test]
fn an_eventfd_is_read_when_it_counts() {
    same("eventfd", |world| {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::eventfd(0, 0) };
        let writer = world.when_waiting(move || {
            let one = 1_u64;
            // SAFETY: the buffer has eight bytes.
            assert_eq!(unsafe { libc::write(fd, (&raw const one).cast(), 8) }, 8);
        });
        let found = found(read, fd);
        writer.join();
        // SAFETY: it is the test's.
        unsafe { libc::close(fd) };
        found
    });
}
