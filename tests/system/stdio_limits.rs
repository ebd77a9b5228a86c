//! Deadlines on the standard streams, where the kernel cannot be asked not to wait: FIFOs, pipes opened by a name, terminals.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use abaca::time::timeout;

use super::{Folder, is_child, one_worker};

const SOON: Duration = Duration::from_millis(5);
/// More than a pipe or a terminal holds.
const MANY: usize = 1 << 20;

/// The child's part: nobody reads what it writes, and nobody writes what it reads. Its exit status is the result.
fn give_up() {
    // It exits in the middle of a runtime. A report of that would wait for ever: nobody reads standard error.
    abaca_tests::leaks::settle();
    one_worker().run(|| {
        let neighbour = abaca::spawn(|| abaca::sleep(SOON));
        let written = timeout(SOON, || abaca::io::stdout().write_all(&[b'x'; MANY]));
        let again = timeout(SOON, || abaca::io::stdout().write_all(&[b'y'; MANY]));
        let errors = timeout(SOON, || abaca::io::stderr().write_all(&[b'z'; MANY]));
        let read = timeout(SOON, || abaca::io::stdin().read(&mut [0; 8]));
        neighbour.join().unwrap();
        // A thread that was waited for would hold up the exit of the process by nothing.
        let gave_up = [written.is_err(), again.is_err(), errors.is_err(), read.is_err()];
        let status = 40 + gave_up.iter().filter(|gave_up| **gave_up).count();
        std::process::exit(i32::try_from(status).unwrap());
    });
}

/// Runs the named test as a child with these streams, one a descriptor of the same thing; its status.
fn run(test: &str, input: Stdio, outputs: [Stdio; 2]) -> Option<i32> {
    let this = std::env::current_exe().expect("this test has a path");
    // One that hangs is a failure, and not a hung test.
    let mut command = Command::new("timeout");
    command.args(["-k", "10", "300"]).arg(this).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let [stdout, stderr] = outputs;
    command.env("ROLE", "child").stdin(input).stdout(stdout).stderr(stderr).status().unwrap().code()
}

/// Opened once more, by the name of its descriptor.
fn by_its_name(fd: &impl AsRawFd) -> Stdio {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    File::options().write(true).open(path).unwrap().into()
}

#[test]
fn a_fifo_is_given_up_in_time() {
    if is_child() {
        return give_up();
    }
    let folder = Folder::new();
    // Both ends of each are open here, so that nobody waits for anybody to open them.
    let [input, output] = ["input", "output"].map(|name| {
        let path = folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        File::options().read(true).write(true).open(path).unwrap()
    });
    let outputs = [by_its_name(&output), by_its_name(&output)];
    let status = run("stdio_limits::a_fifo_is_given_up_in_time", input.into(), outputs);
    assert_eq!(status, Some(44));
}

/// As `> /dev/stdout` does, in a shell or a container.
#[test]
fn a_pipe_that_was_opened_by_a_name_is_given_up_in_time() {
    if is_child() {
        return give_up();
    }
    let ((input, _silent), (_unread, output)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let outputs = [by_its_name(&output), by_its_name(&output)];
    let test = "stdio_limits::a_pipe_that_was_opened_by_a_name_is_given_up_in_time";
    assert_eq!(run(test, input.into(), outputs), Some(44));
}

#[test]
fn a_terminal_is_given_up_in_time() {
    if is_child() {
        return give_up();
    }
    let (_display, terminal) = abaca_tests::terminal();
    let twin = || Stdio::from(terminal.try_clone().unwrap());
    let status = run("stdio_limits::a_terminal_is_given_up_in_time", twin(), [twin(), twin()]);
    assert_eq!(status, Some(44));
    assert!(!socket2::SockRef::from(&terminal).nonblocking().unwrap(), "its mode is its own");
}

/// The result is the number of bytes that were written before the time was up.
#[test]
fn bytes_arrive_whole_and_once() {
    if is_child() {
        one_worker().run(|| {
            let mut rest: &[u8] = &[b'x'; MANY];
            while !rest.is_empty() {
                let _ = timeout(Duration::from_micros(300), || {
                    while let Some(length) = Some(abaca::io::stderr().write(rest).unwrap()).filter(|n| *n > 0)
                    {
                        rest = &rest[length..];
                    }
                });
            }
        });
        return;
    }
    let (mut reader, writer) = std::io::pipe().unwrap();
    let stderr = by_its_name(&writer);
    drop(writer);
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes.iter().filter(|&&byte| byte == b'x').count()
    });
    let status = run("stdio_limits::bytes_arrive_whole_and_once", Stdio::null(), [Stdio::null(), stderr]);
    assert_eq!(status, Some(0));
    assert_eq!(reading.join().unwrap(), MANY);
}
