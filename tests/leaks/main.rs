//! The check at the end of every test binary finds what is left behind: here a test leaves each kind of thing behind, in a
//! child process, and passes.

use std::net::UdpSocket;
use std::process::{Command, Output};

use abaca_tests::leaks::{PATIENCE, STATUS};

/// Runs the named test again in a child process, which is to leave `what` behind.
fn child(test: &str, what: &str) -> Output {
    let this = std::env::current_exe().expect("this test has a path");
    let mut command = Command::new(this);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("LEAVES", what);
    if what != "nothing" {
        // It is there for good.
        command.env(PATIENCE, "100");
    }
    command.output().expect("the child starts")
}

fn leaves(what: &str) -> bool {
    std::env::var("LEAVES").is_ok_and(|leaves| leaves == what)
}

/// The child's tests pass, and yet it fails, and says why.
fn assert_found(test: &str, what: &str, words: &str) {
    let output = child(test, what);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    assert_eq!(output.status.code(), Some(STATUS), "{output:?}");
    assert!(errors.contains("left behind") && errors.contains(words), "{errors}");
}

#[test]
fn nothing_left_behind_is_no_failure() {
    if leaves("nothing") {
        abaca::run(|| abaca::spawn(|| ()).join().unwrap());
        return;
    }
    let output = child("nothing_left_behind_is_no_failure", "nothing");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_descriptor_is_found() {
    if leaves("descriptor") {
        return std::mem::forget(UdpSocket::bind("127.0.0.1:0").unwrap());
    }
    assert_found("a_descriptor_is_found", "descriptor", "socket:");
}

#[test]
fn a_thread_is_found() {
    if leaves("thread") {
        // It has its name once it runs.
        let (runs, has_begun) = std::sync::mpsc::channel();
        let stray = move || {
            runs.send(()).unwrap();
            loop {
                std::thread::park();
            }
        };
        drop(std::thread::Builder::new().name("abaca-stray".into()).spawn(stray).unwrap());
        return has_begun.recv().unwrap();
    }
    assert_found("a_thread_is_found", "thread", "abaca-stray");
}

#[test]
fn a_runtime_is_found() {
    if leaves("runtime") {
        let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
        // A thread has its name once it runs.
        runtime.run(|| ());
        return std::mem::forget(runtime);
    }
    assert_found("a_runtime_is_found", "runtime", "abaca-worker-0");
}

#[test]
fn a_stack_is_found() {
    if leaves("stack") {
        let pool = abaca_asm::stack::StackPool::new(32 * 1024);
        return std::mem::forget((pool.take().unwrap(), pool));
    }
    assert_found("a_stack_is_found", "stack", "mappings of stacks");
}

/// A fiber that is never ended keeps its stack, though its runtime's threads are gone.
#[test]
fn a_fiber_is_found() {
    if leaves("fiber") {
        let pool = std::sync::Arc::new(abaca_asm::stack::StackPool::new(32 * 1024));
        let mut fiber = abaca::coroutine::Coroutine::<(), (), ()>::with_pool(&pool, |yielder, ()| {
            yielder.suspend(());
        });
        if let Ok(fiber) = &mut fiber {
            let _ = fiber.resume(());
        }
        return std::mem::forget(fiber);
    }
    assert_found("a_fiber_is_found", "fiber", "mappings of stacks");
}
