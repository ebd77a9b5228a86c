//! Calls that write.

#![expect(unsafe_code, reason = "calls C functions")]

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::LazyLock;

use libc::{MSG_DONTWAIT, MSG_NOSIGNAL, c_int};

use crate::ends::{Ends, KINDS, datagram, pipe, tcp, unix};
use crate::room::fill;
use crate::support::{World, outcome, raw, same};

/// A call that writes all of its bytes.
pub(crate) type Write1 = fn(c_int, &[u8]) -> isize;

/// A call that writes, and whether it is for sockets only.
pub(crate) const WRITES: &[(&str, Write1, bool)] = &[
    ("write", write, false),
    ("writev", writev, false),
    ("__write", write_by_its_old_name, false),
    ("pwritev2", write_to_nowhere, false),
    ("send", send, true),
    ("sendto", sendto, true),
    ("sendmsg", sendmsg, true),
    ("sendmmsg", sendmmsg, true),
];

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __write(fd: c_int, buffer: *const std::ffi::c_void, bytes: usize) -> isize;
    fn pwritev2(fd: c_int, list: *const libc::iovec, count: c_int, offset: i64, flags: c_int) -> isize;
}

fn write_by_its_old_name(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: the buffer has so many bytes, here and below.
    unsafe { __write(fd, bytes.as_ptr().cast(), bytes.len()) }
}

fn write_to_nowhere(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: as above.
    unsafe { pwritev2(fd, parts(bytes).as_ptr(), 3, -1, 0) }
}

fn write(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: the buffer has so many bytes; here and in all that follows.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }
}

fn parts(bytes: &[u8]) -> [libc::iovec; 3] {
    let (one, rest) = bytes.split_at(bytes.len() / 3);
    let (two, three) = rest.split_at(0);
    [one, two, three]
        .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() })
}

fn writev(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::writev(fd, parts(bytes).as_ptr(), 3) }
}

fn send(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), MSG_NOSIGNAL) }
}

fn sendto(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::sendto(fd, bytes.as_ptr().cast(), bytes.len(), MSG_NOSIGNAL, ptr::null(), 0) }
}

fn header(parts: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros are a header without anything.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (parts.as_mut_ptr(), parts.len() as _);
    header
}

fn sendmsg(fd: c_int, bytes: &[u8]) -> isize {
    // SAFETY: as above.
    unsafe { libc::sendmsg(fd, &header(&mut parts(bytes)), MSG_NOSIGNAL) }
}

fn sendmmsg(fd: c_int, bytes: &[u8]) -> isize {
    let mut parts = parts(bytes);
    let mut message = libc::mmsghdr { msg_hdr: header(&mut parts), msg_len: 0 };
    // SAFETY: as above.
    match unsafe { libc::sendmmsg(fd, &mut message, 1, MSG_NOSIGNAL as _) } {
        1 => message.msg_len as isize,
        result => result as isize,
    }
}

fn wrote(call: Write1, fd: c_int, bytes: &[u8]) -> (isize, i32) {
    outcome(call(fd, bytes))
}

/// Bytes that no buffer of a kernel takes at once, each of which has its value from its place.
fn many() -> &'static [u8] {
    static MANY: LazyLock<Vec<u8>> = LazyLock::new(|| (0..2_000_000_u32).map(|n| (n % 251) as u8).collect());
    &MANY
}

fn is_many(bytes: &[u8]) -> bool {
    many().starts_with(bytes)
}

/// Runs a scenario for each call and each stream that suits it.
fn for_all<T: PartialEq + std::fmt::Debug + Send + 'static>(
    what: &str,
    scenario: impl Fn(&World, Write1, Ends) -> T + Send + Sync,
) {
    for (kind, ends, is_socket) in KINDS {
        for (name, call, is_for_sockets) in WRITES {
            if *kind != "datagram" && (*is_socket || !is_for_sockets) {
                same(&format!("{what}: {name} to {kind}"), |world| scenario(world, *call, ends()));
            }
        }
    }
}

#[test]
fn what_there_is_room_for_is_written_at_once() {
    for_all("room", |_, call, (reader, writer)| {
        let wrote = [wrote(call, raw(&writer), b"abc"), wrote(call, raw(&writer), b"")];
        let mut bytes = [0; 8];
        let read = File::from(reader).read(&mut bytes).unwrap();
        (wrote, bytes, read)
    });
}

#[test]
fn a_write_takes_all_and_waits_for_room() {
    for_all("all", |world, call, (reader, writer)| {
        let (send_count, count) = std::sync::mpsc::channel();
        let bytes = many();
        let taker = world.when_waiting(move || {
            let mut all = Vec::new();
            File::from(reader).read_to_end(&mut all).unwrap();
            send_count.send((all.len(), is_many(&all))).unwrap();
        });
        let wrote = wrote(call, raw(&writer), bytes);
        drop(writer);
        taker.join();
        (wrote, count.recv().unwrap())
    });
}

#[test]
fn a_write_of_which_the_reader_takes_a_part_is_that_part_and_then_an_error() {
    for (kind, ends) in [("unix", unix as fn() -> Ends), ("pipe", pipe)] {
        for (name, call, is_for_sockets) in WRITES {
            if kind != "pipe" || !is_for_sockets {
                same(&format!("part: {name} to {kind}"), |world| {
                    let (reader, writer) = ends();
                    let bytes = many();
                    let closer = world.when_waiting(move || drop(reader));
                    let (first, error) = wrote(*call, raw(&writer), bytes);
                    closer.join();
                    ((first > 0, error), wrote(*call, raw(&writer), bytes))
                });
            }
        }
    }
}

fn nonblocking(fd: &OwnedFd) {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(raw(fd), libc::F_SETFL, libc::O_NONBLOCK) };
}

#[test]
fn a_user_that_wants_errors_gets_them() {
    for_all("non-blocking", |_, call, (_reader, writer)| {
        nonblocking(&writer);
        let part = wrote(call, raw(&writer), many());
        fill(&writer);
        nonblocking(&writer);
        (part.0 > 0, part.1, wrote(call, raw(&writer), b"abc"))
    });
    same("MSG_DONTWAIT", |_| {
        let (_reader, writer) = unix();
        let bytes = many();
        // SAFETY: the buffer has so many bytes.
        let call =
            || outcome(unsafe { libc::send(raw(&writer), bytes.as_ptr().cast(), bytes.len(), MSG_DONTWAIT) });
        let first = call();
        while call().0 > 0 {}
        (first.0 > 0, call())
    });
}

#[test]
fn the_time_of_a_socket_ends_a_write() {
    for (kind, ends) in [("tcp", tcp as fn() -> Ends), ("unix", unix), ("datagram", datagram)] {
        for (name, call, _) in WRITES {
            same(&format!("limit: {name} to {kind}"), |_| {
                let (_reader, writer) = ends();
                fill(&writer);
                let value = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
                // SAFETY: the kernel reads a `timeval`.
                unsafe {
                    libc::setsockopt(
                        raw(&writer),
                        libc::SOL_SOCKET,
                        libc::SO_SNDTIMEO,
                        (&raw const value).cast(),
                        size_of_val(&value) as _,
                    )
                };
                wrote(*call, raw(&writer), &[1; 4096])
            });
        }
    }
}

#[test]
fn a_datagram_waits_for_room_at_its_address() {
    same("unix datagram by address", |world| {
        let folder = std::env::temp_dir().join(format!(
            "abaca-dgram-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("to");
        let to = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let from = std::os::unix::net::UnixDatagram::unbound().unwrap();
        from.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while from.send_to(b"abc", &path).is_ok() {
            sent += 1;
        }
        from.set_nonblocking(false).unwrap();
        let taker = world.when_waiting(move || {
            let mut bytes = [0; 8];
            for _ in 0..=sent {
                assert_eq!(to.recv(&mut bytes).unwrap(), 3);
            }
        });
        let last = from.send_to(b"abc", &path).unwrap();
        taker.join();
        std::fs::remove_dir_all(&folder).unwrap();
        last
    });
}

#[test]
fn a_write_goes_on_when_its_descriptor_is_closed_under_it() {
    for_all("closed", |world, call, (reader, writer)| {
        let (send_count, count) = std::sync::mpsc::channel();
        let writer = writer.into_raw_fd();
        let bytes = many();
        let closer = world.when_waiting(move || {
            // SAFETY: the scenario uses the number no more but in its call.
            unsafe { libc::close(writer) };
            let mut all = Vec::new();
            File::from(reader).read_to_end(&mut all).unwrap();
            send_count.send((all.len(), is_many(&all))).unwrap();
        });
        let wrote = wrote(call, writer, bytes);
        closer.join();
        (wrote, count.recv().unwrap())
    });
}

#[test]
fn files_are_written_and_copied() {
    same("files", |_| {
        let folder = std::env::temp_dir().join(format!(
            "abaca-files-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::create_dir_all(&folder).unwrap();
        let (one, two) = (folder.join("one"), folder.join("two"));
        let mut file = File::create(&one).unwrap();
        let wrote = wrote(writev, file.as_raw_fd(), &many()[..1_000_000]);
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        let copied = std::fs::copy(&one, &two).unwrap();
        let end = file.stream_position().unwrap();
        let right = is_many(&std::fs::read(&two).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
        (wrote, copied, end, right)
    });
}

#[test]
fn a_copy_in_the_kernel_waits_for_room_and_for_bytes() {
    for (kind, ends) in [("tcp", tcp as fn() -> Ends), ("unix", unix), ("pipe", pipe)] {
        same(&format!("sendfile to {kind}"), |world| {
            let path = std::env::temp_dir().join(format!(
                "abaca-sendfile-{}-{:?}",
                std::process::id(),
                std::thread::current().id()
            ));
            let bytes = many();
            std::fs::write(&path, bytes).unwrap();
            let file = File::open(&path).unwrap();
            let (reader, writer) = ends();
            let (send_count, count) = std::sync::mpsc::channel();
            let taker = world.when_waiting(move || {
                let mut all = Vec::new();
                File::from(reader).read_to_end(&mut all).unwrap();
                send_count.send((all.len(), is_many(&all))).unwrap();
            });
            let mut offset: libc::off_t = 0;
            // SAFETY: the kernel writes the offset.
            let sent =
                outcome(unsafe { libc::sendfile(raw(&writer), file.as_raw_fd(), &mut offset, bytes.len()) });
            // SAFETY: no memory is involved.
            let mode = unsafe { libc::fcntl(raw(&writer), libc::F_GETFL) } & libc::O_NONBLOCK;
            drop(writer);
            taker.join();
            std::fs::remove_file(&path).unwrap();
            (sent, offset, mode, count.recv().unwrap())
        });
    }
    for (kind, ends) in [("tcp", tcp as fn() -> Ends), ("unix", unix)] {
        same(&format!("splice from {kind}"), |world| {
            let ((reader, writer), (out, into)) = (ends(), pipe());
            let sender = world.when_waiting(move || {
                File::from(writer).write_all(b"abc").unwrap();
            });
            let null = ptr::null_mut();
            // SAFETY: no offsets.
            let moved = outcome(unsafe { libc::splice(raw(&reader), null, raw(&into), null, 100, 0) });
            sender.join();
            let mut bytes = [0; 8];
            let read = File::from(out).read(&mut bytes).unwrap();
            // SAFETY: as above.
            let end = outcome(unsafe { libc::splice(raw(&reader), null, raw(&into), null, 100, 0) });
            (moved, read, bytes, end)
        });
    }
}
