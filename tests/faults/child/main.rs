//! One scenario in a process of its own, in which one system call fails. See `tests/faults/main.rs`, which runs it:
//! `fault SCENARIO count`, or `fault SCENARIO CALL ERRNO FIRST TIMES`.
//!
//! It ends with status 0 after the right answer and with [`REFUSED`] after a clear error, in both cases only if nothing is left
//! behind and the scenario then works, in the same process. Everything else is a fault.

#![expect(unsafe_code, reason = "ignores signals")]

mod injector;
#[path = "../kinds.rs"]
mod kinds;
mod scenarios;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;

use abaca_tests::leaks::{self, Stock};
use injector::Fault;
use kinds::KINDS;

/// The scenario has ended with a clear error.
const REFUSED: i32 = 3;
/// It has ended with a wrong answer, or a panic that does not say what happened.
const WRONG: i32 = 4;
/// Something is left behind.
const LEFT: i32 = 5;
/// It does not work any more, although nothing fails any more.
const BROKEN: i32 = 6;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = arguments.split_first().expect("the name of a scenario");
    let scenario = scenarios::ALL.iter().find(|scenario| scenario.name == name).expect("a scenario");
    let fault = match rest {
        [count] if count == "count" => None,
        [call, errno, first, times] => Some(Fault {
            number: KINDS.iter().find(|kind| kind.name == call).expect("a kind of call").number,
            errno: errno.parse().expect("a number"),
            first: first.parse().expect("a number"),
            times: times.parse().expect("a number"),
        }),
        _ => panic!("what is to fail?"),
    };
    let numbers = match fault {
        Some(fault) => vec![fault.number],
        None => KINDS.iter().map(|kind| kind.number).collect(),
    };
    injector::install(&numbers, fault).expect("a kernel with seccomp's user notifications (Linux 5.0)");
    warm_up();
    ignore_late_signals();
    let before = Stock::take();
    leaks::settle();
    injector::arm();
    let outcome = catch_unwind(AssertUnwindSafe(scenario.run));
    injector::disarm();
    if fault.is_none() {
        injector::counts().for_each(|(number, count)| println!("{number} {count}"));
    }
    println!("refused: {}", injector::refused());
    let status = match outcome {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => told(&error),
        Err(payload) => told(&io::Error::other(message(payload.as_ref()))),
    };
    if fault.is_some_and(|fault| fault.number == libc::SYS_munmap) {
        // What the kernel does not take back stays: the addresses, not the memory.
        leaks::expect_stacks(injector::refused() as usize);
    }
    let left = leaks::left_since(&before, scenario.kept);
    if !left.is_empty() {
        println!("left behind: {left:?}");
        exit(LEFT);
    }
    match catch_unwind(AssertUnwindSafe(scenario.run)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => end(BROKEN, &error.to_string()),
        Err(payload) => end(BROKEN, &message(payload.as_ref())),
    }
    exit(status);
}

/// Makes what lives as long as the process, such as the stack on which an unwinding looks where it may go: it is not the
/// scenario's to give back.
fn warm_up() {
    let ended = abaca_tests::on_one_worker(|| {
        let parked = abaca_tests::begun(abaca::park);
        parked.cancel();
        parked.join()
    });
    assert!(ended.is_err(), "it was cancelled");
}

/// A signal that a scenario was sent, and that no thread has had the time to take when the scenario ends, is nobody's.
fn ignore_late_signals() {
    for signal in [libc::SIGUSR1, libc::SIGHUP] {
        // SAFETY: to ignore a signal runs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

fn end(status: i32, why: &str) -> ! {
    println!("{why}");
    exit(status)
}

/// The status for an error, which says what the system said; or it is the answer that is wrong.
fn told(error: &io::Error) -> i32 {
    println!("error: {error}");
    // How std and the runtime write an errno.
    let text = error.to_string();
    let says_why =
        error.raw_os_error().is_some() || text.contains("os error") || text.contains("Os { code: ");
    if says_why || scenarios::is_clear(&text) { REFUSED } else { WRONG }
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
