//! What a handler of a signal makes of a call that waits: a program that runs itself twice, with the calls on its main thread and on its
//! main fiber, and compares. A process of its own for each, since a signal is the process's.

#![expect(unsafe_code, reason = "calls C functions, in handlers too")]

use std::ffi::c_int;
use std::fs::File;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::thread::JoinHandleExt;
use std::process::{Command, ExitCode};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use libc::{SA_RESTART, SIGALRM, SIGUSR1, timespec};

fn main() -> ExitCode {
    match std::env::var("ABACA_SIGNALS").as_deref() {
        Ok("threads") => scenarios(),
        Ok("fibers") => {
            abaca_transparent::install().unwrap();
            let builder = abaca::Runtime::builder().workers(1).max_spare_threads(0);
            builder.build().unwrap().run(scenarios);
        }
        Ok("kill threads") => kills(),
        Ok("kill fibers") => {
            abaca_transparent::threads_are_fibers().unwrap();
            kills();
        }
        _ => return compare(),
    }
    ExitCode::SUCCESS
}

fn compare() -> ExitCode {
    let run = |mode: &str| {
        let output = Command::new("timeout")
            .arg("60")
            .arg(std::env::current_exe().unwrap())
            .env("ABACA_SIGNALS", mode)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{mode}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    for (threads, fibers) in [("threads", "fibers"), ("kill threads", "kill fibers")] {
        let (threads, fibers) = (run(threads), run(fibers));
        assert_eq!(fibers.lines().collect::<Vec<_>>(), threads.lines().collect::<Vec<_>>());
        println!("{} outcomes are as on threads", threads.lines().count());
    }
    ExitCode::SUCCESS
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);
/// A descriptor that the handler writes to, if it is not below 0.
static PIPE: AtomicI32 = AtomicI32::new(-1);
/// Whether the handler posts the semaphore.
static POSTS: AtomicBool = AtomicBool::new(false);
/// The thread on which the handler ran last.
static HANDLER: AtomicUsize = AtomicUsize::new(0);

struct Semaphore(std::cell::UnsafeCell<libc::sem_t>);

// SAFETY: semaphores are made for several threads.
unsafe impl Sync for Semaphore {}

fn semaphore() -> *mut libc::sem_t {
    static SEMAPHORE: OnceLock<Semaphore> = OnceLock::new();
    // SAFETY: zeroed and then initialised.
    SEMAPHORE
        .get_or_init(|| unsafe {
            let semaphore = Semaphore(zeroed());
            libc::sem_init(semaphore.0.get(), 0, 0);
            semaphore
        })
        .0
        .get()
}

extern "C" fn handler(_: c_int) {
    // SAFETY: all may be called in a handler.
    unsafe {
        HANDLER.store(libc::pthread_self() as usize, SeqCst);
        if PIPE.load(SeqCst) >= 0 {
            libc::write(PIPE.load(SeqCst), c"a".as_ptr().cast(), 1);
        }
        if POSTS.load(SeqCst) {
            libc::sem_post(semaphore());
        }
    }
    HANDLED.fetch_add(1, SeqCst);
}

fn set_up(signal: c_int, flags: c_int) {
    // SAFETY: all zeros are an action without flags.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        let mut found: libc::sigaction = zeroed();
        assert_eq!(libc::sigaction(signal, &action, null_mut()), 0);
        assert_eq!(libc::sigaction(signal, null(), &mut found), 0);
        assert_eq!((found.sa_sigaction, found.sa_flags & SA_RESTART), (action.sa_sigaction, flags));
    }
}

/// Sends SIGALRM again and again, so that a signal comes while a call waits, however late it begins; or no longer.
fn alarms(are_on: bool) {
    let millis = if are_on { 3000 } else { 0 };
    let time = libc::timeval { tv_sec: 0, tv_usec: millis };
    // SAFETY: a valid time.
    unsafe {
        libc::setitimer(libc::ITIMER_REAL, &libc::itimerval { it_interval: time, it_value: time }, null_mut())
    };
}

fn error() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The result of a call, and the error if there is one.
fn outcome(result: isize) -> String {
    if result < 0 { format!("{result}, {}", error()) } else { result.to_string() }
}

const LONG: timespec = timespec { tv_sec: 100, tv_nsec: 0 };

/// The calls that wait for ever if no handler runs.
fn calls() -> Vec<(&'static str, Box<dyn Fn() -> String>)> {
    let (reader, writer) = std::io::pipe().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let (timed, timed_far) = UnixStream::pair().unwrap();
    timed.set_read_timeout(Some(std::time::Duration::from_secs(100))).unwrap();
    let path = std::env::temp_dir().join(format!("abaca-signals-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let full = UnixStream::pair().unwrap();
    full.0.set_nonblocking(true).unwrap();
    while std::io::Write::write(&mut &full.0, &[0; 4096]).is_ok() {}
    full.0.set_nonblocking(false).unwrap();
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
    // SAFETY, of all: the arguments are valid, and nothing is kept.
    vec![
        (
            "read",
            Box::new(move || outcome(unsafe { libc::read(r, (&mut [0_u8; 8]).as_mut_ptr().cast(), 8) })),
        ),
        (
            "readv",
            Box::new(move || {
                let mut bytes = [0_u8; 8];
                let list = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: 8 };
                outcome(unsafe { libc::readv(r, &list, 1) })
            }),
        ),
        (
            "recv",
            Box::new(move || outcome(unsafe { libc::recv(n, (&mut [0_u8; 8]).as_mut_ptr().cast(), 8, 0) })),
        ),
        (
            "recv with a time",
            Box::new(move || outcome(unsafe { libc::recv(t, (&mut [0_u8; 8]).as_mut_ptr().cast(), 8, 0) })),
        ),
        ("accept", Box::new(move || outcome(unsafe { libc::accept(l, null_mut(), null_mut()) } as isize))),
        ("send", Box::new(move || outcome(unsafe { libc::send(f, [0_u8; 8].as_ptr().cast(), 8, 0) }))),
        ("write", Box::new(move || outcome(unsafe { libc::write(f, [0_u8; 8].as_ptr().cast(), 8) }))),
        (
            "poll",
            Box::new(move || {
                let mut entry = libc::pollfd { fd: r, events: libc::POLLIN, revents: 0 };
                outcome(unsafe { libc::poll(&mut entry, 1, -1) } as isize)
            }),
        ),
        (
            "poll of two",
            Box::new(move || {
                let mut entries = [r, n].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
                outcome(unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) } as isize)
            }),
        ),
        ("poll of none", Box::new(|| outcome(unsafe { libc::poll(null_mut(), 0, -1) } as isize))),
        (
            "select",
            Box::new(move || unsafe {
                let mut asked: libc::fd_set = zeroed();
                libc::FD_SET(r, &mut asked);
                outcome(libc::select(r + 1, &mut asked, null_mut(), null_mut(), null_mut()) as isize)
            }),
        ),
        (
            "epoll_wait",
            Box::new(move || {
                let mut event = libc::epoll_event { events: 0, u64: 0 };
                outcome(unsafe { libc::epoll_wait(set, &mut event, 1, -1) } as isize)
            }),
        ),
        (
            "nanosleep",
            Box::new(|| {
                let mut rest = timespec { tv_sec: 0, tv_nsec: 0 };
                let slept = outcome(unsafe { libc::nanosleep(&LONG, &mut rest) } as isize);
                format!("{slept}, something is left: {}", (1..=100).contains(&rest.tv_sec))
            }),
        ),
        (
            "clock_nanosleep",
            Box::new(|| {
                let mut rest = timespec { tv_sec: 0, tv_nsec: 0 };
                let slept = unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &LONG, &mut rest) };
                format!("{slept}, something is left: {}", (1..=100).contains(&rest.tv_sec))
            }),
        ),
        ("usleep", Box::new(|| outcome(unsafe { libc::usleep(100_000_000) } as isize))),
        (
            "sleep",
            Box::new(|| format!("something is left: {}", (1..=100).contains(&unsafe { libc::sleep(100) }))),
        ),
        ("sem_wait", Box::new(|| outcome(unsafe { libc::sem_wait(semaphore()) } as isize))),
        (
            "sem_timedwait",
            Box::new(|| {
                let mut at = timespec { tv_sec: 0, tv_nsec: 0 };
                unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut at) };
                at.tv_sec += 100;
                outcome(unsafe { libc::sem_timedwait(semaphore(), &at) } as isize)
            }),
        ),
        ("pause", Box::new(|| outcome(unsafe { libc::pause() } as isize))),
        (
            "sigsuspend",
            Box::new(|| unsafe {
                let mut none: libc::sigset_t = zeroed();
                libc::sigemptyset(&mut none);
                outcome(libc::sigsuspend(&none) as isize)
            }),
        ),
        (
            "waitpid",
            Box::new(|| {
                let mut child = Command::new("sleep").arg("100").spawn().unwrap();
                let waited = outcome(unsafe { libc::waitpid(child.id() as i32, null_mut(), 0) } as isize);
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
                unsafe { libc::flock(one.as_raw_fd(), libc::LOCK_EX) };
                outcome(unsafe { libc::flock(other.as_raw_fd(), libc::LOCK_EX) } as isize)
            }),
        ),
    ]
}

/// What no handler ends if it restarts calls.
const RESTARTED: &[&str] =
    &["read", "readv", "recv", "accept", "send", "write", "sem_wait", "sem_timedwait", "waitpid", "flock"];

fn scenarios() {
    set_up(SIGALRM, 0);
    for (name, call) in calls() {
        alarms(true);
        let ended = call();
        alarms(false);
        println!("{name}: {ended}");
    }
    set_up(SIGALRM, SA_RESTART);
    for (name, call) in calls().into_iter().filter(|(name, _)| !RESTARTED.contains(name)) {
        alarms(true);
        let ended = call();
        alarms(false);
        println!("{name}, SA_RESTART: {ended}");
    }
    // The handler ends the wait itself.
    let (reader, writer) = std::io::pipe().unwrap();
    PIPE.store(writer.as_raw_fd(), SeqCst);
    alarms(true);
    let mut byte = 0_u8;
    // SAFETY: one byte.
    let read = unsafe { libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) };
    alarms(false);
    PIPE.store(-1, SeqCst);
    println!("read of what the handler has written, SA_RESTART: {}", outcome(read));
    POSTS.store(true, SeqCst);
    alarms(true);
    // SAFETY: it is initialised.
    let waited = unsafe { libc::sem_wait(semaphore()) };
    alarms(false);
    POSTS.store(false, SeqCst);
    println!("sem_wait of what the handler has posted, SA_RESTART: {}", outcome(waited as isize));
    // A read goes on after several handlers.
    let (reader, writer) = std::io::pipe().unwrap();
    let before = HANDLED.load(SeqCst);
    let helper = std::thread::spawn(move || {
        // SAFETY: a set of this thread's, which no handler is to run on.
        unsafe {
            let mut all = zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, null_mut());
        }
        while HANDLED.load(SeqCst) < before + 3 {
            std::thread::yield_now();
        }
        std::io::Write::write_all(&mut &writer, b"abc").unwrap();
    });
    alarms(true);
    let mut bytes = [0_u8; 8];
    // SAFETY: eight bytes.
    let read = unsafe { libc::read(reader.as_raw_fd(), bytes.as_mut_ptr().cast(), 8) };
    alarms(false);
    helper.join().unwrap();
    println!("read that is restarted: {}", outcome(read));
    // signal(2) says what was there.
    // SAFETY: the handler may run at any time.
    unsafe {
        let (first, second) =
            (libc::signal(SIGUSR1, handler as *const () as usize), libc::signal(SIGUSR1, libc::SIG_IGN));
        println!("signal: {} {}", first == libc::SIG_DFL, second == handler as *const () as usize);
    }
}

/// Threads that others send signals to: the handler runs on the thread, and its call ends or goes on.
fn kills() {
    for flags in [0, SA_RESTART] {
        set_up(SIGUSR1, flags);
        for wait in ["read", "poll", "nanosleep", "sem_wait"] {
            if flags == SA_RESTART && wait == "sem_wait" {
                continue;
            }
            let (reader, writer) = std::io::pipe().unwrap();
            HANDLER.store(0, SeqCst);
            let ready = Arc::new(AtomicBool::new(false));
            let thread = std::thread::spawn({
                let ready = ready.clone();
                move || {
                    let fd = reader.as_raw_fd();
                    ready.store(true, SeqCst);
                    // SAFETY: valid arguments.
                    let ended = unsafe {
                        match wait {
                            "read" => outcome(libc::read(fd, (&mut [0_u8; 8]).as_mut_ptr().cast(), 8)),
                            "poll" => {
                                let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
                                outcome(libc::poll(&mut entry, 1, -1) as isize)
                            }
                            "nanosleep" => outcome(libc::nanosleep(&LONG, null_mut()) as isize),
                            _ => outcome(libc::sem_wait(semaphore()) as isize),
                        }
                    };
                    // SAFETY: it takes nothing.
                    format!(
                        "{ended}, its own handler: {}",
                        HANDLER.load(SeqCst) == unsafe { libc::pthread_self() } as usize
                    )
                }
            });
            while !ready.load(SeqCst) {
                std::thread::yield_now();
            }
            let mut writer = Some(writer);
            while !thread.is_finished() {
                // SAFETY: it is joined later.
                assert_eq!(unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGUSR1) }, 0);
                std::thread::sleep(std::time::Duration::from_millis(1));
                if flags == SA_RESTART && HANDLER.load(SeqCst) != 0 && wait == "read" {
                    drop(writer.take());
                }
            }
            println!("{wait}, flags {flags:#x}: {}", thread.join().unwrap());
        }
    }
}
