//! Child processes in which the main thread runs the role, before the test harness has started a thread: a deadlock is certain only
//! in a process without other threads.

#![expect(unsafe_code, reason = "a function that runs before main")]

use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use abaca_tests::{Tool, skip};

/// The name of the variable that tells a child its role.
const ROLE: &str = "OBSERVE_ROLE";

/// Runs this binary in a child process as this role.
pub(crate) fn run(role: &str) -> Output {
    let this = std::env::current_exe().expect("this test has a path");
    Command::new(this).env(ROLE, role).output().expect("the child starts")
}

/// `tool`, which runs what stands after its arguments, with this binary as this role.
pub(crate) fn under<'a>(tool: &'a mut Command, role: &str) -> &'a mut Command {
    tool.arg(std::env::current_exe().expect("this test has a path")).env(ROLE, role)
}

/// A copy of this binary without symbols and debug information, as this role. `None` where there is no `strip`, which is said.
pub(crate) fn stripped(role: &str, copy: &Path) -> Option<Command> {
    let this = std::env::current_exe().expect("this test has a path");
    let made = Command::new("strip").args(["--strip-all", "-o"]).args([copy, &this]).status();
    if !made.is_ok_and(|status| status.success()) {
        skip(Tool::Binutils, "there is no strip");
        return None;
    }
    let mut command = Command::new(copy);
    command.env(ROLE, role).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// This binary as this role, which leaves a core in `folder` if it is killed by a signal that makes one. Its output is piped.
pub(crate) fn command(role: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test has a path"));
    command.env(ROLE, role);
    abaca_tests::leaving_a_core(&command, folder)
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// SAFETY: the section holds functions of this kind, which the C library calls before `main`; the standard library is usable by then.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = play_role;

extern "C" fn play_role() {
    if let Ok(role) = std::env::var(ROLE) {
        // SAFETY: no other thread runs yet. A child of this one plays no role.
        unsafe { std::env::remove_var(ROLE) };
        let end = catch_unwind(|| crate::roles::play(&role));
        std::process::exit(if end.is_ok() { 0 } else { 101 });
    }
}
