//! Waits of `abaca::process` and `abaca::signal`.

use std::io::Read;
use std::process::Stdio;

use abaca::process::{Child, Command};
use abaca::signal::{Signal, Signals};

use super::{LONG, Setup, Wait, keeping, wait};

pub(super) const WAITS: &[Setup] = &[
    ("Child::wait", || child(|mut child| drop(child.wait()))),
    ("Child::wait_timeout", || child(|mut child| drop(child.wait_timeout(LONG)))),
    ("Child::wait_with_output", || child(|child| drop(child.wait_with_output()))),
    ("ChildStdout::read", || child(|mut child| drop(child.stdout.take().unwrap().read(&mut [0])))),
    ("Command::status", || command(|mut cat| drop(cat.status()))),
    ("Command::output", || command(|mut cat| drop(cat.output()))),
    ("Signals::wait", || {
        let mut signals = Signals::new([Signal::WindowChange]).unwrap();
        wait(move || drop(signals.wait()))
    }),
    ("Signals::wait_timeout", || {
        let mut signals = Signals::new([Signal::WindowChange]).unwrap();
        wait(move || drop(signals.wait_timeout(LONG)))
    }),
];

/// Calls `f` with a command that ends when its input does, which is when the wait is over.
fn command(f: fn(Command)) -> Wait {
    let (input, writer) = std::io::pipe().unwrap();
    let mut cat = Command::new("cat");
    cat.stdin(input).stdout(Stdio::piped());
    keeping(writer, move || f(cat))
}

fn child(f: fn(Child)) -> Wait {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    keeping(child.stdin.take(), move || f(child))
}
