//! `abaca::process` and `io::pipe`: children and pipes park their fiber, and answer as std's do.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abaca::Cancelled;
use abaca::process::{Command, Stdio};

use super::{Folder, one_worker};

/// A child that ends when its standard input does.
fn cat() -> Command {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

#[test]
fn a_command_answers_as_stds_does() {
    fn all<T: std::fmt::Debug>(results: Vec<io::Result<T>>) -> String {
        results
            .into_iter()
            .map(|said| format!("{:?}\n", said.map_err(|e| (e.kind(), e.to_string()))))
            .collect()
    }
    macro_rules! transcript {
        ($command:path) => {{
            use $command as Command;
            let sh = |script: &str| {
                let mut command = Command::new("sh");
                command.args(["-c", script]).env("WORD", "set").env_remove("HOME").current_dir("/");
                command
            };
            let outputs = vec![
                sh("echo out; echo err >&2; exit 3").output(),
                sh("pwd; echo $WORD $HOME; cat").output(),
                sh("kill -9 $$").output(),
                sh("true").stdout(std::process::Stdio::null()).output(),
                Command::new("/nonexistent/program").output(),
                Command::new("/etc/passwd").output(),
                Command::new("true").current_dir("/nonexistent").output(),
                Command::new("env").env_clear().env("ONLY", "this").output(),
                Command::new("nul\0byte").output(),
            ];
            let statuses = vec![sh("exit 7").status(), sh("kill $$").status()];
            let mut twice = sh("echo again");
            let again = vec![twice.output(), twice.output()];
            let shown = format!("{:?} {:?}", sh("true"), sh("x").get_args().collect::<Vec<_>>());
            all(outputs) + &all(statuses) + &all(again) + &shown
        }};
    }
    let theirs = transcript!(std::process::Command);
    assert_eq!(one_worker().run(|| transcript!(abaca::process::Command)), theirs);
    assert_eq!(transcript!(abaca::process::Command), theirs);
}

#[test]
fn the_worker_runs_others_while_one_fiber_waits_for_a_child() {
    one_worker().run(|| {
        let mut child = cat().spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let waiter = abaca::spawn(move || child.wait().unwrap());
        // The child ends when this fiber, of the same worker, lets it.
        let closer = abaca::spawn(move || drop(stdin));
        assert!(waiter.join().unwrap().success());
        closer.join().unwrap();
        assert_eq!(abaca::blocking::metrics().completed, 0, "nobody waits on a thread");
    });
}

#[test]
fn the_pipes_of_a_child_park_their_fibers() {
    one_worker().run(|| {
        let mut child = cat().spawn().unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let reader =
            abaca::spawn(move || BufReader::new(stdout).lines().map(Result::unwrap).collect::<Vec<_>>());
        for number in 0..3 {
            writeln!(stdin, "line {number}").unwrap();
        }
        // More than a pipe holds, so the writer waits for the child, and the child for the reader.
        stdin.write_all(&vec![b'x'; 300_000]).unwrap();
        drop(stdin);
        let lines = reader.join().unwrap();
        assert_eq!(lines[..3], ["line 0", "line 1", "line 2"]);
        assert_eq!(lines[3].len(), 300_000);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn both_outputs_are_read_at_once() {
    // Each fills one pipe before it goes on with the other.
    let script = "head -c 200000 /dev/zero; head -c 300000 /dev/zero >&2; head -c 100000 /dev/zero";
    let run = || {
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        assert!(output.status.success());
        assert_eq!((output.stdout.len(), output.stderr.len()), (300_000, 300_000));
    };
    one_worker().run(run);
    run();
}

#[test]
fn a_wait_times_out_and_the_child_can_be_killed() {
    let run = || {
        let mut child = cat().spawn().unwrap();
        assert_eq!(child.wait_timeout(Duration::from_millis(2)).unwrap(), None);
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(child.stdin.is_some(), "only a wait without end closes it");
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // Known from now on.
        assert_eq!(child.wait_timeout(Duration::ZERO).unwrap().and_then(|status| status.signal()), Some(9));
        child.kill().unwrap();
    };
    one_worker().run(run);
    run();
}

#[test]
fn a_cancelled_wait_leaves_the_child_waitable() {
    let runtime = one_worker();
    let (mut child, waits) = (cat().spawn().unwrap(), Arc::new(AtomicBool::new(false)));
    let id = child.id();
    let says = Arc::clone(&waits);
    let stdin = child.stdin.take().unwrap();
    let (sender, receiver) = abaca::channel::bounded(1);
    let fiber = runtime.spawn(move || {
        says.store(true, Ordering::SeqCst);
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child.wait().unwrap()));
        sender.send(child).unwrap();
        if let Err(payload) = waited {
            std::panic::resume_unwind(payload);
        }
    });
    runtime.run(|| super::wait_until(|| waits.load(Ordering::SeqCst)));
    fiber.cancel();
    assert!(fiber.join().unwrap_err().is::<Cancelled>());
    let mut child = receiver.recv().unwrap();
    assert_eq!((child.id(), child.try_wait().unwrap()), (id, None));
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn shutdown_ends_waits_for_children_and_pipes() {
    let runtime = one_worker();
    let (mut child, mut other) = (cat().spawn().unwrap(), cat().spawn().unwrap());
    let (stdin, others_stdin) = (child.stdin.take(), other.stdin.take());
    let (reader, writer) = abaca::io::pipe().unwrap();
    let (full_reader, full_writer) = abaca::io::pipe().unwrap();
    let fibers = [
        runtime.spawn(move || drop(child.wait())),
        runtime.spawn(move || drop(other.wait_with_output())),
        runtime.spawn(move || drop((&reader).read(&mut [0]))),
        runtime.spawn(move || drop((&full_writer).write_all(&vec![0; 1 << 20]))),
    ];
    runtime.run(|| (0..10).for_each(|_| abaca::yield_now()));
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    for fiber in fibers {
        assert!(fiber.join().unwrap_err().is::<Cancelled>());
    }
    drop((stdin, others_stdin, full_reader));
    // The reading end went with its fiber. A child that a test beside starts has a copy of it until it executes its
    // program; then a write fails, if not the first.
    let error = loop {
        if let Err(error) = (&writer).write(b"x") {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_pipe_joins_fibers_threads_and_children_in_any_order() {
    one_worker().run(|| {
        let (mut reader, writer) = abaca::io::pipe().unwrap();
        // The child gets a blocking descriptor, as it expects.
        let mut echo = Command::new("sh");
        let mut child =
            echo.args(["-c", "echo from a child"]).stdout(writer.try_clone().unwrap()).spawn().unwrap();
        drop(echo);
        assert!(child.wait().unwrap().success());
        let thread = std::thread::spawn({
            let mut writer = writer.try_clone().unwrap();
            move || writer.write_all(b"from a thread\n").unwrap()
        });
        thread.join().unwrap();
        let mut std_writer = std::io::PipeWriter::from(writer);
        std_writer.write_all(b"from std\n").unwrap();
        drop(std_writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "from a child\nfrom a thread\nfrom std\n");
        let _fd: OwnedFd = reader.into();
    });
}

#[test]
fn a_pipe_on_plain_threads_blocks_them() {
    let (mut reader, mut writer) = abaca::io::pipe().unwrap();
    let thread = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    writer.write_all(&vec![7; 200_000]).unwrap();
    drop(writer);
    assert_eq!(thread.join().unwrap(), 200_000);
}

#[test]
fn a_childs_output_goes_to_a_file_and_to_the_next_child() {
    let folder = Folder::new();
    let path = folder.path().join("out");
    one_worker().run(|| {
        let mut first = Command::new("echo").arg("b\na").stdout(Stdio::piped()).spawn().unwrap();
        let file = abaca::fs::File::create(&path).unwrap();
        let mut sort = Command::new("sort");
        let second = sort.stdin(first.stdout.take().unwrap()).stdout(file).status().unwrap();
        assert!(second.success() && first.wait().unwrap().success());
        assert_eq!(abaca::fs::read_to_string(&path).unwrap(), "a\nb\n");
    });
}

#[test]
fn the_kernel_copies_through_a_child_and_leaves_its_pipes_as_they_were() {
    use abaca::io::copy_fd;
    use socket2::SockRef;
    let content: Vec<u8> = (0..1_000_001_u32).map(|n| (n % 251) as u8).collect();
    one_worker().run(|| {
        let folder = Folder::new();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        std::fs::write(&source, &content).unwrap();
        let mut child = cat().spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let feeding = abaca::spawn(move || {
            let copied = copy_fd(&std::fs::File::open(&source).unwrap(), &stdin).unwrap();
            (copied, SockRef::from(&stdin).nonblocking().unwrap())
        });
        let copied = copy_fd(&stdout, &std::fs::File::create(&target).unwrap()).unwrap();
        assert_eq!((copied, SockRef::from(&stdout).nonblocking().unwrap()), (content.len() as u64, false));
        assert_eq!(feeding.join().unwrap(), (content.len() as u64, false));
        assert!(std::fs::read(&target).unwrap() == content);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn long_outputs_are_read_whole() {
    const MIB: usize = 1 << 20;
    // They end at, before and after the ends of the turns in which they are read.
    for (stdout, stderr) in [(MIB, 3 * MIB), (3 * MIB - 1, MIB + 1)] {
        let script = format!("head -c {stdout} /dev/zero & head -c {stderr} /dev/zero >&2; wait");
        let output = one_worker().run(|| Command::new("sh").args(["-c", &script]).output().unwrap());
        assert_eq!((output.stdout.len(), output.stderr.len()), (stdout, stderr));
    }
}

#[test]
fn a_command_keeps_its_streams_when_the_wait_for_its_output_is_cancelled() {
    one_worker().run(|| {
        // Both children end with their input.
        let (reader, writer) = abaca::io::pipe().unwrap();
        let mut command = Command::new("cat");
        command.stdin(reader);
        assert!(abaca::time::timeout(Duration::from_millis(1), || command.output()).is_err());
        let mut child = command.spawn().unwrap();
        assert!(child.stdout.is_none() && child.stderr.is_none());
        drop(writer);
        assert!(child.wait().unwrap().success());
    });
}
