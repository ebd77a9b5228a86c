//! What kills a process, or needs limits of its own: run in a child process, whose end and output are checked.

// Looks at the end for what is left behind.
use abaca_tests as _;

mod abort;
mod compact;
mod forks;
mod hook;
mod locals;
mod memory;
mod modes;
mod names;
mod overflow;
mod refusals;
mod served;
mod sigpipe;
mod stacks;
mod stalls;
mod threads;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

const SIGSEGV: i32 = 11;

/// The named test of this binary, to be run again in a child process, where `ROLE` is set.
fn command(test: &str) -> Command {
    let this = std::env::current_exe().expect("this test has a path");
    let mut command = Command::new(this);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("ROLE", "child");
    command
}

fn in_child(test: &str) -> Output {
    command(test).output().expect("the child starts")
}

/// [`in_child`] with so many KiB of address space.
fn in_child_with_kib(test: &str, kib: usize) -> Output {
    let this = std::env::current_exe().expect("this test has a path");
    let script = format!("ulimit -v {kib}; exec \"$0\" --exact {test} --nocapture --test-threads=1");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(this).env("ROLE", "child");
    command.output().expect("the child starts")
}

fn is_child() -> bool {
    std::env::var_os("ROLE").is_some()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    overflow(depth + 1) + std::hint::black_box(frame)[3]
}

#[test]
fn a_stack_overflow_names_the_fiber_and_dies_by_the_signal() {
    if is_child() {
        abaca::run(|| {
            let builder = abaca::Builder::new().name("deep diver".into()).stack_size(64 * 1024);
            builder.spawn(|| overflow(0)).unwrap().join().unwrap();
        });
    }
    // The names are looked up for ten seconds, which a busy machine may need for something else.
    let overflows = || {
        let output = in_child("a_stack_overflow_names_the_fiber_and_dies_by_the_signal");
        assert_eq!(output.status.signal(), Some(SIGSEGV), "{output:?}");
        stderr(&output)
    };
    let text = (0..20).map(|_| overflows()).find(|text| text.contains("Their names:"));
    let text = text.expect("names, once in twenty times");
    // A stack with room for storage of its own is of a larger class.
    let stack = if abaca_tests::has_own_storage() { "its stack of 81920" } else { "its stack of 6" };
    for part in [
        "fiber 'deep diver'",
        "FiberId(",
        stack,
        "Builder::stack_size",
        "Their names:",
        ": process::overflow",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn an_overflow_of_an_unnamed_fiber_is_reported_too() {
    if is_child() {
        abaca::run(|| abaca::spawn(|| overflow(0)).join().unwrap());
    }
    let output = in_child("an_overflow_of_an_unnamed_fiber_is_reported_too");
    assert_eq!(output.status.signal(), Some(SIGSEGV), "{output:?}");
    assert!(stderr(&output).contains("has overflowed its stack"), "{output:?}");
}

#[test]
#[expect(unsafe_code, reason = "a fault that is no stack overflow")]
fn any_other_fault_dies_by_the_signal_without_our_report() {
    if is_child() {
        abaca::run(|| {
            abaca::spawn(|| {
                // SAFETY: none: this is the fault.
                unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) }
            })
            .join()
            .unwrap();
        });
    }
    let output = in_child("any_other_fault_dies_by_the_signal_without_our_report");
    assert_eq!(output.status.signal(), Some(SIGSEGV), "{output:?}");
    assert!(!stderr(&output).contains("abaca:"), "{output:?}");
}

#[test]
fn forty_thousand_fibers_are_parked_under_the_stock_map_limit() {
    let gate = std::sync::Arc::new((abaca::sync::Mutex::new(false), abaca::sync::Condvar::new()));
    abaca::run(|| {
        let handles: Vec<_> = (0..40_000_u64)
            .map(|n| {
                let gate = std::sync::Arc::clone(&gate);
                abaca::spawn(move || {
                    drop(gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open).unwrap());
                    n
                })
            })
            .collect();
        for _ in 0..100 {
            abaca::yield_now();
        }
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, 799_980_000);
    });
}
