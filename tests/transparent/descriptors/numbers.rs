//! Numbers that become another file's, also behind the runtime's back.

#![expect(unsafe_code, reason = "calls C functions, and makes raw system calls")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use libc::c_int;

use crate::ends::{Ends, pipe, tcp};
use crate::reads::{self, Found, for_all, found, send};
use crate::support::{World, on_one_worker, raw, same};

/// Parks a fiber on `reader`, and wakes it, so that its number is watched.
fn watch(reader: &OwnedFd, writer: &OwnedFd) {
    let (reader, mut writer) = (reader.as_raw_fd(), File::from(writer.try_clone().unwrap()));
    let fiber = abaca::spawn(move || {
        let mut byte = 0_u8;
        // SAFETY: one byte.
        unsafe { libc::read(reader, (&raw mut byte).cast(), 1) }
    });
    (0..20).for_each(|_| abaca::yield_now());
    writer.write_all(b"a").unwrap();
    assert_eq!(fiber.join().unwrap(), 1);
}

/// close(2), unseen by any hook.
fn close_unseen(fd: OwnedFd) -> c_int {
    let number = fd.into_raw_fd();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the descriptor is the caller's.
    unsafe {
        let mut result = libc::SYS_close as isize;
        std::arch::asm!("syscall", inlateout("rax") result, in("rdi") number, lateout("rcx") _, lateout("r11") _);
        assert_eq!(result, 0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: as above.
    unsafe {
        libc::close(number)
    };
    number
}

/// Waits for a byte of the other end of a pair whose reader has the number `number`.
fn wakes_up(reader: OwnedFd, writer: OwnedFd, number: c_int) {
    assert_eq!(raw(&reader), number, "the number is used again");
    let read = Arc::new(AtomicUsize::new(0));
    let fiber = abaca::spawn({
        let read = read.clone();
        move || read.store(File::from(reader).read(&mut [0; 8]).unwrap(), SeqCst)
    });
    (0..20).for_each(|_| abaca::yield_now());
    assert_eq!(read.load(SeqCst), 0);
    File::from(writer).write_all(b"abc").unwrap();
    fiber.join().unwrap();
    assert_eq!(read.load(SeqCst), 3);
}

/// The pair with the end `number`, by dup2 to a number of the test's own, which no other test uses.
fn at(number: c_int, (reader, writer): (OwnedFd, OwnedFd)) -> (OwnedFd, OwnedFd) {
    // SAFETY: the number is the test's.
    unsafe {
        assert_eq!(libc::dup2(raw(&reader), number), number);
        (OwnedFd::from_raw_fd(number), writer)
    }
}

/// As `at`, unseen by any hook: the number is given by fcntl's system call.
#[cfg(target_arch = "x86_64")]
fn at_unseen(number: c_int, (reader, writer): (OwnedFd, OwnedFd)) -> (OwnedFd, OwnedFd) {
    let mut result = libc::SYS_dup2 as isize;
    // SAFETY: the number is the test's.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") result, in("rdi") raw(&reader), in("rsi") number, lateout("rcx") _, lateout("r11") _);
        assert_eq!(result, number as isize);
        (OwnedFd::from_raw_fd(number), writer)
    }
}

#[test]
fn a_number_that_is_closed_and_used_again_wakes_up() {
    on_one_worker(|| {
        for kind in [pipe, tcp] {
            let (reader, writer) = at(900, kind());
            watch(&reader, &writer);
            drop((reader, writer));
            let (reader, writer) = at(900, kind());
            wakes_up(reader, writer, 900);
        }
    });
}

#[test]
fn a_number_that_is_closed_behind_the_runtime_s_back_wakes_up() {
    on_one_worker(|| {
        for kind in [pipe, tcp] {
            // A creator forgets what was known of its number.
            let (reader, writer) = at(901, kind());
            watch(&reader, &writer);
            close_unseen(reader);
            let (reader, writer) = at(901, kind());
            wakes_up(reader, writer, 901);
        }
    });
}

/// A read whose number is closed meanwhile by this system call, for one number or a range.
fn closed<const CALL: i64>(world: &World, call: reads::Read, (reader, writer): Ends) -> Vec<Found> {
    let reader = reader.into_raw_fd();
    let closer = world.when_waiting(move || {
        // SAFETY: the scenario uses the number no more but in its call.
        assert_eq!(unsafe { libc::syscall(CALL, reader, reader, 0) }, 0);
        send(&writer, b"abc");
    });
    let found = vec![found(call, reader)];
    closer.join();
    found
}

#[test]
fn a_read_goes_on_when_syscall_closes_its_number() {
    for_all("closed by syscall", closed::<{ libc::SYS_close }>);
    for_all("closed as a range", closed::<{ libc::SYS_close_range }>);
}

/// Nobody has seen anything: a wait that lasts looks what its number is by now.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_number_that_becomes_another_file_s_behind_the_runtime_s_back_wakes_up() {
    on_one_worker(|| {
        for (number, kind) in [(902, pipe as fn() -> _), (903, tcp)] {
            let (reader, writer) = at(number, kind());
            watch(&reader, &writer);
            close_unseen(reader);
            let (reader, writer) = at_unseen(number, kind());
            wakes_up(reader, writer, number);
        }
    });
}

#[test]
fn dup2_onto_a_number_that_is_waited_for_leaves_the_wait_its_file() {
    same("dup2", |world| {
        let number = if world.is_fiber() { 904 } else { 905 };
        let (reader, writer) = at(number, pipe());
        let (other, other_writer) = pipe();
        File::from(other_writer).write_all(b"other").unwrap();
        let helper = world.when_waiting(move || {
            // SAFETY: the number is the test's.
            assert_eq!(unsafe { libc::dup2(raw(&other), number) }, number);
            File::from(writer).write_all(b"abc").unwrap();
        });
        let mut first = [0; 8];
        let found = File::from(reader.try_clone().unwrap());
        drop(found);
        // SAFETY: the buffer has eight bytes.
        let read = unsafe { libc::read(number, first.as_mut_ptr().cast(), 8) };
        helper.join();
        let mut second = [0; 8];
        let again = File::from(reader).read(&mut second).unwrap();
        (read, first, again, second)
    });
}

#[test]
fn a_received_descriptor_is_a_new_file() {
    same("SCM_RIGHTS", |world| {
        let (one, two) = crate::ends::unix();
        let (reader, writer) = pipe();
        let helper = world.when_waiting(move || {
            send_right(raw(&two), raw(&reader));
            File::from(writer).write_all(b"abc").unwrap();
            drop((two, reader));
        });
        let received = receive_right(raw(&one));
        let mut bytes = [0; 8];
        let read = File::from(received).read(&mut bytes).unwrap();
        helper.join();
        (read, bytes)
    });
}

/// The room for a message with one number.
#[repr(align(8))]
struct Control([u8; 64]);

pub(crate) fn send_right(to: c_int, fd: c_int) {
    let (mut byte, mut control) = (b'x', Control([0; 64]));
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: a header with one byte, and one number.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&mut part, 1);
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(4) as _;
        let first = libc::CMSG_FIRSTHDR(&header);
        ((*first).cmsg_level, (*first).cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        (*first).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(first).cast::<c_int>().write_unaligned(fd);
        assert_eq!(libc::sendmsg(to, &header, 0), 1);
    }
}

pub(crate) fn receive_right(from: c_int) -> OwnedFd {
    let (mut byte, mut control) = (0_u8, Control([0; 64]));
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: a header with room for one byte, and one number.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_iov, header.msg_iovlen) = (&mut part, 1);
        (header.msg_control, header.msg_controllen) = (control.0.as_mut_ptr().cast(), 64);
        assert_eq!(libc::recvmsg(from, &mut header, 0), 1);
        let first = libc::CMSG_FIRSTHDR(&header);
        OwnedFd::from_raw_fd(libc::CMSG_DATA(first).cast::<c_int>().read_unaligned())
    }
}
