//! What a cancellation, a deadline and a shutdown make of a call: the error ECANCELED. Nothing unwinds through C.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::c_int;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::AssertUnwindSafe;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::time::timeout;
use libc::ECANCELED;

use crate::ends::{KINDS, pipe, tcp};
use crate::reads::READS;
use crate::room::fill;
use crate::support::{on_one_worker, outcome, raw};
use crate::writes::WRITES;

/// Runs `call` on a fiber that is cancelled when it waits. The call must end in ECANCELED, and so must the next, while what need not wait
/// goes on.
fn is_cancelled(name: &str, call: impl Fn() -> isize + Send + 'static) {
    ends_in(ECANCELED, name, call);
}

/// The same of a call that ends in this error.
pub(crate) fn ends_in(error: c_int, name: &str, call: impl Fn() -> isize + Send + 'static) {
    on_one_worker(|| {
        let fiber = abaca::spawn(move || {
            let first = outcome(call());
            let second = outcome(call());
            // This need not wait.
            let (reader, writer) = pipe();
            File::from(writer).write_all(b"abc").unwrap();
            let mut bytes = [0; 8];
            (first, second, File::from(reader).read(&mut bytes).unwrap())
        });
        (0..20).for_each(|_| abaca::yield_now());
        assert!(!fiber.is_finished(), "{name} waits");
        fiber.cancel();
        let (first, second, read) = fiber.join().unwrap_or_else(|_| panic!("{name} does not unwind"));
        assert_eq!((first, second, read), ((-1, error), (-1, error), 3), "{name}");
    });
}

#[test]
fn a_cancelled_read_is_an_error() {
    for (kind, ends, is_socket) in KINDS {
        for (name, call, is_for_sockets) in READS {
            if *is_socket || !is_for_sockets {
                let (reader, writer) = ends();
                is_cancelled(&format!("{name} of {kind}"), move || call(raw(&reader), &mut [0; 8]));
                drop(writer);
            }
        }
    }
}

#[test]
fn a_cancelled_write_is_an_error_or_the_part() {
    for (kind, ends, is_socket) in KINDS {
        for (name, call, is_for_sockets) in WRITES {
            if *is_socket || !is_for_sockets {
                let (reader, writer) = ends();
                fill(&writer);
                is_cancelled(&format!("{name} to {kind}"), move || call(raw(&writer), &[0; 4096]));
                drop(reader);
            }
        }
    }
    on_one_worker(|| {
        let (reader, writer) = tcp();
        let has_begun = Arc::new(AtomicBool::new(false));
        let begins = has_begun.clone();
        let fiber = abaca::spawn(move || {
            let bytes = vec![0; 4_000_000];
            begins.store(true, SeqCst);
            outcome(WRITES[0].1(raw(&writer), &bytes))
        });
        while !has_begun.load(SeqCst) {
            abaca::yield_now();
        }
        (0..20).for_each(|_| abaca::yield_now());
        fiber.cancel();
        let (part, error) = fiber.join().unwrap();
        assert!(0 < part && part < 4_000_000 && error == 0, "{part}");
        drop(reader);
    });
}

#[test]
fn cancelled_looks_accepts_connects_and_sleeps_are_errors() {
    let (reader, _writer) = pipe();
    let fd = raw(&reader);
    is_cancelled("poll", move || {
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry.
        (unsafe { libc::poll(&mut entry, 1, -1) }) as isize
    });
    is_cancelled("poll of two", move || {
        let mut entries = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }; 2];
        // SAFETY: two entries.
        (unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) }) as isize
    });
    is_cancelled("select", move || {
        // SAFETY: a set of the call's own.
        unsafe {
            let mut set: libc::fd_set = std::mem::zeroed();
            libc::FD_SET(fd, &mut set);
            libc::select(fd + 1, &mut set, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) as isize
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = listener.as_raw_fd();
    // SAFETY: no address is asked for.
    is_cancelled("accept", move || (unsafe { libc::accept(fd, ptr::null_mut(), ptr::null_mut()) }) as isize);
}

#[test]
fn a_deadline_ends_a_call_of_std_in_time() {
    on_one_worker(|| {
        let (reader, _writer) = tcp();
        let mut stream = TcpStream::from(reader);
        let mut bytes = [0; 8];
        let brief = Duration::from_millis(10);
        // What the code makes of the error does not count, be it a panic.
        assert!(timeout(brief, || stream.read(&mut bytes)).is_err());
        let panics = AssertUnwindSafe(|| stream.read(&mut bytes).unwrap());
        assert!(timeout(brief, panics).is_err());
        // It is over then: what comes is read.
        assert!(timeout(Duration::from_secs(60), || 7).is_ok());
        let _ = timeout(brief, || {
            let error = stream.read(&mut bytes).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(ECANCELED));
        });
        // The inner one is not what ends it.
        let outer =
            timeout(brief, || timeout(Duration::from_secs(3600), || stream.read(&mut bytes)).map(drop));
        assert!(outer.is_err());
    });
}

#[test]
fn a_token_ends_a_call_of_std() {
    on_one_worker(|| {
        let token = CancellationToken::new();
        let (reader, _writer) = tcp();
        let fiber = abaca::spawn({
            let token = token.clone();
            move || token.run_until_cancelled(|| TcpStream::from(reader).read(&mut [0; 8])).is_none()
        });
        (0..20).for_each(|_| abaca::yield_now());
        token.cancel();
        assert!(fiber.join().unwrap());
    });
}

#[test]
fn a_shield_keeps_a_call_from_being_ended() {
    on_one_worker(|| {
        let (reader, writer) = pipe();
        let fiber = abaca::spawn(move || {
            abaca::current().cancel();
            let shielded = abaca::cancel::shield(|| File::from(reader).read(&mut [0; 8]).unwrap());
            let (reader, _writer) = pipe();
            (shielded, File::from(reader).read(&mut [0; 8]).unwrap_err().raw_os_error())
        });
        (0..20).for_each(|_| abaca::yield_now());
        File::from(writer).write_all(b"abc").unwrap();
        assert_eq!(fiber.join().unwrap(), (3, Some(ECANCELED)));
    });
}

#[test]
fn the_end_of_a_runtime_ends_fibers_that_wait_in_calls_of_c() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    on_one_worker(|| {
        for _ in 0..10 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let count = Count(dropped.clone());
            abaca::spawn(move || {
                let _count = count;
                listener.incoming().map_while(Result::ok).for_each(drop);
            });
            let (reader, writer) = tcp();
            let count = Count(dropped.clone());
            abaca::spawn(move || {
                let _count = count;
                let mut all = Vec::new();
                let error = TcpStream::from(reader).read_to_end(&mut all).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(ECANCELED));
                drop(writer);
            });
        }
        (0..20).for_each(|_| abaca::yield_now());
        assert_eq!(dropped.load(SeqCst), 0);
    });
    assert_eq!(dropped.load(SeqCst), 20);
}

#[test]
fn a_loop_that_does_not_end_at_an_error_leaves_the_worker_to_others() {
    on_one_worker(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stop = Arc::new(AtomicUsize::new(0));
        let fiber = abaca::spawn({
            let stop = stop.clone();
            move || {
                let mut errors = 0;
                while stop.load(SeqCst) == 0 {
                    errors += usize::from(listener.accept().is_err());
                }
                errors
            }
        });
        (0..20).for_each(|_| abaca::yield_now());
        fiber.cancel();
        // The neighbour, who sleeps, runs again.
        (0..20).for_each(|_| abaca::sleep(Duration::from_millis(1)));
        stop.store(1, SeqCst);
        assert!(fiber.join().unwrap() > 0);
    });
}

#[abaca::main(transparent, workers = 1)]
fn by_the_attribute() -> (bool, usize) {
    let (reader, writer) = pipe();
    let fiber = abaca::spawn(move || File::from(reader).read(&mut [0; 8]).unwrap());
    (0..20).for_each(|_| abaca::yield_now());
    File::from(writer).write_all(b"abc").unwrap();
    (abaca::hook::on_fiber(), fiber.join().unwrap())
}

#[test]
fn the_attribute_makes_a_main_function_transparent() {
    assert_eq!(by_the_attribute(), (true, 3));
}
