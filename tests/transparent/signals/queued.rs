//! Real-time signals: each that is sent is told, in its order and with its value.

#![expect(unsafe_code, reason = "calls C functions, and sets up a handler that is told more than a number")]

use std::io::Write;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::thread::JoinHandleExt;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};

use libc::{
    SA_RESTART, SA_SIGINFO, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGUSR1, SIGUSR2, c_int, c_void, siginfo_t,
    sigval,
};

use crate::masks::{change, set_of};
use crate::{LONG, outcome};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn pthread_sigqueue(thread: libc::pthread_t, signal: c_int, value: sigval) -> c_int;
}

/// What the handler was told: a signal and a value each.
static LOG: [AtomicI32; 128] = [const { AtomicI32::new(0) }; 128];
static LOGGED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn log(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    let at = LOGGED.fetch_add(1, SeqCst);
    // SAFETY: the kernel's.
    let value = unsafe { (*info).si_value() }.sival_ptr.addr() as i32;
    let first = libc::SIGRTMIN();
    LOG[at].store(if signal >= first { (signal - first) * 1000 + value } else { -signal }, SeqCst);
}

fn logged() -> Vec<i32> {
    let count = LOGGED.swap(0, SeqCst);
    LOG[..count].iter().map(|entry| entry.load(SeqCst)).collect()
}

fn set_up(signal: c_int, flags: c_int) {
    // SAFETY: all zeros are an action without flags.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = log as *const () as usize;
        action.sa_flags = flags;
        let (mut before, mut now): (libc::sigaction, libc::sigaction) = (zeroed(), zeroed());
        assert_eq!(libc::sigaction(signal, &action, &mut before), 0);
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut now), 0);
        println!("flags {:#x}, then {:#x}", before.sa_flags, now.sa_flags);
    }
}

fn value(number: usize) -> sigval {
    sigval { sival_ptr: std::ptr::without_provenance_mut(number) }
}

fn queue(signal: c_int, number: usize) {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::sigqueue(libc::getpid(), signal, value(number)) }, 0);
}

fn wait(signals: &[c_int]) -> String {
    // SAFETY: a set, and a place for what is told.
    unsafe {
        let mut info: siginfo_t = zeroed();
        let found = libc::sigtimedwait(&set_of(signals), &mut info, &LONG);
        format!("{} {} {}", found - libc::SIGRTMIN(), info.si_code, info.si_value().sival_ptr.addr())
    }
}

/// A child sends the signal to its parent. Returns who it was.
fn queue_from_child(signal: c_int, number: usize) -> libc::pid_t {
    // SAFETY: the child calls what may be called after a fork.
    unsafe {
        let parent = libc::getpid();
        let child = libc::fork();
        if child == 0 {
            libc::sigqueue(parent, signal, value(number));
            libc::_exit(0);
        }
        assert_eq!(libc::waitpid(child, null_mut(), 0), child);
        child
    }
}

/// What sigtimedwait(2) tells of a signal that this process has sent.
fn wait_for(signal: c_int, sender: libc::pid_t) -> String {
    // SAFETY: a set, and a place for what is told.
    unsafe {
        let mut info: siginfo_t = zeroed();
        let found = libc::sigtimedwait(&set_of(&[signal]), &mut info, &LONG);
        let is_it = (found == signal, info.si_pid() == sender, info.si_uid() == libc::getuid());
        format!("{is_it:?} {} {}", info.si_code, info.si_value().sival_ptr.addr())
    }
}

/// More than may wait: the error tells how many do, and none of those is lost.
fn full(signal: c_int) {
    set_up(signal, SA_SIGINFO);
    change(SIG_BLOCK, &[signal]);
    // SAFETY: a limit of this process's, and numbers.
    unsafe {
        let mut limit: libc::rlimit = zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_SIGPENDING, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(5000);
        assert_eq!(libc::setrlimit(libc::RLIMIT_SIGPENDING, &limit), 0);
        let sent = (0..5000)
            .take_while(|number| libc::sigqueue(libc::getpid(), signal, value(*number)) == 0)
            .count();
        let error = std::io::Error::last_os_error().raw_os_error();
        let handled = |number: usize| LAST.load(SeqCst) == number as i32 - 1;
        set_up_counting(signal);
        change(SIG_UNBLOCK, &[signal]);
        println!("as many as can: {}, {error:?}, then all: {}", sent > 0, handled(sent));
    }
}

/// What [`count`] was told last.
static LAST: AtomicI32 = AtomicI32::new(-1);

extern "C" fn count(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel's.
    let value = unsafe { (*info).si_value() }.sival_ptr.addr() as i32;
    // In their order.
    let _ = LAST.compare_exchange(value - 1, value, SeqCst, SeqCst);
}

fn set_up_counting(signal: c_int) {
    // SAFETY: all zeros are an action without flags.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = count as *const () as usize;
        action.sa_flags = SA_SIGINFO;
        assert_eq!(libc::sigaction(signal, &action, null_mut()), 0);
    }
}

/// What the process sends to itself.
pub(super) fn of_process() {
    let (one, two) = (libc::SIGRTMIN() + 1, libc::SIGRTMIN() + 2);
    [one, two, SIGUSR1, SIGUSR2].into_iter().for_each(|signal| set_up(signal, SA_SIGINFO));
    change(SIG_BLOCK, &[one, two, SIGUSR1, SIGUSR2]);
    let send = || {
        [(one, 1), (two, 2), (one, 3), (one, 4), (two, 5)]
            .into_iter()
            .for_each(|(signal, number)| queue(signal, number));
    };
    send();
    // While they are blocked: else any thread of the kernel's may take them, at some time.
    [(SIGUSR2, 6), (SIGUSR1, 7), (SIGUSR1, 8)].into_iter().for_each(|(signal, number)| queue(signal, number));
    println!("blocked: {:?}", logged());
    change(SIG_UNBLOCK, &[one]);
    println!("one is not: {:?}", logged());
    change(SIG_SETMASK, &[]);
    println!("none is: {:?}", logged());
    change(SIG_BLOCK, &[one, two]);
    send();
    println!("sigtimedwait: {}, {}, {}", wait(&[one, two]), wait(&[two]), wait(&[one, two]));
    // SAFETY: a set.
    let ended = unsafe { outcome(libc::ppoll(null_mut(), 0, &LONG, &set_of(&[two])) as isize) };
    println!("ppoll: {ended}, {:?}", logged());
    // SAFETY: a set to be written.
    unsafe {
        let mut waiting = zeroed();
        libc::sigpending(&mut waiting);
        println!("waits: {:?}", [one, two].map(|signal| libc::sigismember(&waiting, signal)));
    }
    change(SIG_SETMASK, &[]);
    println!("the rest: {:?}", logged());
    // More than the kernel's own table of small things has room for.
    change(SIG_BLOCK, &[one]);
    (0..100).for_each(|number| queue(one, number));
    change(SIG_SETMASK, &[]);
    println!("many: {:?}", logged() == (1000..1100).collect::<Vec<_>>());
    // A handler that is told nothing else does not keep a value from who waits for it.
    set_up(one, 0);
    change(SIG_BLOCK, &[one]);
    queue(one, 9);
    queue(one, 10);
    println!("sigtimedwait: {}, {}", wait(&[one]), wait(&[one]));
    // Nor one that signal(3) has set up, nor a default, be the sender another process.
    for handler in [libc::SIG_DFL, log as *const () as usize] {
        for signal in [one, SIGUSR1] {
            change(SIG_BLOCK, &[signal]);
            // SAFETY: a handler that takes a number at least.
            unsafe { libc::signal(signal, handler) };
            let sender = queue_from_child(signal, 11);
            println!("signal, then {}", wait_for(signal, sender));
        }
    }
    for signal in [one, SIGUSR1] {
        set_up(signal, SA_SIGINFO);
    }
    change(SIG_SETMASK, &[]);
    // SAFETY: it takes a number.
    unsafe { libc::raise(one) };
    full(libc::SIGRTMIN() + 3);
    // Somebody waits in a call, and another thread sends.
    set_up(one, SA_SIGINFO | SA_RESTART);
    LOGGED.store(0, SeqCst);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let sender = std::thread::spawn(move || {
        change(SIG_BLOCK, &[one]);
        (0..20).for_each(|number| queue(one, number));
        while LOGGED.load(SeqCst) < 20 {
            std::thread::yield_now();
        }
        writer.write_all(b"a").unwrap();
    });
    let mut byte = 0_u8;
    // SAFETY: one byte.
    let read = unsafe { libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) };
    sender.join().unwrap();
    let mut all = logged();
    all.sort_unstable();
    println!("while it reads: {}, {all:?}", outcome(read));
}

/// What one thread sends to another, and to itself.
pub(super) fn of_threads() {
    let one = libc::SIGRTMIN() + 1;
    set_up(one, SA_SIGINFO);
    static STEP: AtomicUsize = AtomicUsize::new(0);
    let until = |step| {
        while STEP.load(SeqCst) < step {
            std::thread::yield_now();
        }
    };
    let thread = std::thread::spawn(move || {
        change(SIG_BLOCK, &[one]);
        STEP.store(1, SeqCst);
        until(2);
        let first = wait(&[one]);
        // SAFETY: the caller is a thread.
        let sent = unsafe { pthread_sigqueue(libc::pthread_self(), one, value(4)) };
        change(SIG_UNBLOCK, &[one]);
        (first, sent, logged())
    });
    until(1);
    // SAFETY: the thread is joined below.
    let sent = [1, 2, 3].map(|number| unsafe { pthread_sigqueue(thread.as_pthread_t(), one, value(number)) });
    STEP.store(2, SeqCst);
    let (first, own, mut rest) = thread.join().unwrap();
    // What it has sent to itself waits with the rest.
    rest.sort_unstable();
    println!("sent to a thread: {sent:?}, {own}, {first}, {rest:?}");
}
