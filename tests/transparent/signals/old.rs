//! Functions for signals of older systems.

#![expect(unsafe_code, reason = "calls C functions")]

use std::mem::zeroed;
use std::ptr::null;
use std::sync::atomic::Ordering::SeqCst;

use libc::{SIG_DFL, SIG_IGN, SIGUSR1, SIGUSR2, c_int, sighandler_t};

use crate::masks::state;
use crate::{HANDLED, outcome};

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn __sysv_signal(signal: c_int, handler: sighandler_t) -> sighandler_t;
    fn bsd_signal(signal: c_int, handler: sighandler_t) -> sighandler_t;
    fn sigset(signal: c_int, handler: sighandler_t) -> sighandler_t;
    fn sighold(signal: c_int) -> c_int;
    fn sigrelse(signal: c_int) -> c_int;
    fn sigignore(signal: c_int) -> c_int;
    fn sigblock(mask: c_int) -> c_int;
    fn sigsetmask(mask: c_int) -> c_int;
    fn siggetmask() -> c_int;
    fn gsignal(signal: c_int) -> c_int;
    fn killpg(group: c_int, signal: c_int) -> c_int;
}

extern "C" fn count(_: c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

/// What the signal does, and with what flags.
fn action(signal: c_int) -> String {
    // SAFETY: an action to be written.
    unsafe {
        let mut now: libc::sigaction = zeroed();
        libc::sigaction(signal, null(), &mut now);
        let what = match now.sa_sigaction {
            SIG_DFL => "default",
            SIG_IGN => "ignored",
            handler if handler == count as *const () as usize => "counted",
            _ => "something else",
        };
        format!("{what} {:x}", now.sa_flags & !0x0400_0000)
    }
}

/// What the process sends to itself.
pub(super) fn of_process() {
    const HOLD: sighandler_t = 2;
    let count = count as *const () as sighandler_t;
    let of = |handler: sighandler_t| match handler as isize {
        small @ -1..=2 => small.to_string(),
        address if address == count as isize => "count".to_owned(),
        _ => "another".to_owned(),
    };
    // SAFETY: numbers, and a handler.
    unsafe {
        println!("System V: {} {}", of(__sysv_signal(SIGUSR2, count)), action(SIGUSR2));
        println!("raised: {} {}; {}", gsignal(SIGUSR2), action(SIGUSR2), HANDLED.load(SeqCst));
        println!("none: {}", outcome(__sysv_signal(0, count) as isize));
        println!("one that waits: {} {}", of(__sysv_signal(SIGUSR1, count)), sighold(SIGUSR1));
        println!("{}; {} {}", libc::kill(libc::getpid(), SIGUSR1), state(), action(SIGUSR1));
        println!("released: {}; {} {}", sigrelse(SIGUSR1), state(), action(SIGUSR1));
        println!("BSD: {} {}", of(bsd_signal(SIGUSR1, count)), action(SIGUSR1));
        println!("held: {}; {}", of(sigset(SIGUSR1, HOLD)), state());
        println!("set: {}; {} {}", of(sigset(SIGUSR1, count)), state(), action(SIGUSR1));
        println!("no signal: {} {}", outcome(sighold(99) as isize), outcome(sigset(-1, count) as isize));
        let bit = 1 << (SIGUSR1 - 1);
        println!("blocked: {}; {} {}", sigblock(bit), siggetmask(), state());
        println!("mask: {}; {} {}", sigsetmask(0), siggetmask(), state());
        println!("ignored: {} {}", sigignore(SIGUSR1), action(SIGUSR1));
        println!("{} {}", libc::raise(SIGUSR1), outcome(killpg(-1, 0) as isize));
    }
}
