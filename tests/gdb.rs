//! gdb with the script of this repository, on a process or on a core.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

/// What gdb prints for the commands of the script, on a process (`-p PID`) or a core (the program and the core).
fn gdb(target: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gdb/abaca.py");
    let mut command = Command::new("gdb");
    command.args(["-q", "-batch", "-nx"]).args(target);
    let source = format!("source {}", script.display());
    for line in [source.as_str(), "abaca fibers", "abaca locks", "abaca apply all bt"] {
        command.args(["-ex", line]);
    }
    let output = command.output().expect("gdb starts");
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

fn has_gdb() -> bool {
    let asked = Command::new("gdb").args(["-q", "-batch", "-nx", "-ex", "python print(6 * 7)"]).output();
    asked.is_ok_and(|output| output.stdout == b"42\n")
}

/// Starts this test binary anew by `command`, waits until it says that it is ready, and calls `check` with what gdb shows of the process,
/// and then of the core that it leaves in `folder`, which is made and removed. Where there is no gdb with Python, no right to use it, or no core,
/// it says so.
pub fn with_gdb(folder: &Path, command: impl FnOnce() -> Command, check: impl Fn(&str)) {
    if !has_gdb() {
        eprintln!("there is no gdb with Python here: its script is not tested");
        return;
    }
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let this = std::env::current_exe().expect("this test has a path");
    let mut process = command().spawn().expect("the child starts");
    let lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
    let is_ready = lines.map_while(Result::ok).any(|line| line.ends_with("ready"));
    assert!(is_ready, "the child has ended");
    let live = gdb(&["-p", &process.id().to_string()]);
    if live.contains("ptrace: ") || live.contains("Could not attach") {
        eprintln!("gdb may not attach to a process here");
    } else {
        check(&live);
    }
    let killed = Command::new("kill").args(["-ABRT", &process.id().to_string()]).status();
    assert!(killed.expect("there is `kill`").success());
    process.wait().expect("the child is ours");
    match std::fs::read_dir(folder).expect("the folder is there").flatten().next() {
        Some(core) => check(&gdb(&[&this.to_string_lossy(), &core.path().to_string_lossy()])),
        None => eprintln!("the kernel writes no core into the folder of a process here"),
    }
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

/// `command` in a shell that lets it leave a core in `folder`, with its output piped.
pub fn leaving_a_core(command: &Command, folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.expect("nothing is taken away"));
    }
    shell.current_dir(folder).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    shell
}
