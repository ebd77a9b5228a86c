//! Programs whose profile says `panic = "abort"`.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::{stderr, stdout};

const SIGABRT: i32 = 6;

/// Builds the program of `tests/abort` once, in a folder of its own, and runs it.
fn run(what: &str) -> Output {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("abort");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--locked", "-p", "abaca-abort"]);
        cargo.args(["--config", "profile.dev.panic='abort'", "--config", "profile.dev.debug=0"]);
        cargo.arg("--target-dir").arg(&target);
        let built = cargo.output().expect("cargo starts");
        assert!(built.status.success(), "{}", stderr(&built));
        target.join("debug/abaca-abort")
    });
    Command::new(program).arg(what).output().expect("the program starts")
}

#[test]
fn all_but_cancellation_works() {
    let output = run("work");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), "19, left: true\n");
}

#[test]
fn a_server_stops_with_the_next_connection_and_leaves_its_handlers() {
    let output = run("serve");
    assert!(output.status.success(), "{output:?}");
    assert!(stdout(&output).starts_with("left: "), "{output:?}");
    assert!(stdout(&output).ends_with("refused: true\n"), "{output:?}");
}

#[test]
fn a_cancellation_says_what_it_needs() {
    for what in ["cancel", "timeout", "set", "promise", "actor", "copy"] {
        let output = run(what);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{what}: {output:?}");
        assert!(stderr(&output).contains("needs panic = \"unwind\""), "{what}: {}", stderr(&output));
        // It blames the caller.
        assert!(stderr(&output).contains("abort/main.rs:"), "{what}: {}", stderr(&output));
    }
}

#[test]
fn a_panic_ends_the_process() {
    let output = run("panic");
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    assert!(stderr(&output).contains("in a fiber"));
}
