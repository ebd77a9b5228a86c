//! Children that fail are errors with words, and none outlives its parent.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use abaca_lab::busy_loop::BusyLoop;
use abaca_lab::child::{Launcher, StartError};
use abaca_lab::models::{self, Options};

fn lab() -> Launcher {
    Launcher::new(Path::new(env!("CARGO_BIN_EXE_abaca-lab")))
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn options() -> Options {
    let backend = ([127, 0, 0, 1], 9).into();
    Options { backend, workers: 1, pool: 4, busy_loop: BusyLoop { iterations_per_us: 1.0 } }
}

/// Whether a process is over: gone, or a zombie that waits for its parent to notice.
fn is_over(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

/// Returns when the process is over, which the kernel sees to in its own time.
fn wait_for_end(pid: u32) {
    while !is_over(pid) {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_child_that_crashes_at_its_start_tells_why() {
    let error = lab().start(shell("echo out of maps >&2; exit 3")).expect_err("it exits");
    assert!(matches!(&error, StartError::Exited { status, .. } if status.code() == Some(3)), "{error:?}");
    assert!(error.to_string().contains("out of maps"), "{error}");
}

/// As of a Ctrl-C that came before the child had a process group of its own.
#[test]
fn a_child_that_is_interrupted_at_its_start_is_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = shell(
        "echo begun >> starts; [ $(wc -l < starts) -gt 1 ] || kill -INT $$; echo 127.0.0.1:9; read line",
    );
    child.current_dir(folder.path());
    let server = lab().start(child).expect("it starts the second time");
    assert_eq!(server.address(), ([127, 0, 0, 1], 9).into());
    let mut child = shell("echo begun >> starts; kill -INT $$");
    child.current_dir(folder.path());
    let error = lab().start(child).expect_err("it never starts");
    assert!(matches!(&error, StartError::Exited { .. }), "{error:?}");
    let starts = std::fs::read_to_string(folder.path().join("starts")).expect("text");
    assert_eq!(starts.lines().count(), 4, "it is not tried for ever");
}

#[test]
fn a_child_that_hangs_is_given_up_and_killed() {
    let hasty = lab().start_timeout(Duration::from_millis(100));
    let error = hasty.start(shell("sleep 1000")).expect_err("it prints nothing");
    assert!(matches!(error, StartError::Hung(_)), "{error:?}");
}

#[test]
fn what_is_no_program_and_what_is_no_address_are_told_apart() {
    let error = lab().start(Command::new("no-such-program")).expect_err("there is none");
    assert!(matches!(error, StartError::Spawn(_)), "{error:?}");
    let error = lab().start(shell("echo hello; sleep 1000")).expect_err("it prints no address");
    assert!(matches!(&error, StartError::Nonsense(line) if line.trim() == "hello"), "{error:?}");
}

#[test]
fn a_model_that_listens_must_answer() {
    // The kernel takes its connections, and nobody reads them.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = deaf.local_addr().expect("an address");
    // On a busy machine the shell may need more than a little time for its one line.
    let ask = |exponent| {
        let hasty = lab().start_timeout(Duration::from_millis(100 * 4_u64.pow(exponent)));
        hasty.start_and_ask(shell(&format!("echo {address}; sleep 1000"))).expect_err("nobody answers")
    };
    let error =
        (0..5).map(ask).find(|error| !matches!(error, StartError::Hung(_))).expect("a line comes in time");
    assert!(matches!(error, StartError::Mute(_)), "{error:?}");

    let nobody = TcpListener::bind("127.3.0.3:0").and_then(|it| it.local_addr()).expect("a port");
    let script = format!("echo {nobody}; echo no module of that name >&2; exit 1");
    let error = lab().start_and_ask(shell(&script)).expect_err("it has ended");
    assert!(error.to_string().contains("no module of that name"), "{error}");
}

#[test]
fn a_model_that_dies_while_it_serves_has_failed() {
    let mut server =
        lab().start(shell("echo 127.0.0.1:1; echo no more memory >&2; exit 9")).expect("an address");
    wait_for_end(server.pid());
    let failure = server.failure().expect("it has ended");
    assert!(failure.contains("no more memory"), "{failure}");
    assert!(failure.contains("exit status: 9"), "{failure}");
}

#[test]
fn processes_of_a_model_end_with_it() {
    let model = models::find("preforked").expect("it is listed");
    let server = lab().model(model, &options()).expect("it starts");
    let pids = loop {
        let pids = server.processes();
        if pids.len() == 1 + options().pool {
            break pids;
        }
    };
    drop(server);
    pids.into_iter().for_each(wait_for_end);
}

#[test]
fn a_child_ends_with_the_thread_that_started_it() {
    let pid = thread::spawn(|| {
        let server = lab().delay_server().expect("it starts");
        let pid = server.pid();
        // As if this process were killed: nothing is dropped.
        std::mem::forget(server);
        pid
    });
    wait_for_end(pid.join().expect("no panic"));
}

#[test]
fn a_child_ends_with_its_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_abaca-lab"))
        .args(["serve", "threads"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the lab is built");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("an address");
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}
