//! Plain threads that wait for what the main thread, or the main fiber, sends to the process and blocks.

#![expect(unsafe_code, reason = "calls C functions")]

use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use libc::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGUSR1, SIGUSR2, c_int};

use crate::masks::{change, set_of, state};
use crate::{HANDLED, HANDLER, LONG, outcome, set_up};

fn send(signal: c_int) {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}

/// What a thread does that begins before the signal is sent, or when it waits already.
fn beside(what: &str, signal: c_int, wait: fn() -> String) {
    for is_before in [true, false] {
        HANDLED.store(0, SeqCst);
        if is_before {
            send(signal);
        }
        let thread = thread::spawn(wait);
        if !is_before {
            send(signal);
        }
        let ended = thread.join().unwrap();
        println!("{what}: {ended}; {}", state());
    }
}

fn is_own_handler() -> bool {
    // SAFETY: it takes nothing.
    HANDLER.load(SeqCst) == unsafe { libc::pthread_self() } as usize
}

/// The calls, each with valid arguments.
fn sigwait() -> String {
    let mut taken = 0;
    // SAFETY: a set, and a number to be written.
    let result = unsafe { libc::sigwait(&set_of(&[SIGUSR2]), &mut taken) };
    format!("{result} {taken}")
}

fn sigtimedwait() -> String {
    // SAFETY: all zeros are valid; a set, a time, and what is written.
    unsafe {
        let mut info: libc::siginfo_t = zeroed();
        let taken = libc::sigtimedwait(&set_of(&[SIGUSR2]), &mut info, &LONG);
        format!("{taken} {} {}", info.si_code, info.si_pid() == libc::getpid())
    }
}

fn sigsuspend() -> String {
    // SAFETY: a set.
    let ended = outcome(unsafe { libc::sigsuspend(&set_of(&[SIGUSR2])) } as isize);
    format!("{ended}, its own handler: {}", is_own_handler())
}

fn ppoll() -> String {
    // SAFETY: no descriptors, a time and a set.
    let ended = outcome(unsafe { libc::ppoll(null_mut(), 0, &LONG, &set_of(&[SIGUSR2])) } as isize);
    format!("{ended}, its own handler: {}", is_own_handler())
}

fn unblocks() -> String {
    let before = state();
    change(SIG_UNBLOCK, &[SIGUSR1]);
    format!("{before}; {}, its own handler: {}", state(), is_own_handler())
}

pub(super) fn of_plain_threads() {
    set_up(SIGUSR1, 0);
    change(SIG_BLOCK, &[SIGUSR1, SIGUSR2]);
    beside("sigwait", SIGUSR2, sigwait);
    beside("sigtimedwait", SIGUSR2, sigtimedwait);
    beside("sigsuspend", SIGUSR1, sigsuspend);
    beside("ppoll", SIGUSR1, ppoll);
    HANDLED.store(0, SeqCst);
    send(SIGUSR1);
    println!("unblocked: {}; {}", thread::spawn(unblocks).join().unwrap(), state());
    change(SIG_SETMASK, &[]);
}
