//! Masks of signals: what is blocked waits, for its thread or for the process, and each thread has a mask of its own.

#![expect(unsafe_code, reason = "calls C functions")]

use std::mem::zeroed;
use std::os::unix::thread::JoinHandleExt;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use libc::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGUSR1, SIGUSR2, c_int, c_void, sigset_t, timespec};

use crate::{HANDLED, HANDLER, LONG, outcome, set_up};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn thrd_create(
        thread: *mut libc::pthread_t,
        routine: extern "C" fn(*mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn thrd_join(thread: libc::pthread_t, result: *mut c_int) -> c_int;
}

pub(super) fn set_of(signals: &[c_int]) -> sigset_t {
    // SAFETY: all zeros are an empty set.
    unsafe {
        let mut set = zeroed();
        signals.iter().for_each(|signal| _ = libc::sigaddset(&mut set, *signal));
        set
    }
}

pub(super) fn change(how: c_int, signals: &[c_int]) {
    // SAFETY: an initialised set.
    assert_eq!(unsafe { libc::pthread_sigmask(how, &set_of(signals), null_mut()) }, 0);
}

/// Which of the two signals the caller blocks, and which wait.
pub(super) fn state() -> String {
    // SAFETY: two sets to be written.
    unsafe {
        let (mut blocked, mut waiting) = (zeroed(), zeroed());
        libc::pthread_sigmask(SIG_BLOCK, null(), &mut blocked);
        libc::sigpending(&mut waiting);
        let both = |set: &sigset_t| [SIGUSR1, SIGUSR2].map(|signal| libc::sigismember(set, signal));
        format!(
            "blocked {:?}, waiting {:?}, handled {}",
            both(&blocked),
            both(&waiting),
            HANDLED.load(SeqCst)
        )
    }
}

/// What the process sends to itself.
pub(super) fn of_process() {
    set_up(SIGUSR1, 0);
    HANDLED.store(0, SeqCst);
    let send = |signal| {
        // SAFETY: numbers.
        assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
    };
    println!("at first: {}", state());
    // Who has never set a mask has none after a call with one either.
    let now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: valid arguments.
    let looked = unsafe { libc::ppoll(null_mut(), 0, &now, &set_of(&[SIGUSR1, SIGUSR2])) };
    println!("ppoll before: {}; {}", outcome(looked as isize), state());
    change(SIG_BLOCK, &[SIGUSR1, SIGUSR2]);
    send(SIGUSR1);
    println!("sent: {}", state());
    change(SIG_UNBLOCK, &[SIGUSR1]);
    println!("unblocked: {}", state());
    change(SIG_BLOCK, &[SIGUSR1]);
    let none = set_of(&[]);
    let only_two = set_of(&[SIGUSR2]);
    // SAFETY: valid arguments.
    unsafe {
        send(SIGUSR1);
        println!("sigsuspend: {}; {}", outcome(libc::sigsuspend(&only_two) as isize), state());
        send(SIGUSR1);
        println!("ppoll: {}; {}", outcome(libc::ppoll(null_mut(), 0, &LONG, &only_two) as isize), state());
        send(SIGUSR1);
        println!(
            "ppoll of no time: {}; {}",
            outcome(libc::ppoll(null_mut(), 0, &now, &only_two) as isize),
            state()
        );
        let brief = timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        println!(
            "ppoll that blocks: {}",
            outcome(libc::ppoll(null_mut(), 0, &brief, &set_of(&[SIGUSR1])) as isize)
        );
        send(SIGUSR1);
        let looked = libc::pselect(0, null_mut(), null_mut(), null_mut(), &LONG, &only_two);
        println!("pselect: {}; {}", outcome(looked as isize), state());
        // What would end the process waits as well, and can be taken.
        send(SIGUSR2);
        println!("by default: {}", state());
        let mut info: libc::siginfo_t = zeroed();
        let taken = libc::sigtimedwait(&set_of(&[SIGUSR2]), &mut info, &LONG);
        println!("sigtimedwait: {taken} {} {}; {}", info.si_signo, info.si_pid() == libc::getpid(), state());
        send(SIGUSR1);
        let mut taken = 0;
        println!("sigwait: {} {taken}; {}", libc::sigwait(&set_of(&[SIGUSR1]), &mut taken), state());
        libc::raise(SIGUSR1);
        println!("raised: {}", state());
        change(SIG_SETMASK, &[SIGUSR2]);
        println!("unblocked: {}", state());
        println!("no such way: {}", libc::pthread_sigmask(99, &none, null_mut()));
    }
    change(SIG_SETMASK, &[SIGUSR1]);
    println!("left: {}", std::thread::spawn(set_is_inherited).join().unwrap());
    let of_kernel = abaca_transparent::as_kernel_threads(|| std::thread::spawn(set_is_inherited));
    println!("left to the kernel's: {}", of_kernel.join().unwrap());
    let (mut thread, mut result) = (0, -1);
    // SAFETY: a function of this file's, and places to be written.
    unsafe {
        assert_eq!(thrd_create(&mut thread, routine, null_mut()), 0);
        assert_eq!(thrd_join(thread, &mut result), 0);
    }
    println!("left to C11's: {result}");
    change(SIG_SETMASK, &[]);
}

fn set_is_inherited() -> bool {
    // SAFETY: a set to be written.
    unsafe {
        let mut blocked = zeroed();
        libc::pthread_sigmask(SIG_BLOCK, null(), &mut blocked);
        libc::sigismember(&blocked, SIGUSR1) == 1
    }
}

extern "C" fn routine(_: *mut c_void) -> c_int {
    set_is_inherited().into()
}

/// Steps that two threads take in turn.
static STEP: AtomicU32 = AtomicU32::new(0);

fn until(step: u32) {
    while STEP.load(SeqCst) < step {
        std::thread::yield_now();
    }
}

/// What one thread sends to another, which blocks it.
pub(super) fn of_threads() {
    set_up(SIGUSR1, 0);
    HANDLED.store(0, SeqCst);
    let thread = std::thread::spawn(|| {
        change(SIG_BLOCK, &[SIGUSR1]);
        STEP.store(1, SeqCst);
        until(2);
        let before = state();
        HANDLER.store(0, SeqCst);
        change(SIG_UNBLOCK, &[SIGUSR1]);
        // SAFETY: it takes nothing.
        let own = unsafe { libc::pthread_self() } as usize;
        format!("{before}; {}, its own handler: {}", state(), HANDLER.load(SeqCst) == own)
    });
    until(1);
    // SAFETY: the thread is joined below.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGUSR1) };
    println!("sent to a thread that blocks it, by one that does not: {}", state());
    STEP.store(2, SeqCst);
    println!("its: {}", thread.join().unwrap());
    // Somebody waits for what comes later.
    change(SIG_BLOCK, &[SIGUSR2]);
    let waiter = std::thread::spawn(|| {
        let mut taken = 0;
        // SAFETY: valid arguments.
        (unsafe { libc::sigwait(&set_of(&[SIGUSR2]), &mut taken) }, taken)
    });
    while !waiter.is_finished() {
        // SAFETY: numbers.
        assert_eq!(unsafe { libc::kill(libc::getpid(), SIGUSR2) }, 0);
        std::thread::yield_now();
    }
    println!("a waiter's: {:?}", waiter.join().unwrap());
    // What was sent once more, while the waiter ended, is no more.
    // SAFETY: that it is ignored takes no handler.
    unsafe { libc::signal(SIGUSR2, libc::SIG_IGN) };
}

/// A copy to a broken socket is an error and no signal, in a program that has set SIGPIPE to its default.
pub(super) fn of_copies() {
    // SAFETY: the default disposition takes no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let copy = || {
        let broken = abaca::net::UnixStream::pair().unwrap().0;
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        abaca::io::copy_fd(&file, &broken).unwrap_err().kind()
    };
    println!("copied: {:?}", std::thread::spawn(copy).join().unwrap());
}
