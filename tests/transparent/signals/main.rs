//! What a handler of a signal makes of a call that waits: a program that runs itself twice, with the calls on its main thread and on its
//! main fiber, and compares. A process of its own for each, since a signal is the process's.

#![expect(unsafe_code, reason = "calls C functions, in handlers too")]

mod calls;
mod contexts;
mod faults;
mod kills;
mod masks;
mod old;
mod overflow;
mod plain;
mod pool;
mod queued;
#[path = "../descriptors/room.rs"]
mod room;
mod signal_fds;

use std::ffi::c_int;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};

use libc::{SA_RESTART, SIGALRM, SIGUSR1, timespec};

use calls::calls;

fn main() -> ExitCode {
    match std::env::var("ABACA_SIGNALS").as_deref() {
        Ok("threads") => scenarios(),
        Ok("fibers") => {
            abaca_transparent::install().unwrap();
            let builder = abaca::Runtime::builder().workers(1).max_spare_threads(0);
            builder.build().unwrap().run(scenarios);
        }
        Ok("copy on a thread") => in_copy(interrupted),
        Ok("copy on a fiber") => {
            abaca_transparent::install().unwrap();
            in_copy(|| abaca::Runtime::builder().workers(1).build().unwrap().run(interrupted));
        }
        Ok("masks on a thread") => {
            masks::of_process();
            old::of_process();
            queued::of_process();
            signal_fds::of_process();
            kills::of_main();
        }
        Ok("masks on a fiber") => {
            abaca_transparent::install().unwrap();
            abaca::Runtime::builder().workers(1).build().unwrap().run(|| {
                masks::of_process();
                old::of_process();
                queued::of_process();
                signal_fds::of_process();
                kills::of_main();
            });
        }
        Ok("masks of threads") => {
            masks::of_threads();
            queued::of_threads();
            masks::of_copies();
            contexts::of_threads();
        }
        Ok("masks of fibers") => {
            abaca_transparent::threads_are_fibers().unwrap();
            masks::of_threads();
            queued::of_threads();
            masks::of_copies();
            contexts::of_threads();
        }
        Ok("plain beside a thread") => plain::of_plain_threads(),
        Ok("plain beside a fiber") => {
            abaca_transparent::install().unwrap();
            abaca::Runtime::builder().workers(1).build().unwrap().run(plain::of_plain_threads);
        }
        Ok("kill threads") => of_others(),
        Ok("kill fibers") => {
            abaca_transparent::threads_are_fibers().unwrap();
            of_others();
        }
        Ok("overflow of a thread") => overflow::on_a_thread(),
        Ok("overflow") => overflow::on_a_fiber(),
        Ok("fault") => faults::on_a_fiber(),
        _ => {
            overflow::is_told_by_a_handler_that_parks_nobody();
            overflow::of_a_thread_tells_its_name();
            faults::have_handlers_in_which_nobody_is_parked();
            return compare();
        }
    }
    ExitCode::SUCCESS
}

/// What threads send to others.
fn of_others() {
    kills::kills();
    kills::beside_a_lock();
    kills::in_a_handler();
    kills::aborts();
    kills::for_main();
}

fn compare() -> ExitCode {
    let run = |mode: &str| {
        let output = Command::new("timeout")
            .arg("600")
            .arg(std::env::current_exe().unwrap())
            .env("ABACA_SIGNALS", mode)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{mode}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let modes = [
        ("threads", "fibers"),
        ("kill threads", "kill fibers"),
        ("copy on a thread", "copy on a fiber"),
        ("masks on a thread", "masks on a fiber"),
        ("masks of threads", "masks of fibers"),
        ("plain beside a thread", "plain beside a fiber"),
    ];
    for (threads, fibers) in modes {
        let (threads, fibers) = (run(threads), run(fibers));
        assert_eq!(fibers.lines().collect::<Vec<_>>(), threads.lines().collect::<Vec<_>>());
        println!("{} outcomes are as on threads", threads.lines().count());
    }
    ExitCode::SUCCESS
}

/// Calls `waits` in a copy of the process, made by fork(2), in which the handlers are set up as before.
fn in_copy(waits: impl FnOnce()) {
    set_up(SIGALRM, 0);
    // SAFETY: nobody else changes what the copy uses: the other threads of this process are the runtime's own.
    let child = unsafe { libc::fork() };
    if child == 0 {
        waits();
        std::process::exit(0);
    }
    let mut status = -1;
    // SAFETY: a number to be written.
    assert_eq!((unsafe { libc::waitpid(child, &mut status, 0) }, status), (child, 0));
}

fn interrupted() {
    let (reader, _writer) = std::io::pipe().unwrap();
    alarms(true);
    let mut byte = 0_u8;
    // SAFETY: one byte.
    let read = unsafe { libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) };
    let ended = outcome(read);
    alarms(false);
    println!("read in a copy of the process: {ended}");
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

/// What no handler ends if it restarts calls.
const RESTARTED: &[&str] = &[
    "aio_suspend",
    "read",
    "readv",
    "recv",
    "accept",
    "send",
    "write",
    "sem_wait",
    "sem_timedwait",
    "waitpid",
    "flock",
    "fcntl",
    "fcntl of an open file",
    "lockf",
    "open to read",
    "open to write",
    "fgets of a part of a line",
    "fread of a part",
    "fputs of a line to a full socket",
    "fscanf of a part",
];

fn scenarios() {
    set_up(SIGALRM, 0);
    for (name, call) in calls().into_iter().chain(pool::calls()) {
        alarms(true);
        let ended = call();
        alarms(false);
        println!("{name}: {ended}");
    }
    set_up(SIGALRM, SA_RESTART);
    for (name, call) in calls().into_iter().chain(pool::calls()).filter(|(name, _)| !RESTARTED.contains(name))
    {
        alarms(true);
        let ended = call();
        alarms(false);
        println!("{name}, SA_RESTART: {ended}");
    }
    pool::deadlock();
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
