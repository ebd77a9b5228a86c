//! O_NONBLOCK counts, whoever has set it and however, also on a socket of which the hooks know that its user has waited so far.

#![expect(unsafe_code, reason = "calls C functions, and makes raw system calls")]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::time::Duration;

use libc::{F_SETFL, FIONBIO, O_NONBLOCK, O_RDWR, c_int};

use crate::ends::{pipe, tcp, unix};
use crate::support::{World, is_waiting, outcome, raw, same, with_children};

/// Waits for some bytes one after the other, until an answer would be kept.
fn wait_often(world: &World, reader: &OwnedFd, writer: &OwnedFd) {
    for _ in 0..3 {
        let mut other = File::from(writer.try_clone().unwrap());
        let helper = world.when_waiting(move || other.write_all(b"a").unwrap());
        assert_eq!(read(raw(reader)), (1, 0));
        helper.join();
    }
}

fn read(fd: c_int) -> (isize, i32) {
    let mut byte = 0_u8;
    // SAFETY: one byte.
    outcome(unsafe { libc::read(fd, (&raw mut byte).cast(), 1) })
}

/// The read after the writer has gone. A copy of this process, which another test has made, may have the writer a moment longer.
fn last_read(fd: c_int) -> (isize, i32) {
    loop {
        match read(fd) {
            (-1, libc::EAGAIN) => std::thread::yield_now(),
            found => return found,
        }
    }
}

/// A system call with three arguments that no function of libc's makes.
fn unseen(number: i64, a: c_int, b: usize, c: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it only changes the mode of a file.
    unsafe {
        let mut result = number as isize;
        std::arch::asm!("syscall", inlateout("rax") result, in("rdi") a, in("rsi") b, in("rdx") c, lateout("rcx") _, lateout("r11") _);
        assert_eq!(result, 0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: as above.
    unsafe {
        libc::syscall(number, a, b, c);
    }
}

/// Puts the file of another number, which is closed afterwards, into non-blocking mode.
fn by_other(fd: c_int) {
    // SAFETY: the caller has made it.
    let other = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: only the file's mode changes.
    assert_eq!(unsafe { libc::fcntl(raw(&other), F_SETFL, O_NONBLOCK) }, 0);
}

/// A way to put a file into non-blocking mode.
type Way = (&'static str, fn(c_int));

const FLAGS: usize = (O_RDWR | O_NONBLOCK) as usize;

// SAFETY: for all, the only caller passes a descriptor that it owns, and only its mode changes; duplicates are
// new numbers, and the closures' to close; pointers are to values that outlive the call.
const WAYS: &[Way] = unsafe {
    &[
        ("fcntl", |fd| assert_eq!(libc::fcntl(fd, F_SETFL, O_NONBLOCK), 0)),
        ("ioctl", |fd| {
            let one: c_int = 1;
            assert_eq!(libc::ioctl(fd, FIONBIO, &raw const one), 0);
        }),
        ("syscall of fcntl", |fd| {
            assert_eq!(libc::syscall(libc::SYS_fcntl, fd, F_SETFL, FLAGS), 0);
        }),
        ("syscall of ioctl", |fd| {
            let one: c_int = 1;
            assert_eq!(libc::syscall(libc::SYS_ioctl, fd, FIONBIO, &raw const one), 0);
        }),
        ("fcntl of a duplicate", |fd| by_other(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0))),
        ("fcntl of a duplicate that exec leaves open", |fd| by_other(libc::fcntl(fd, libc::F_DUPFD, 0))),
        ("dup", |fd| by_other(libc::dup(fd))),
        ("dup2", |fd| by_other(libc::dup2(fd, libc::dup(0)))),
        ("dup3", |fd| by_other(libc::dup3(fd, libc::dup(0), libc::O_CLOEXEC))),
        ("syscall of dup", |fd| by_other(libc::syscall(libc::SYS_dup, fd) as c_int)),
        ("a duplicate of a duplicate", |fd| {
            let one = OwnedFd::from_raw_fd(libc::dup(fd));
            by_other(libc::dup(raw(&one)));
        }),
        ("SCM_RIGHTS", |fd| {
            let (to, from) = unix();
            crate::numbers::send_right(raw(&from), fd);
            let other = crate::numbers::receive_right(raw(&to));
            assert_eq!(libc::fcntl(raw(&other), F_SETFL, O_NONBLOCK), 0);
        }),
        ("a system call of its own", |fd| unseen(libc::SYS_fcntl, fd, F_SETFL as usize, FLAGS)),
        ("another process", |fd| {
            // The copy of a process with threads makes system calls only.
            let child = libc::fork();
            if child == 0 {
                let is_set = libc::fcntl(fd, F_SETFL, O_NONBLOCK);
                libc::_exit(is_set);
            }
            let mut status = -1;
            assert_eq!((libc::waitpid(child, &mut status, 0), status), (child, 0));
        }),
        // std makes it by posix_spawn.
        ("another program", |fd| {
            let other = OwnedFd::from_raw_fd(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0));
            let mut program = std::process::Command::new("dd");
            program.args(["iflag=nonblock", "count=0", "status=none"]).stdin(other);
            assert!(program.status().unwrap().success());
        }),
    ]
};

#[test]
fn a_user_that_wants_errors_from_now_on_gets_them() {
    with_children(|| {
        for (way, set) in WAYS {
            for (kind, ends) in [("tcp", tcp as fn() -> _), ("unix", unix), ("pipe", pipe)] {
                same(&format!("{way}, {kind}"), move |world| {
                    let (reader, writer) = ends();
                    wait_often(world, &reader, &writer);
                    set(raw(&reader));
                    let results = [read(raw(&reader)), read(raw(&reader))];
                    drop(writer);
                    (results, last_read(raw(&reader)))
                });
            }
        }
    });
}

/// All ways at once, but for the one that nobody sees: a wait has begun on each of as many files, then all modes are changed. The hooks ask
/// again what a user wants, and then something comes. Each read waits for that, and only the next one is an error.
#[test]
fn a_wait_that_has_begun_goes_on_when_its_user_changes_the_mode() {
    let ways = || WAYS.iter().filter(|(way, _)| *way != "a system call of its own");
    with_children(|| {
        same("modes that are changed under reads", |world| {
            let is_fiber = world.is_fiber();
            let all: Vec<_> = ways()
                .map(|(way, set)| {
                    let (reader, writer) = tcp();
                    wait_often(world, &reader, &writer);
                    let reader = Arc::new(reader);
                    let reads = Arc::new(AtomicI32::new(0));
                    let read = {
                        let (reader, reads) = (reader.clone(), reads.clone());
                        move || {
                            // SAFETY: it takes nothing.
                            reads.store(unsafe { libc::gettid() }, SeqCst);
                            let first = read(raw(&reader));
                            format!("{way}: {first:?}, then {:?}", read(raw(&reader)))
                        }
                    };
                    (Begun::new(is_fiber, read), reader, writer, set, reads)
                })
                .collect();
            for (.., reads) in &all {
                while reads.load(SeqCst) == 0 || !is_fiber && !is_waiting(reads.load(SeqCst)) {
                    std::thread::yield_now();
                }
            }
            all.iter().for_each(|(_, reader, _, set, _)| set(raw(reader)));
            let rounds = abaca::hook::descriptors::rounds_of_renewal();
            while is_fiber && abaca::hook::descriptors::rounds_of_renewal() < rounds + 2 {
                abaca::sleep(Duration::from_millis(10));
            }
            let ends = all.into_iter().map(|(begun, _reader, writer, ..)| {
                File::from(writer.try_clone().unwrap()).write_all(b"a").unwrap();
                begun.join()
            });
            ends.collect::<Vec<_>>()
        });
    });
}

/// A call that waits on another thread or fiber.
enum Begun {
    Thread(std::thread::JoinHandle<String>),
    Fiber(abaca::JoinHandle<String>),
}

impl Begun {
    fn new(is_fiber: bool, call: impl FnOnce() -> String + Send + 'static) -> Self {
        if is_fiber { Self::Fiber(abaca::spawn(call)) } else { Self::Thread(std::thread::spawn(call)) }
    }

    fn join(self) -> String {
        match self {
            Self::Thread(thread) => thread.join().unwrap(),
            Self::Fiber(fiber) => fiber.join().unwrap(),
        }
    }
}

#[test]
fn a_received_descriptor_s_mode_is_its_sender_s_as_well() {
    same("SCM_RIGHTS", |world| {
        let (reader, writer) = tcp();
        let (to, from) = unix();
        wait_often(world, &reader, &writer);
        crate::numbers::send_right(raw(&from), raw(&reader));
        let received = crate::numbers::receive_right(raw(&to));
        wait_often(world, &received, &writer);
        unseen(libc::SYS_fcntl, raw(&reader), F_SETFL as usize, FLAGS);
        (read(raw(&received)), read(raw(&reader)))
    });
}

/// sendfile(2) to a socket changes the socket's mode for the time of a system call: nobody who reads from it is to see that.
#[test]
fn a_copy_to_a_socket_does_not_disturb_who_reads_from_it() {
    abaca_transparent::install().unwrap();
    abaca::Runtime::builder().workers(2).build().unwrap().run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut there, here) =
            (TcpStream::connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0);
        let is_over = Arc::new(AtomicBool::new(false));
        let copier = abaca::spawn({
            let (to, is_over) = (here.try_clone().unwrap(), is_over.clone());
            move || {
                let file = File::open("/proc/self/exe").unwrap();
                while !is_over.load(SeqCst) {
                    // SAFETY: descriptors of the test's.
                    let sent = unsafe { libc::sendfile(to.as_raw_fd(), file.as_raw_fd(), &mut 0, 100) };
                    assert_eq!(sent, 100);
                }
            }
        });
        let reader = abaca::spawn(move || {
            for _ in 0..300 {
                let mut byte = [0];
                match (&here).read(&mut byte) {
                    Ok(count) => assert_eq!(count, 1),
                    Err(error) => {
                        assert_ne!(error.kind(), ErrorKind::WouldBlock, "the mode is not the user's")
                    }
                }
            }
        });
        let mut bytes = vec![0; 4096];
        while !reader.is_finished() {
            assert!(there.read(&mut bytes).unwrap() > 0);
            there.write_all(b"a").unwrap();
        }
        is_over.store(true, SeqCst);
        reader.join().unwrap();
        // It may wait for room.
        let drain = abaca::spawn(move || while there.read(&mut bytes).is_ok_and(|count| count > 0) {});
        copier.join().unwrap();
        drain.join().unwrap();
    });
}
