//! The overflow of a fiber's stack, which the runtime's own handler reports.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

#[expect(unconditional_recursion, reason = "it is to overflow")]
fn deep(depth: usize) -> usize {
    black_box(deep(black_box(depth) + 1)) + 1
}

/// Overflows the stack of a thread that is a fiber.
pub(super) fn on_a_thread() {
    abaca_transparent::threads_are_fibers().unwrap();
    let thread = std::thread::Builder::new().name("deep one".into()).spawn(|| deep(0)).unwrap();
    let _ = thread.join();
}

pub(super) fn of_a_thread_tells_its_name() {
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.env("ABACA_SIGNALS", "overflow of a thread").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    for part in ["thread 'deep one'", "has overflowed its stack", "RUST_MIN_STACK"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// Overflows the main fiber's stack beside another fiber, which is the next to run.
pub(super) fn on_a_fiber() {
    static OVERFLOWS: AtomicBool = AtomicBool::new(false);
    abaca_transparent::install().unwrap();
    abaca::Runtime::builder().workers(1).max_spare_threads(0).build().unwrap().run(|| {
        drop(abaca::spawn(|| {
            while !OVERFLOWS.load(SeqCst) {
                abaca::yield_now();
            }
            println!("ran");
        }));
        abaca::yield_now();
        OVERFLOWS.store(true, SeqCst);
        deep(0);
    });
}

pub(super) fn is_told_by_a_handler_that_parks_nobody() {
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.env("ABACA_SIGNALS", "overflow").output().unwrap();
    let [out, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    assert!(told.contains("has overflowed its stack") && told.contains("Their names:"), "{told}");
    assert_eq!(out, "", "another fiber has run while the handler waited");
}
