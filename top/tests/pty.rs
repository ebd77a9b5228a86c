//! The view in a pseudo-terminal, on a program that runs here: what is seen, and what keys do.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use abaca::Runtime;
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long something may take to be seen: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is observed: a lock that a parked fiber holds, and two that wait for it.
struct Program {
    runtime: Runtime,
    directory: PathBuf,
    /// Ends a fiber that keeps its worker.
    stop: Arc<AtomicBool>,
    /// Dumps are of all runtimes of the process, and lists are counted: one program at a time.
    _alone: MutexGuard<'static, ()>,
}

impl Program {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = std::env::temp_dir().join(format!("abaca-top-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let recorder = abaca::observe::flight::Recorder::new();
        let builder =
            Runtime::builder().workers(2).stall_threshold(None).observe_at(directory.join("socket"));
        let runtime = builder.flight_recorder(recorder).build().unwrap();
        let lock = Arc::new(abaca::sync::Mutex::new(()));
        let spawn = |name: &str, f: Box<dyn FnOnce() + Send>| {
            let name = name.to_owned();
            runtime.run(move || _ = abaca::Builder::new().name(name).spawn(f).unwrap());
        };
        let (held, is_held) = std::sync::mpsc::channel();
        spawn("holder", {
            let lock = Arc::clone(&lock);
            Box::new(move || {
                let _lock = lock.lock();
                held.send(()).unwrap();
                abaca::park();
            })
        });
        is_held.recv().unwrap();
        for name in ["first", "second"] {
            let lock = Arc::clone(&lock);
            spawn(name, Box::new(move || drop(lock.lock())));
        }
        // Fibers that have not started are in no dump.
        while runtime.metrics().parked.iter().map(|(_, count)| count).sum::<u64>() < 3 {
            thread::yield_now();
        }
        Self { runtime, directory, stop: Arc::default(), _alone: alone }
    }

    /// Adds two fibers that wait for each other's lock, and then one that keeps its worker.
    fn fall_sick(&self) {
        let (locks, both) =
            (Arc::new([(); 2].map(abaca::sync::Mutex::new)), Arc::new(abaca::sync::Barrier::new(2)));
        self.runtime.run(move || {
            for number in 0..2 {
                let (locks, both) = (Arc::clone(&locks), Arc::clone(&both));
                let cross = move || {
                    let _mine = locks[number].lock();
                    both.wait();
                    drop(locks[1 - number].lock());
                };
                abaca::Builder::new().name(format!("crossed {number}")).spawn(cross).unwrap();
            }
        });
        while self.runtime.metrics().parked.iter().all(|parked| *parked != ("mutex", 4)) {
            thread::yield_now();
        }
        let stop = Arc::clone(&self.stop);
        drop(self.runtime.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }));
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// abaca-top in a terminal of its own.
struct Top {
    child: Child,
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Top {
    fn start(socket: &Path, directory: &Path) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_abaca-top")), socket, directory)
    }

    fn start_by(mut command: Command, socket: &Path, directory: &Path) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 30, ws_col: 140, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal =
            open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let side = || Stdio::from(terminal.try_clone().unwrap());
        let child = command
            .args(["--interval", "0.05"])
            .arg(socket)
            .current_dir(directory)
            .env("TERM", "xterm-256color")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(30, 140, 0)));
        let mut output = File::from(master.try_clone().unwrap());
        let reading = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // At its end the other side is closed, which is an error here.
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                reading.lock().unwrap().process(&bytes[..length]);
            }
        });
        Self { child, keys: File::from(master), screen }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen is as it should be, all of it: a part may be drawn before another.
    fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let text = self.text();
            if is_so(&text) {
                return text;
            }
            assert!(began.elapsed() < PATIENCE, "{what}:\n{text}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_view_shows_fibers_holders_and_stacks_and_obeys_keys() {
    let program = Program::new();
    let mut top = Top::start(&program.socket(), &program.directory);
    let parts = ["3 fibers", "worker", "holder", "first", "second", "mutex", "held by", "park", "pty.rs"];
    top.wait_until("the fibers are listed", |text| parts.iter().all(|part| text.contains(part)));
    top.press("2");
    let holders = ["fibers that others wait for: 1", "park for"];
    top.wait_until("a holder that is parked", |text| holders.iter().all(|part| text.contains(part)));
    top.press("3");
    top.wait_until("reasons", |text| text.contains("states and reasons: 2") && text.contains("mutex"));
    // The most frequent reason is selected: its fibers are shown.
    top.press("\r");
    top.wait_until("a filter", |text| text.contains("fibers by longest wait: 2, filter: mutex"));
    top.press("\u{1b}");
    top.wait_until("no filter", |text| text.contains("fibers by longest wait: 3"));
    top.press("/second\r");
    top.wait_until("a typed filter", |text| text.contains("fibers by longest wait: 1, filter: second"));
    top.press("\r");
    let stack = ["stack of fiber", "waits for", "bytes of stack in use"];
    top.wait_until("a stack", |text| stack.iter().all(|part| text.contains(part)));
    top.press("\u{1b}");
    top.wait_until("the list again", |text| !text.contains("stack of fiber"));
    // One after the other: together they would be Alt-S.
    top.press("\u{1b}");
    top.wait_until("no filter", |text| text.contains("fibers by longest wait: 3"));
    top.press("s");
    top.wait_until("another order", |text| text.contains("fibers by id: 3"));
    top.press("f");
    top.wait_until("frozen", |text| text.contains("FROZEN"));
    program.runtime.run(|| _ = abaca::Builder::new().name("newcomer".into()).spawn(abaca::park));
    top.press("w");
    let saved = ["saved abaca-top-", ".json and abaca-top-"];
    let text = top.wait_until("saved", |text| saved.iter().all(|part| text.contains(part)));
    assert!(!text.contains("newcomer"), "{text}");
    let saved = |end: &str| -> Vec<PathBuf> {
        let files = fs::read_dir(&program.directory).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| file.to_string_lossy().ends_with(end)).collect()
    };
    assert_eq!((saved(".html").len(), saved(".part").len()), (1, 0));
    // What is saved is what is shown.
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&saved(".json")[0]).unwrap()).unwrap();
    let names: Vec<_> =
        json["dump"]["fibers"].as_array().unwrap().iter().map(|fiber| &fiber["name"]).collect();
    assert!(names.len() == 3 && names.iter().all(|name| *name != "newcomer"), "{names:?}");
    top.press("f");
    top.wait_until("thawed", |text| text.contains("newcomer") && !text.contains("FROZEN"));
    top.press("q");
    assert!(top.child.wait().unwrap().success());
}

#[test]
fn a_snapshot_that_cannot_be_written_is_told_and_ends_nothing() {
    let program = Program::new();
    // Nobody can make a file there.
    let mut top = Top::start(&program.socket(), Path::new("/proc"));
    top.wait_until("the fibers are listed", |text| text.contains("second"));
    top.press("w");
    top.wait_until("why not", |text| text.contains("cannot write abaca-top-"));
    top.press("2");
    top.wait_until("it goes on", |text| text.contains("fibers that others wait for: 1"));
    top.press("q");
    assert!(top.child.wait().unwrap().success());
}

#[test]
fn a_snapshot_for_which_there_is_no_room_leaves_no_part_of_it() {
    let program = Program::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_abaca-top")]);
    let mut top = Top::start_by(shell, &program.socket(), &program.directory);
    top.wait_until("the fibers are listed", |text| text.contains("second"));
    top.press("w");
    top.wait_until("why not", |text| text.contains("cannot write abaca-top-"));
    let left: Vec<_> =
        fs::read_dir(&program.directory).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["socket"]);
    top.press("q");
    assert!(top.child.wait().unwrap().success());
}

#[test]
fn a_hog_and_a_deadlock_are_on_the_screen() {
    let program = Program::new();
    program.fall_sick();
    let mut top = Top::start(&program.socket(), &program.directory);
    top.wait_until("a circle", |text| {
        text.contains("DEADLOCK: fibers ") && text.contains("wait for each other")
    });
    // At its worker, and at the fiber.
    let text = top.wait_until("a hog", |text| text.matches("HOG ").count() == 2);
    assert!(text.contains("crossed 0") && text.contains("crossed 1"), "{text}");
    top.press("q");
    assert!(top.child.wait().unwrap().success());
}

#[test]
fn a_program_that_ends_ends_the_view_with_a_message() {
    let program = Program::new();
    let mut top = Top::start(&program.socket(), &program.directory);
    top.wait_until("the fibers are listed", |text| text.contains("second"));
    drop(program);
    assert_eq!(top.child.wait().unwrap().code(), Some(1));
    top.wait_until("why", |text| text.contains("abaca-top: the program does not answer"));
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_abaca-top")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn scripts_get_one_look_as_json() {
    let program = Program::new();
    let (code, out, err) = run(&["--json", program.socket().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["metrics"]["abaca_fibers"], 3);
    let names = json["dump"]["fibers"].as_array().unwrap().iter().filter_map(|fiber| fiber["name"].as_str());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["first", "holder", "second"]);
}

#[test]
fn leaks_are_told_of_a_running_program() {
    let program = Program::new();
    // Words that the programs before have left in the memory of this process may hide one, or some.
    let leaked = 10;
    program.runtime.run(move || {
        for _ in 0..leaked {
            let leak = || {
                let (sender, receiver) = abaca::channel::bounded::<u8>(1);
                let _ = receiver.recv();
                drop(sender);
            };
            _ = abaca::Builder::new().name("leaked".into()).spawn(leak);
        }
    });
    while program.runtime.metrics().parked.iter().map(|(_, count)| count).sum::<u64>() < 3 + leaked {
        thread::yield_now();
    }
    let (code, out, err) = run(&["--leaks", program.socket().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("that nobody can wake any more")
            && out.contains("'leaked'")
            && !out.contains("'holder'"),
        "{out}"
    );
}

#[test]
fn a_dump_of_a_running_program_is_text() {
    let program = Program::new();
    let (code, out, err) = run(&["--dump", program.socket().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("abaca: ") && out.contains("'holder'"), "{out}");
    assert!(out.contains(", held by fiber "), "{out}");
}

#[test]
fn an_answer_that_cannot_be_printed_is_an_error_and_one_that_nobody_reads_is_none() {
    let program = Program::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (unread, closed) = std::io::pipe().unwrap();
    drop(unread);
    for (out, code) in [(Stdio::from(full), 1), (Stdio::from(closed), 0)] {
        let top = Command::new(env!("CARGO_BIN_EXE_abaca-top"))
            .arg("--dump")
            .arg(program.socket())
            .stdout(out)
            .output();
        let top = top.unwrap();
        let err = String::from_utf8_lossy(&top.stderr);
        assert_eq!(
            (top.status.code(), err.contains("cannot print the answer")),
            (Some(code), code == 1),
            "{err}"
        );
    }
}

#[test]
fn a_socket_that_nobody_listens_at_and_a_wrong_command_line_are_errors() {
    let (code, _, err) = run(&["/nowhere/at/all"]);
    assert!(code == Some(1) && err.contains("no program listens at /nowhere/at/all"), "{err}");
    let (code, _, err) = run(&["--what"]);
    assert!(code == Some(2) && err.starts_with("usage:"), "{err}");
}
