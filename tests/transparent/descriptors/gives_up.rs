//! Calls that a thread of the pool makes: a fiber that is cancelled, or whose time is up, or whose runtime ends, gives them up. Nothing is lost,
//! and nothing is left.

#![expect(unsafe_code, reason = "calls C functions")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::{self, File};
use std::mem::zeroed;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::time::timeout;
use libc::{ECANCELED, F_OFD_SETLK, F_OFD_SETLKW, F_SETLKW};

use crate::room::fill;
use crate::support::{beside_others, on_one_worker, outcome, with_children};

/// A path that nobody else uses.
fn path(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, SeqCst);
    std::env::temp_dir().join(format!("abaca-gives-up-{name}-{}-{number}", std::process::id()))
}

/// Whether a thread of this process is in this system call.
fn is_in(call: libc::c_long) -> bool {
    let call = format!("{call} ");
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("syscall")).is_ok_and(|text| text.starts_with(&call))
    })
}

/// Waits until a thread of the pool waits in this call, and lets other fibers run meanwhile. It may be one of another test.
fn until_in(call: libc::c_long) {
    while !is_in(call) {
        abaca::sleep(Duration::from_millis(1));
    }
}

/// Makes the call on a fiber that is cancelled at once, and on one that is cancelled when a thread of the pool waits in the system call: both end
/// in an error. In between, a deadline ends it.
fn gives_up(name: &str, waits_in: libc::c_long, call: impl Fn() -> (isize, c_int) + Send + Sync + 'static) {
    let call = Arc::new(call);
    on_one_worker(|| {
        for waits in [false, true] {
            let of_fiber = call.clone();
            let has_begun = Arc::new(AtomicBool::new(false));
            let begins = has_begun.clone();
            let fiber = abaca::spawn(move || {
                begins.store(true, SeqCst);
                (of_fiber(), of_fiber())
            });
            while !has_begun.load(SeqCst) {
                abaca::yield_now();
            }
            if waits {
                until_in(waits_in);
            }
            fiber.cancel();
            let (first, second) = fiber.join().unwrap_or_else(|_| panic!("{name} does not unwind"));
            assert_eq!((first, second), ((-1, ECANCELED), (-1, ECANCELED)), "{name}");
            let of_fiber = call.clone();
            assert!(timeout(Duration::from_millis(5), move || of_fiber()).is_err(), "{name}");
        }
    });
}

fn lock(file: &File, command: c_int, kind: c_int) -> (isize, c_int) {
    // SAFETY: all zeros are a lock from the beginning to the end.
    let mut wanted: libc::flock = unsafe { zeroed() };
    wanted.l_type = kind as i16;
    // SAFETY: a lock that can be read.
    outcome(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const wanted) } as isize)
}

#[test]
fn a_lock_that_is_given_up_is_nobody_s() {
    type Wait = fn(&File) -> (isize, c_int);
    let ways: [(&str, Wait); 3] = [
        ("fcntl", |file| lock(file, F_SETLKW, libc::F_WRLCK)),
        ("fcntl of an open file", |file| lock(file, F_OFD_SETLKW, libc::F_WRLCK)),
        // SAFETY: no memory is involved.
        ("lockf", |file| outcome(unsafe { libc::lockf(file.as_raw_fd(), libc::F_LOCK, 0) } as isize)),
    ];
    for (name, wait) in ways {
        let path = path("lock");
        let open =
            || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (file, holder, third) = (open(), open(), open());
        fs::remove_file(&path).unwrap();
        assert_eq!(lock(&holder, F_OFD_SETLK, libc::F_WRLCK), (0, 0));
        let waiter = file.try_clone().unwrap();
        gives_up(name, libc::SYS_fcntl, move || wait(&waiter));
        assert_eq!(lock(&holder, F_OFD_SETLK, libc::F_UNLCK), (0, 0));
        // Nobody has it, and nobody waits for it.
        for _ in 0..2 {
            assert_eq!(lock(&third, F_OFD_SETLK, libc::F_WRLCK), (0, 0), "{name}");
            assert_eq!(lock(&third, F_OFD_SETLK, libc::F_UNLCK), (0, 0));
        }
        // Who does not give up gets it, and has it.
        assert_eq!(lock(&holder, F_OFD_SETLK, libc::F_WRLCK), (0, 0));
        // A process that closes a file gives up its locks.
        let _waiter = on_one_worker(|| {
            let waiter = file.try_clone().unwrap();
            let fiber = abaca::spawn(move || (wait(&waiter), waiter));
            until_in(libc::SYS_fcntl);
            assert_eq!(lock(&holder, F_OFD_SETLK, libc::F_UNLCK), (0, 0));
            let (waited, waiter) = fiber.join().unwrap();
            assert_eq!(waited, (0, 0), "{name}");
            waiter
        });
        assert_eq!(lock(&third, F_OFD_SETLK, libc::F_WRLCK).0, -1, "{name}");
    }
}

#[test]
fn a_fifo_whose_opening_is_given_up_has_no_reader() {
    beside_others(|| {
        let path = path("fifo");
        let name = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: a path.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let of_calls = name.clone();
        // SAFETY: a path; what is opened is told, and the test fails.
        let open = move || outcome(unsafe { libc::open(of_calls.as_ptr(), libc::O_RDONLY) } as isize);
        gives_up("open", libc::SYS_openat, open);
        // SAFETY: a path.
        let writer =
            outcome(unsafe { libc::open(name.as_ptr(), libc::O_WRONLY | libc::O_NONBLOCK) } as isize);
        assert_eq!(writer, (-1, libc::ENXIO));
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_wait_for_a_signal_is_given_up() {
    let set = || {
        // SAFETY: all zeros are an empty set.
        let mut set: libc::sigset_t = unsafe { zeroed() };
        // SAFETY: as above. Nobody sends it.
        unsafe { libc::sigaddset(&mut set, libc::SIGUSR2) };
        set
    };
    gives_up("sigwaitinfo", libc::SYS_rt_sigtimedwait, move || {
        // SAFETY: valid arguments.
        outcome(unsafe { libc::sigwaitinfo(&set(), null_mut()) } as isize)
    });
    gives_up("sigwait", libc::SYS_rt_sigtimedwait, move || {
        // SAFETY: as above.
        match unsafe { libc::sigwait(&set(), &mut 0) } {
            0 => (0, 0),
            error => (-1, error),
        }
    });
    let long = libc::timespec { tv_sec: 1000, tv_nsec: 0 };
    gives_up("sigtimedwait", libc::SYS_rt_sigtimedwait, move || {
        // SAFETY: as above.
        outcome(unsafe { libc::sigtimedwait(&set(), null_mut(), &long) } as isize)
    });
}

#[test]
fn a_socket_that_lingers_is_closed_whoever_gives_up() {
    let socket = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let there = listener.accept().unwrap().0;
        fill(&stream);
        let linger = libc::linger { l_onoff: 1, l_linger: 1000 };
        let bytes = size_of_val(&linger) as u32;
        let fd = stream.into_raw_fd();
        // SAFETY: the option's value.
        let result = unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), bytes)
        };
        assert_eq!(result, 0);
        (fd, there)
    };
    for waits in [false, true] {
        on_one_worker(|| {
            let (fd, mut there) = socket();
            let has_begun = Arc::new(AtomicBool::new(false));
            let begins = has_begun.clone();
            let fiber = abaca::spawn(move || {
                begins.store(true, SeqCst);
                // SAFETY: the number is the fiber's to close.
                outcome(unsafe { libc::close(fd) } as isize)
            });
            while !has_begun.load(SeqCst) {
                abaca::yield_now();
            }
            if waits {
                until_in(libc::SYS_close);
            }
            fiber.cancel();
            assert_eq!(fiber.join().unwrap(), (0, 0));
            // What was written comes, and then the end: nobody else has the socket.
            let mut bytes = vec![0; 65536];
            while std::io::Read::read(&mut there, &mut bytes).unwrap() > 0 {}
        });
    }
}

fn is_there(process: &str) -> bool {
    PathBuf::from("/proc").join(process).exists()
}

/// What a command has written of itself.
fn written(path: &PathBuf) -> String {
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => abaca::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn a_command_ends_with_the_fiber_that_waits_for_it() {
    /// What the process does with SIGINT.
    fn on_interrupt() -> usize {
        // SAFETY: an action to be written.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            libc::sigaction(libc::SIGINT, null(), &mut action);
            action.sa_sigaction
        }
    }
    with_children(|| {
        on_one_worker(|| {
            let before = on_interrupt();
            for by_deadline in [false, true] {
                let path = path("command");
                let command = CString::new(format!("echo $$ > {}; exec sleep 1000", path.display())).unwrap();
                // SAFETY: a command.
                let run = move || outcome(unsafe { libc::system(command.as_ptr()) } as isize);
                let fiber = abaca::spawn(move || {
                    if by_deadline {
                        timeout(Duration::from_millis(100), run).err().map(|_| (-1, ECANCELED))
                    } else {
                        Some(run())
                    }
                });
                if !by_deadline {
                    let process = written(&path);
                    assert!(is_there(&process));
                    fiber.cancel();
                }
                assert_eq!(fiber.join().unwrap(), Some((-1, ECANCELED)));
                // It was killed and waited for.
                if path.exists() && !by_deadline {
                    assert!(!is_there(&written(&path)));
                }
                let _ = fs::remove_file(path);
            }
            assert_eq!(on_interrupt(), before, "as before");
        });
    });
}

#[test]
fn a_pipe_to_a_command_is_closed_whoever_gives_up() {
    with_children(|| {
        on_one_worker(|| {
            let path = path("pipe");
            let name = CString::new(path.to_str().unwrap()).unwrap();
            // SAFETY: a path.
            assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
            let told = path.with_extension("told");
            let command =
                CString::new(format!("echo $$ > {}; cat {}", told.display(), path.display())).unwrap();
            let fiber = abaca::spawn(move || {
                // SAFETY: a command, and a file that is closed here.
                unsafe {
                    let file = libc::popen(command.as_ptr(), c"r".as_ptr());
                    outcome(libc::pclose(file) as isize)
                }
            });
            let process = written(&told);
            fiber.cancel();
            assert_eq!(fiber.join().unwrap(), (-1, ECANCELED));
            // The command goes on to its end, and is waited for.
            assert!(is_there(&process));
            drop(File::options().write(true).open(&path).unwrap());
            while is_there(&process) {
                abaca::sleep(Duration::from_millis(1));
            }
            fs::remove_file(path).unwrap();
            fs::remove_file(told).unwrap();
        });
    });
}

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn gethostbyname(name: *const c_char) -> *mut libc::hostent;
    fn gethostbyname_r(
        name: *const c_char,
        entry: *mut libc::hostent,
        buffer: *mut c_char,
        bytes: usize,
        result: *mut *mut libc::hostent,
        error: *mut c_int,
    ) -> c_int;
    fn initgroups(user: *const c_char, number: libc::gid_t) -> c_int;
    fn __h_errno_location() -> *mut c_int;
}

/// Calls of a fiber that is cancelled already.
#[test]
fn a_cancelled_fiber_asks_for_no_names_and_waits_for_no_disk() {
    on_one_worker(|| {
        let fiber = abaca::spawn(|| {
            abaca::current().cancel();
            let mut answers = Vec::new();
            let of_pointer = |pointer: *const c_void| outcome(if pointer.is_null() { -1 } else { 0 });
            let root = c"root".as_ptr();
            // SAFETY: names, buffers of the test's of these sizes, and files of the test's.
            unsafe {
                answers.push(("getpwnam", of_pointer(libc::getpwnam(root).cast())));
                answers.push(("getpwuid", of_pointer(libc::getpwuid(0).cast())));
                answers.push(("getgrnam", of_pointer(libc::getgrnam(root).cast())));
                answers.push(("getgrgid", of_pointer(libc::getgrgid(0).cast())));
                answers.push(("gethostbyname", of_pointer(gethostbyname(c"localhost".as_ptr()).cast())));
                assert_eq!(*__h_errno_location(), -1);
                answers.push(("initgroups", outcome(initgroups(root, 0) as isize)));
                let (mut entry, mut buffer, mut found) = (zeroed(), [0; 1024], null_mut());
                let error = libc::getpwuid_r(0, &mut entry, buffer.as_mut_ptr(), 1024, &mut found);
                answers.push(("getpwuid_r", (if found.is_null() { -1 } else { 0 }, error)));
                let (mut entry, mut found, mut error) = (zeroed(), null_mut(), 0);
                let name = c"localhost".as_ptr();
                let result =
                    gethostbyname_r(name, &mut entry, buffer.as_mut_ptr(), 1024, &mut found, &mut error);
                assert_eq!((error, found.is_null()), (-1, true));
                answers.push(("gethostbyname_r", (-1, result)));
                let mut address: libc::sockaddr_in = zeroed();
                address.sin_family = libc::AF_INET as u16;
                let bytes = size_of_val(&address) as u32;
                let host = buffer.as_mut_ptr();
                let result =
                    libc::getnameinfo((&raw const address).cast(), bytes, host, 1024, null_mut(), 0, 0);
                assert_eq!(result, libc::EAI_SYSTEM);
                answers.push(("getnameinfo", outcome(-1)));
                let file = File::open("/proc/self/exe").unwrap();
                let fd = file.as_raw_fd();
                answers.push(("fsync", outcome(libc::fsync(fd) as isize)));
                answers.push(("fdatasync", outcome(libc::fdatasync(fd) as isize)));
                answers.push(("syncfs", outcome(libc::syncfs(fd) as isize)));
                answers.push((
                    "copy_file_range",
                    outcome(libc::copy_file_range(fd, null_mut(), fd, null_mut(), 1, 0)),
                ));
            }
            answers
        });
        for (name, answer) in fiber.join().unwrap() {
            assert_eq!(answer, (-1, ECANCELED), "{name}");
        }
    });
}

#[test]
fn a_runtime_ends_although_its_fibers_wait_for_locks() {
    let path = path("end");
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    let (file, holder) = (open(), open());
    fs::remove_file(&path).unwrap();
    assert_eq!(lock(&holder, F_OFD_SETLK, libc::F_WRLCK), (0, 0));
    let [has_begun, has_ended] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    on_one_worker(|| {
        let (begins, has_ended) = (has_begun.clone(), has_ended.clone());
        abaca::spawn(move || {
            begins.store(true, SeqCst);
            assert_eq!(lock(&file, F_SETLKW, libc::F_WRLCK), (-1, ECANCELED));
            has_ended.store(true, SeqCst);
        });
        // One that has not begun is not run any more.
        while !has_begun.load(SeqCst) {
            abaca::yield_now();
        }
        until_in(libc::SYS_fcntl);
    });
    assert!(has_ended.load(SeqCst));
}
