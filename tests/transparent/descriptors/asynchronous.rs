//! Waits for what libc's own threads do: aio(7), and getaddrinfo_a(3).

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::{from_ref, null, null_mut};
use std::time::Duration;

use libc::{aiocb, timespec};

use crate::ends::pipe;
use crate::support::{on_one_worker, outcome, raw, same};

/// `struct gaicb`.
#[repr(C)]
struct Request {
    name: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut libc::addrinfo,
    state: c_int,
    unused: [c_int; 5],
}

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn getaddrinfo_a(mode: c_int, list: *const *mut Request, count: c_int, event: *mut c_void) -> c_int;
    fn gai_suspend(list: *const *const Request, count: c_int, time: *const timespec) -> c_int;
    fn gai_error(request: *mut Request) -> c_int;
    fn aio_read64(request: *mut aiocb) -> c_int;
    fn aio_write64(request: *mut aiocb) -> c_int;
    fn aio_fsync64(operation: c_int, request: *mut aiocb) -> c_int;
}

/// A read of what a pipe has.
fn request(fd: RawFd, buffer: &mut [u8]) -> aiocb {
    // SAFETY: all zeros are a request of nothing.
    let mut request: aiocb = unsafe { std::mem::zeroed() };
    request.aio_fildes = fd;
    request.aio_buf = buffer.as_mut_ptr().cast();
    request.aio_nbytes = buffer.len();
    request.aio_lio_opcode = libc::LIO_READ;
    request
}

#[test]
fn what_has_begun_leaves_errno_as_it_was() {
    type Begin = fn(*mut aiocb) -> c_int;
    let calls: [Begin; 6] = [
        // SAFETY: the request lives until it has ended.
        |request| unsafe { libc::aio_read(request) },
        // SAFETY: the request lives until it has ended.
        |request| unsafe { aio_read64(request) },
        // SAFETY: the request lives until it has ended.
        |request| unsafe { libc::aio_write(request) },
        // SAFETY: the request lives until it has ended.
        |request| unsafe { aio_write64(request) },
        // SAFETY: the request lives until it has ended.
        |request| unsafe { libc::aio_fsync(libc::O_SYNC, request) },
        // SAFETY: the request lives until it has ended.
        |request| unsafe { aio_fsync64(libc::O_SYNC, request) },
    ];
    same("aio_read and its kin", move |_| {
        // SAFETY: nobody else has the number.
        let file =
            unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"asynchronous".as_ptr(), libc::MFD_CLOEXEC)) };
        let mut buffer = [0; 8];
        let mut left = Vec::new();
        // SAFETY: each request, and the buffer, live until it has ended.
        unsafe {
            for call in calls {
                let mut request = request(raw(&file), &mut buffer);
                *libc::__errno_location() = libc::EDOM;
                let begun = call(&mut request);
                left.push((begun, *libc::__errno_location()));
                while libc::aio_error(&request) == libc::EINPROGRESS {
                    std::thread::yield_now();
                }
            }
            let mut request = request(raw(&file), &mut buffer);
            request.aio_reqprio = -1;
            left.push((libc::aio_read(&mut request), *libc::__errno_location()));
        }
        left
    });
}

#[test]
fn a_read_that_libc_makes_is_waited_for() {
    same("aio_suspend", |world| {
        let (reader, writer) = pipe();
        let mut buffer = [0; 8];
        let mut request = request(raw(&reader), &mut buffer);
        // SAFETY: the request, and its buffer, live until it has ended.
        unsafe {
            assert_eq!(libc::aio_read(&mut request), 0);
            let list = [null(), from_ref(&request)];
            let late = timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let timed = outcome(libc::aio_suspend(list.as_ptr(), 2, &late) as isize);
            let helper = world.when_waiting(move || File::from(writer).write_all(b"abc").unwrap());
            let waited = outcome(libc::aio_suspend(list.as_ptr(), 2, null()) as isize);
            helper.join();
            let again = outcome(libc::aio_suspend(list.as_ptr(), 2, null()) as isize);
            (timed, waited, again, libc::aio_error(&request), libc::aio_return(&mut request), buffer)
        }
    });
    same("lio_listio", |world| {
        let [(one, to_one), (two, to_two)] = [(); 2].map(|()| pipe());
        let mut buffers = [[0; 8]; 2];
        let [first, second] = &mut buffers;
        let (mut first, mut second) = (request(raw(&one), first), request(raw(&two), second));
        let mut nothing = request(-1, &mut []);
        nothing.aio_lio_opcode = libc::LIO_NOP;
        let list = [&raw mut first, null_mut(), &raw mut nothing, &raw mut second];
        let helper = world.when_waiting(move || {
            File::from(to_two).write_all(b"two").unwrap();
            File::from(to_one).write_all(b"one").unwrap();
        });
        // SAFETY: the requests, and their buffers, live until all have ended.
        unsafe {
            let waited = outcome(libc::lio_listio(libc::LIO_WAIT, list.as_ptr(), 4, null_mut()) as isize);
            helper.join();
            (waited, libc::aio_return(&mut first), libc::aio_return(&mut second), buffers)
        }
    });
    same("none", |_| {
        // SAFETY: there are no requests.
        outcome(unsafe { libc::lio_listio(libc::LIO_WAIT, null(), 0, null_mut()) } as isize)
    });
    same("one that fails", |_| {
        let mut request = request(-1, &mut []);
        let list = [&raw mut request];
        // SAFETY: as above.
        unsafe {
            let waited = outcome(libc::lio_listio(libc::LIO_WAIT, list.as_ptr(), 1, null_mut()) as isize);
            (waited, libc::aio_error(&request))
        }
    });
}

#[test]
fn a_wait_for_a_read_that_libc_makes_can_be_given_up() {
    for all in [false, true] {
        on_one_worker(|| {
            let (reader, writer) = pipe();
            let mut buffer = [0; 8];
            let mut request = request(raw(&reader), &mut buffer);
            let list = [&raw mut request];
            let mut result = (0, 0);
            let late = abaca::time::timeout(Duration::from_millis(2), || {
                // SAFETY: the request, and its buffer, live until it has ended, below.
                result = outcome(unsafe {
                    if all {
                        libc::lio_listio(libc::LIO_WAIT, list.as_ptr(), 1, null_mut())
                    } else {
                        assert_eq!(libc::aio_read(list[0]), 0);
                        libc::aio_suspend(list.as_ptr().cast(), 1, null())
                    }
                } as isize);
            });
            assert!(late.is_err());
            assert_eq!(result, (-1, libc::ECANCELED));
            File::from(writer).write_all(b"abc").unwrap();
            // SAFETY: as above.
            unsafe {
                assert_eq!(libc::aio_suspend(list.as_ptr().cast(), 1, null()), 0);
                assert_eq!(libc::aio_return(&mut request), 3);
            }
        });
    }
}

#[test]
fn look_ups_that_libc_makes_are_waited_for() {
    /// Of an address in figures: nobody is asked.
    fn begin(name: &CStr, hints: &libc::addrinfo) -> Request {
        let name = name.as_ptr();
        Request { name, service: null(), hints, result: null_mut(), state: 0, unused: [0; 5] }
    }
    fn in_figures() -> libc::addrinfo {
        // SAFETY: all zeros are hints for anything.
        libc::addrinfo { ai_flags: libc::AI_NUMERICHOST, ..unsafe { std::mem::zeroed() } }
    }
    same("getaddrinfo_a", |_| {
        let hints = in_figures();
        let (mut here, mut nowhere) = (begin(c"127.0.0.1", &hints), begin(c"nowhere", &hints));
        let list = [&raw mut here, null_mut(), &raw mut nowhere];
        // SAFETY: the requests live until all have ended.
        unsafe {
            let waited = getaddrinfo_a(0, list.as_ptr(), 3, null_mut());
            let found = (gai_error(&mut here), gai_error(&mut nowhere) != 0, here.result.is_null());
            libc::freeaddrinfo(here.result);
            (waited, found)
        }
    });
    same("gai_suspend", |_| {
        let hints = in_figures();
        let mut here = begin(c"127.0.0.1", &hints);
        let list = [&raw mut here];
        // SAFETY: as above.
        unsafe {
            let begun = getaddrinfo_a(1, list.as_ptr(), 1, null_mut());
            // It has ended already, or does within the wait.
            let waited = gai_suspend(list.as_ptr().cast(), 1, null());
            let again = gai_suspend(list.as_ptr().cast(), 1, null());
            let found = gai_error(&mut here);
            libc::freeaddrinfo(here.result);
            (begun, waited == 0 || waited == again, again, found)
        }
    });
}
