//! A destructor of a fiber-local value that panics ends the process, as that of a thread-local does.

use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;

use super::{in_child, is_child, stderr};

const SIGABRT: i32 = 6;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in a local's destructor");
    }
}

abaca::fiber_local! {
    static BOMB: Bomb = Bomb;
    static MAKER: Maker = Maker;
    static HOLDER: RefCell<Option<Bomb>> = const { RefCell::new(None) };
}

/// Makes a value when it is dropped.
struct Maker;

impl Drop for Maker {
    fn drop(&mut self) {
        HOLDER.set(Some(Bomb));
    }
}

/// The child has died as std's does.
fn dies(test: &str) {
    let output = in_child(test);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    let text = stderr(&output);
    for part in ["in a local's destructor", "fatal runtime error: fiber-local panicked on drop, aborting"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_panic_in_the_destructor_of_a_fibers_local_aborts() {
    if is_child() {
        abaca::run(|| abaca::spawn(|| BOMB.with(|_| ())).join().unwrap());
        return;
    }
    dies("locals::a_panic_in_the_destructor_of_a_fibers_local_aborts");
}

#[test]
fn a_panic_in_the_destructor_of_a_plain_threads_local_aborts() {
    if is_child() {
        std::thread::spawn(|| BOMB.with(|_| ())).join().unwrap();
        return;
    }
    dies("locals::a_panic_in_the_destructor_of_a_plain_threads_local_aborts");
}

#[test]
fn a_panic_in_the_destructor_of_a_local_that_a_destructor_made_aborts() {
    if is_child() {
        abaca::run(|| abaca::spawn(|| MAKER.with(|_| ())).join().unwrap());
        return;
    }
    dies("locals::a_panic_in_the_destructor_of_a_local_that_a_destructor_made_aborts");
}
