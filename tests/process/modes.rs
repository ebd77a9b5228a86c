//! The open files that a process shares with others are in their old mode when it has ended, however it did.

#![expect(unsafe_code, reason = "forks")]

use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::AsFd;

use abaca::io::Pollable;

use super::{command, is_child};

const TEST: &str = "modes::what_is_shared_is_in_its_old_mode_after_the_process";

fn is_nonblocking(fd: impl AsFd) -> bool {
    socket2::SockRef::from(&fd).nonblocking().unwrap()
}

/// The standard input, by a descriptor of its own.
fn input() -> File {
    File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap())
}

/// Ends in that way, while a fiber waits for the standard input.
fn end(how: &str) -> ! {
    abaca_tests::leaks::settle();
    abaca::run(|| {
        let mut waited_for = Pollable::new(input()).unwrap();
        assert!(is_nonblocking(std::io::stdin()));
        abaca::spawn(move || waited_for.read(&mut [0]));
        abaca::yield_now();
        match how {
            "exit" => std::process::exit(0),
            "exec" => panic!("{}", abaca::process::Command::new("true").exec()),
            // It fails, and the fiber still waits.
            "exec fails" => {
                let _ = abaca::process::Command::new("/nonexistent").exec();
                assert!(is_nonblocking(std::io::stdin()));
                std::process::exit(0)
            }
            _ => unreachable!("{how}"),
        }
    })
}

#[test]
fn what_is_shared_is_in_its_old_mode_after_the_process() {
    if is_child() {
        end(&std::env::var("END").unwrap());
    }
    for how in ["exit", "exec", "exec fails"] {
        let (reader, mut writer): (PipeReader, _) = std::io::pipe().unwrap();
        let theirs = reader.try_clone().unwrap();
        let output = command(TEST).env("END", how).stdin(theirs).output().unwrap();
        assert!(output.status.success(), "{how}: {output:?}");
        assert!(!is_nonblocking(&reader), "{how}");
        writer.write_all(b"x").unwrap();
    }
}

/// A copy of the process by fork(2) drops what it has inherited, and exits by all its hooks.
#[test]
fn a_copy_of_the_process_leaves_the_mode_to_its_parent() {
    const TEST: &str = "modes::a_copy_of_the_process_leaves_the_mode_to_its_parent";
    if is_child() {
        abaca_tests::leaks::settle();
        let ours = Pollable::new(input()).unwrap();
        let mut of_copy = [Some(Pollable::new(input()).unwrap())];
        // SAFETY: the copy drops a value, and exits.
        match unsafe { libc::fork() } {
            0 => {
                of_copy[0] = None;
                drop(ours);
                // SAFETY: it takes a number.
                unsafe { libc::exit(0) }
            }
            // SAFETY: it is told of a child, and to write nothing.
            copy => _ = unsafe { libc::waitpid(copy, std::ptr::null_mut(), 0) },
        }
        assert!(is_nonblocking(std::io::stdin()));
        drop((ours, of_copy));
        assert!(!is_nonblocking(std::io::stdin()));
        return;
    }
    let (reader, _writer) = std::io::pipe().unwrap();
    let output = command(TEST).stdin(reader).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
