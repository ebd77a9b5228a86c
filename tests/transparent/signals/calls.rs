//! The calls that wait for ever if no handler runs.

#![expect(unsafe_code, reason = "calls C functions")]

use std::fs::File;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::ptr::{null, null_mut};

use libc::timespec;

use crate::room::fill;
use crate::{LONG, alarms, outcome, semaphore};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn sigpause(mask: i32) -> i32;
    fn __xpg_sigpause(signal: i32) -> i32;
}

/// A read that libc has begun, and that never ends.
fn began_read(fd: i32) -> *const libc::aiocb {
    // SAFETY: all zeros are a request of nothing.
    let request: &'static mut libc::aiocb = Box::leak(Box::new(unsafe { zeroed() }));
    request.aio_fildes = fd;
    request.aio_buf = Box::leak(Box::new([0_u8; 8])).as_mut_ptr().cast();
    request.aio_nbytes = 8;
    // SAFETY: the request, and its buffer, stay.
    assert_eq!(unsafe { libc::aio_read(request) }, 0);
    request
}

/// The outcome of a function of libc.
macro_rules! tell {
    ($call:expr) => {{
        // SAFETY: what is passed is valid during the call, and nothing keeps it.
        let result = unsafe { $call };
        outcome(result as isize)
    }};
}

pub(super) type Calls = Vec<(&'static str, Box<dyn Fn() -> String>)>;

pub(super) use tell;

/// The calls that wait for ever if no handler runs.
pub(super) fn calls() -> Calls {
    let (reader, writer) = std::io::pipe().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let (timed, timed_far) = UnixStream::pair().unwrap();
    timed.set_read_timeout(Some(std::time::Duration::from_secs(100))).unwrap();
    let path = std::env::temp_dir().join(format!("abaca-signals-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let full = UnixStream::pair().unwrap();
    fill(&full.0);
    let [r, n, t, l, f] =
        [reader.as_raw_fd(), near.as_raw_fd(), timed.as_raw_fd(), listener.as_raw_fd(), full.0.as_raw_fd()];
    // SAFETY: an epoll instance of the test's, with one descriptor.
    let set = unsafe {
        let set = libc::epoll_create1(0);
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, r, &mut event);
        set
    };
    // They stay open to the end.
    std::mem::forget((reader, writer, near, far, timed, timed_far, listener, full));
    vec![
        ("read", Box::new(move || tell!(libc::read(r, [0_u8; 8].as_mut_ptr().cast(), 8)))),
        (
            "readv",
            Box::new(move || {
                let mut bytes = [0_u8; 8];
                let list = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: 8 };
                tell!(libc::readv(r, &list, 1))
            }),
        ),
        ("recv", Box::new(move || tell!(libc::recv(n, [0_u8; 8].as_mut_ptr().cast(), 8, 0)))),
        ("recv with a time", Box::new(move || tell!(libc::recv(t, [0_u8; 8].as_mut_ptr().cast(), 8, 0)))),
        ("accept", Box::new(move || tell!(libc::accept(l, null_mut(), null_mut())))),
        ("send", Box::new(move || tell!(libc::send(f, [0_u8; 8].as_ptr().cast(), 8, 0)))),
        ("write", Box::new(move || tell!(libc::write(f, [0_u8; 8].as_ptr().cast(), 8)))),
        (
            "poll",
            Box::new(move || {
                let mut entry = libc::pollfd { fd: r, events: libc::POLLIN, revents: 0 };
                tell!(libc::poll(&mut entry, 1, -1))
            }),
        ),
        (
            "poll of two",
            Box::new(move || {
                let mut entries = [r, n].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
                tell!(libc::poll(entries.as_mut_ptr(), 2, -1))
            }),
        ),
        ("poll of none", Box::new(|| tell!(libc::poll(null_mut(), 0, -1)))),
        (
            "select",
            Box::new(move || {
                // SAFETY: all zeros are an empty set; the number is that of an open file.
                let mut asked: libc::fd_set = unsafe { zeroed() };
                // SAFETY: as above.
                unsafe { libc::FD_SET(r, &mut asked) };
                tell!(libc::select(r + 1, &mut asked, null_mut(), null_mut(), null_mut()))
            }),
        ),
        (
            "epoll_wait",
            Box::new(move || {
                let mut event = libc::epoll_event { events: 0, u64: 0 };
                tell!(libc::epoll_wait(set, &mut event, 1, -1))
            }),
        ),
        (
            "ppoll with a mask",
            Box::new(move || {
                let mut entry = libc::pollfd { fd: r, events: libc::POLLIN, revents: 0 };
                tell!(libc::ppoll(&mut entry, 1, std::ptr::null(), &zeroed()))
            }),
        ),
        (
            "epoll_pwait with a mask",
            Box::new(move || {
                let mut event = libc::epoll_event { events: 0, u64: 0 };
                tell!(libc::epoll_pwait(set, &mut event, 1, -1, &zeroed()))
            }),
        ),
        (
            "nanosleep",
            Box::new(|| {
                let mut rest = timespec { tv_sec: 0, tv_nsec: 0 };
                let slept = tell!(libc::nanosleep(&LONG, &mut rest));
                format!("{slept}, something is left: {}", (1..=100).contains(&rest.tv_sec))
            }),
        ),
        (
            "clock_nanosleep",
            Box::new(|| {
                let mut rest = timespec { tv_sec: 0, tv_nsec: 0 };
                // SAFETY: two times.
                let slept = unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &LONG, &mut rest) };
                format!("{slept}, something is left: {}", (1..=100).contains(&rest.tv_sec))
            }),
        ),
        ("usleep", Box::new(|| tell!(libc::usleep(100_000_000)))),
        (
            "sleep",
            Box::new(|| {
                // SAFETY: it takes a number.
                let left = unsafe { libc::sleep(100) };
                format!("something is left: {}", (1..=100).contains(&left))
            }),
        ),
        ("sem_wait", Box::new(|| tell!(libc::sem_wait(semaphore())))),
        (
            "sem_timedwait",
            Box::new(|| {
                let mut at = timespec { tv_sec: 0, tv_nsec: 0 };
                // SAFETY: a time to be written.
                unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut at) };
                at.tv_sec += 100;
                tell!(libc::sem_timedwait(semaphore(), &at))
            }),
        ),
        ("pause", Box::new(|| tell!(libc::pause()))),
        (
            "sigsuspend",
            Box::new(|| {
                // SAFETY: a set is plain data, which the next call fills.
                let mut none: libc::sigset_t = unsafe { zeroed() };
                // SAFETY: as above.
                unsafe { libc::sigemptyset(&mut none) };
                tell!(libc::sigsuspend(&none))
            }),
        ),
        ("sigpause", Box::new(|| tell!(sigpause(0)))),
        ("__xpg_sigpause", Box::new(|| tell!(__xpg_sigpause(libc::SIGWINCH)))),
        ("aio_suspend", Box::new(move || tell!(libc::aio_suspend(&began_read(r), 1, null())))),
        ("aio_suspend with a time", Box::new(move || tell!(libc::aio_suspend(&began_read(r), 1, &LONG)))),
        (
            "waitpid",
            Box::new(|| {
                let mut child = Command::new("sleep").arg("100").spawn().unwrap();
                let waited = tell!(libc::waitpid(child.id() as i32, null_mut(), 0));
                child.kill().unwrap();
                alarms(false);
                child.wait().unwrap();
                waited
            }),
        ),
        (
            "flock",
            Box::new(|| {
                let path = "/proc/self/exe";
                let (one, other) = (File::open(path).unwrap(), File::open(path).unwrap());
                // SAFETY: no memory is involved.
                unsafe { libc::flock(one.as_raw_fd(), libc::LOCK_EX) };
                tell!(libc::flock(other.as_raw_fd(), libc::LOCK_EX))
            }),
        ),
    ]
}
