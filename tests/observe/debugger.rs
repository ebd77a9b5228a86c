//! `gdb/abaca.py` on a live process and on its core file. Where there is no gdb with Python, or no right to use it, it says so.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use super::child;

/// What gdb prints for these commands of the script, on a process or a core.
fn gdb(target: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gdb/abaca.py");
    let mut command = Command::new("gdb");
    command.args(["-q", "-batch", "-nx"]).args(target);
    let source = format!("source {}", script.display());
    for line in [source.as_str(), "abaca fibers", "abaca locks", "abaca apply all bt"] {
        command.args(["-ex", line]);
    }
    let output = command.output().expect("gdb starts");
    String::from_utf8_lossy(&output.stdout).into_owned() + &child::stderr(&output)
}

fn has_gdb() -> bool {
    let asked = Command::new("gdb").args(["-q", "-batch", "-nx", "-ex", "python print(6 * 7)"]).output();
    asked.is_ok_and(|output| output.stdout == b"42\n")
}

fn check(text: &str) {
    for expected in [
        "'stuck true' on worker ",
        "held by fiber ",
        "roles.rs:",
        "'main' on worker ",
        ": join of fiber ",
        "wanted by ",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    // The two that wait for a lock, and the function in which they do.
    assert!(text.matches("lock_contended").count() >= 2, "{text}");
    assert!(text.matches("fiber_start").count() >= 3, "the stacks are walked to their ends: {text}");
}

#[test]
fn gdb_shows_the_fibers_of_a_live_process_and_of_a_core() {
    if !has_gdb() {
        eprintln!("there is no gdb with Python here: its script is not tested");
        return;
    }
    let folder = std::env::temp_dir().join(format!("abaca-core-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let this = std::env::current_exe().unwrap();
    let mut process = child::command("stuck", &folder).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let program = this.to_str().unwrap();
    let live = gdb(&["-p", &process.id().to_string()]);
    if live.contains("ptrace: ") || live.contains("Could not attach") {
        eprintln!("gdb may not attach to a process here");
    } else {
        check(&live);
    }
    assert!(Command::new("kill").args(["-ABRT", &process.id().to_string()]).status().unwrap().success());
    process.wait().unwrap();
    let core = std::fs::read_dir(&folder).unwrap().flatten().next();
    match core {
        Some(core) => check(&gdb(&[program, core.path().to_str().unwrap()])),
        None => eprintln!("the kernel writes no core into the folder of a process here"),
    }
    std::fs::remove_dir_all(folder).unwrap();
}
