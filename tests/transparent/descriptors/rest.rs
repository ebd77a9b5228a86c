//! Functions that wait for something that is no event of a descriptor, or for nothing: on a fiber they answer as on a thread.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{c_char, c_int, c_void};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::{null, null_mut};

use libc::{O_CLOEXEC, O_CREAT, O_RDWR};

use crate::ends::{pipe, unix};
use crate::support::{outcome, raw, same, with_children};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __open_2(path: *const c_char, flags: c_int) -> c_int;
    fn __open64_2(path: *const c_char, flags: c_int) -> c_int;
    fn lockf64(fd: c_int, command: c_int, bytes: i64) -> c_int;
    fn fcntl64(fd: c_int, command: c_int, ...) -> c_int;
    fn closefrom(first: c_int);
    fn eventfd_read(fd: c_int, value: *mut u64) -> c_int;
    fn eventfd_write(fd: c_int, value: u64) -> c_int;
    fn epoll_create(size: c_int) -> c_int;
    fn wait3(status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> libc::pid_t;
    fn __pread_chk(fd: c_int, buffer: *mut c_void, bytes: usize, offset: i64, room: usize) -> isize;
    fn __pread64(fd: c_int, buffer: *mut c_void, bytes: usize, offset: i64) -> isize;
    fn __pwrite64(fd: c_int, buffer: *const c_void, bytes: usize, offset: i64) -> isize;
    fn creat64(path: *const c_char, mode: libc::mode_t) -> c_int;
    fn __openat_2(folder: c_int, path: *const c_char, flags: c_int) -> c_int;
    fn tcsendbreak(fd: c_int, duration: c_int) -> c_int;
}

/// A call that does not wait, and what it returns of what does not change from run to run.
type Call = (&'static str, fn() -> String);

fn text(result: c_int) -> String {
    format!("{:?}", outcome(result as isize))
}

/// A number that a call has made: closed, and whether it was one.
fn made(fd: c_int) -> String {
    if fd < 0 {
        return text(fd);
    }
    // SAFETY: it is the test's.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    "a descriptor".into()
}

fn memory() -> File {
    // SAFETY: a name.
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"rest".as_ptr(), libc::MFD_CLOEXEC)) };
    file.write_all(b"0123456789").unwrap();
    file
}

// SAFETY: for all, C strings; values and buffers that live as long as the call and are as large as it is told;
// descriptors that are only borrowed, or are the call's to close; a library, files and a shell that are there.
const CALLS: &[Call] = unsafe {
    &[
        ("fsync", || text(libc::fsync(memory().as_raw_fd()))),
        ("fsync of none", || text(libc::fsync(-1))),
        ("fdatasync", || text(libc::fdatasync(memory().as_raw_fd()))),
        ("syncfs", || text(libc::syncfs(memory().as_raw_fd()))),
        ("copy_file_range", || {
            let (from, to) = (memory(), memory());
            let mut at = 2;
            let moved = libc::copy_file_range(from.as_raw_fd(), &mut at, to.as_raw_fd(), null_mut(), 5, 0);
            format!("{:?} {at}", outcome(moved))
        }),
        ("open", || made(libc::open(c"/dev/null".as_ptr(), O_RDWR | O_CLOEXEC))),
        ("open of none", || made(libc::open(c"/none".as_ptr(), O_RDWR | O_CLOEXEC))),
        ("open64", || made(libc::open64(c"/dev/null".as_ptr(), O_RDWR | O_CREAT, 0o600))),
        ("openat", || made(libc::openat(libc::AT_FDCWD, c"/dev/null".as_ptr(), O_RDWR))),
        ("openat64", || made(libc::openat64(libc::AT_FDCWD, c"/dev/null".as_ptr(), O_RDWR))),
        ("__open_2", || made(__open_2(c"/dev/null".as_ptr(), O_RDWR))),
        ("__open64_2", || made(__open64_2(c"/dev/null".as_ptr(), O_RDWR))),
        ("lockf64", || text(lockf64(memory().as_raw_fd(), libc::F_LOCK, 0))),
        ("fcntl", || made(libc::fcntl(memory().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0))),
        ("fcntl64", || made(fcntl64(memory().as_raw_fd(), libc::F_DUPFD, 0))),
        ("ioctl", || {
            let (reader, _writer) = pipe();
            let mut bytes: c_int = 7;
            let result = libc::ioctl(raw(&reader), libc::FIONREAD, &raw mut bytes);
            format!("{} {bytes}", text(result))
        }),
        ("sendfile64", || {
            let (_reader, writer) = unix();
            text(libc::sendfile64(raw(&writer), memory().as_raw_fd(), &mut 3, 4) as c_int)
        }),
        ("tee and vmsplice", || {
            let ((from, into), (_to, out)) = (pipe(), pipe());
            let list = libc::iovec { iov_base: c"abc".as_ptr().cast_mut().cast(), iov_len: 3 };
            let moved = libc::vmsplice(raw(&into), &list, 1, 0);
            let copied = libc::tee(raw(&from), raw(&out), 10, 0);
            format!("{:?} {:?}", outcome(moved), outcome(copied))
        }),
        ("dup", || made(libc::dup(memory().as_raw_fd()))),
        ("dup of none", || made(libc::dup(-1))),
        ("dup2", || text(libc::dup2(-1, memory().as_raw_fd()))),
        ("dup3", || {
            let (one, two) = (memory(), memory());
            let number = two.as_raw_fd();
            (libc::dup3(one.as_raw_fd(), number, O_CLOEXEC) == number).to_string()
        }),
        ("close", || text(libc::close(memory().into_raw_fd()))),
        ("close of none", || text(libc::close(-1))),
        ("close_range", || text(libc::close_range(1_000_000, 1_000_001, 0))),
        ("closefrom", || {
            closefrom(1_000_000);
            String::new()
        }),
        ("socketpair", || {
            let mut pair = [-1; 2];
            let result = libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr());
            format!("{} {} {}", text(result), made(pair[0]), made(pair[1]))
        }),
        ("pipe", || {
            let mut pair = [-1; 2];
            let result = libc::pipe(pair.as_mut_ptr());
            format!("{} {} {}", text(result), made(pair[0]), made(pair[1]))
        }),
        ("pipe2", || text(libc::pipe2([0; 2].as_mut_ptr(), -1))),
        ("socket", || made(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0))),
        ("eventfd", || made(libc::eventfd(0, libc::EFD_CLOEXEC))),
        ("timerfd_create", || made(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0))),
        ("signalfd", || {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            made(libc::signalfd(-1, &set, 0))
        }),
        ("inotify_init1", || made(libc::inotify_init1(0))),
        ("epoll_create", || made(epoll_create(1))),
        ("epoll_create1", || made(libc::epoll_create1(0))),
        ("memfd_create", || made(memory().into_raw_fd())),
        ("posix_openpt", || made(libc::posix_openpt(O_RDWR | libc::O_NOCTTY))),
        ("setsockopt", || {
            let (socket, _) = unix();
            let bytes: c_int = 8192;
            let value = (&raw const bytes).cast();
            text(libc::setsockopt(raw(&socket), libc::SOL_SOCKET, libc::SO_RCVBUF, value, 4))
        }),
        ("dlopen and dlclose", || {
            let library = libc::dlopen(c"libm.so.6".as_ptr(), libc::RTLD_NOW);
            format!("{} {}", library.is_null(), libc::dlclose(library))
        }),
        ("pread and pwrite", || {
            let file = memory();
            let (fd, mut bytes) = (file.as_raw_fd(), [0_u8; 6]);
            let at = bytes.as_mut_ptr().cast::<c_void>();
            let list = libc::iovec { iov_base: at, iov_len: 3 };
            let moved = [
                libc::pread(fd, at, 3, 8),
                libc::pread64(fd, at, 6, 2),
                __pread64(fd, at, 6, 100),
                __pread_chk(fd, at, 2, 1, 6),
                libc::preadv(fd, &list, 1, 4),
                libc::preadv64(fd, &list, 1, -1),
                libc::pwrite(fd, at, 6, 7),
                libc::pwrite64(fd, at, 0, 7),
                __pwrite64(fd, at, 6, -1),
                libc::pwritev(fd, &list, 1, 9),
                libc::pwritev64(fd, &list, 1, 20),
                libc::pread(-1, at, 1, 0),
            ]
            .map(outcome);
            let (reader, _writer) = pipe();
            let mut all = [0_u8; 32];
            let count = libc::pread(fd, all.as_mut_ptr().cast(), 32, 0);
            let (of_pipe, read) = (outcome(libc::pread(raw(&reader), at, 1, 0)), bytes);
            format!("{moved:?} {of_pipe:?} {read:?} {count} {all:?}")
        }),
        ("lists that are nowhere", || {
            let ((reader, writer), (one, _two), file) = (pipe(), unix(), memory());
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iovlen = 2;
            let failed = [
                libc::readv(raw(&reader), null(), 2),
                libc::writev(raw(&writer), null(), 2),
                libc::preadv(file.as_raw_fd(), null(), 1, 0),
                libc::pwritev(file.as_raw_fd(), null(), 1, 0),
                libc::writev(file.as_raw_fd(), null(), 2),
                libc::sendmsg(raw(&one), null(), 0),
                libc::sendmsg(raw(&one), &message, 0),
                libc::recvmsg(raw(&one), null_mut(), 0),
                libc::sendmmsg(raw(&one), null_mut(), 2, 0) as isize,
                libc::recvmmsg(raw(&one), null_mut(), 2, 0, null_mut()) as isize,
            ]
            .map(outcome);
            format!("{failed:?} {:?}", outcome(libc::writev(raw(&writer), null(), 0)))
        }),
        ("sync_file_range and msync", || {
            let file = memory();
            let page = libc::mmap(null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0);
            let synced =
                [libc::MS_SYNC, libc::MS_ASYNC, 77].map(|flags| text(libc::msync(page, 4096, flags)));
            libc::munmap(page, 4096);
            libc::sync();
            format!(
                "{synced:?} {} {}",
                text(libc::sync_file_range(file.as_raw_fd(), 0, 9, 2)),
                text(libc::sync_file_range(-1, 0, 9, 2))
            )
        }),
        ("creat", || {
            format!(
                "{} {}",
                made(libc::creat(c"/dev/null".as_ptr(), 0o600)),
                made(creat64(c"/none/x".as_ptr(), 0))
            )
        }),
        ("__openat_2", || made(__openat_2(libc::AT_FDCWD, c"/dev/null".as_ptr(), O_RDWR))),
        ("tcdrain and its kin", || {
            let fd = libc::posix_openpt(O_RDWR | libc::O_NOCTTY);
            let mut settings = std::mem::zeroed();
            libc::tcgetattr(fd, &mut settings);
            let set = [libc::TCSANOW, libc::TCSADRAIN, libc::TCSAFLUSH, 9]
                .map(|when| text(libc::tcsetattr(fd, when, &settings)));
            let drained = [text(libc::tcdrain(fd)), text(libc::tcdrain(-1)), text(tcsendbreak(fd, 0))];
            format!("{set:?} {drained:?} {}", made(fd))
        }),
        ("syslog", || {
            // A level that nobody wants, and one of a debugger.
            let before = libc::setlogmask(1);
            libc::syslog(libc::LOG_DEBUG, c"%d".as_ptr(), 7);
            libc::setlogmask(before);
            libc::openlog(c"abaca".as_ptr(), 0, libc::LOG_USER);
            libc::syslog(libc::LOG_DEBUG, c"%s %d %m".as_ptr(), c"x".as_ptr(), 7);
            libc::closelog();
            String::new()
        }),
        ("sched_yield", || text(libc::sched_yield())),
        ("system", || text(libc::system(c"exit 3".as_ptr()))),
        ("popen and pclose", || {
            let file = libc::popen(c"exit 4".as_ptr(), c"r".as_ptr());
            text(libc::pclose(file))
        }),
        ("wait4", || text(libc::wait4(-2, null_mut(), 0, null_mut()))),
        ("waitid", || text(libc::waitid(libc::P_PID, 1, null_mut(), libc::WEXITED))),
        ("wait3", || (wait3(null_mut(), libc::WNOHANG, null_mut()) <= 0).to_string()),
    ]
};

#[test]
fn what_need_not_wait_answers_as_libcs() {
    with_children(|| {
        for (name, call) in CALLS {
            same(name, move |_| call());
        }
    });
}

#[test]
fn an_eventfd_s_own_functions_wait() {
    same("eventfd", |world| {
        // SAFETY: a descriptor of the test's, and numbers.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
            let helper = world.when_waiting(move || assert_eq!(eventfd_write(fd, 3), 0));
            let mut value = 0;
            let first = (eventfd_read(fd, &mut value), value);
            helper.join();
            libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
            let second = outcome(eventfd_read(fd, &mut value) as isize);
            let third = outcome(eventfd_write(fd, u64::MAX) as isize);
            libc::close(fd);
            (first, second, third)
        }
    });
}
