//! Runs examples, each in a process and a folder of its own, some at once.
//!
//! A crash or a hang is one example's failure: the program ends itself when its time is over.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use crate::form::Form;
use crate::stage::Stage;

/// Where an example's `main` is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In a fiber of a new runtime.
    Fiber,
    /// On the main thread, without a runtime.
    Thread,
}

/// How one run ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) number: usize,
    pub(crate) place: Place,
    /// The exit code; none after a signal.
    pub(crate) code: Option<i32>,
    /// The last lines of its errors.
    pub(crate) words: String,
}

/// Plays all, a few at once, and says how each ended, in any order.
pub(crate) fn play(stage: &Stage, plays: Vec<(usize, Place)>) -> Vec<Ending> {
    let program = stage.program();
    let queue = Mutex::new(plays);
    let endings = Mutex::new(Vec::new());
    let lanes = thread::available_parallelism().map_or(4, usize::from) * 4;
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let Some((number, place)) = queue.lock().expect("no panic").pop() else { break };
                    let folder = stage.empty_folder(&format!("{number}-{place:?}"));
                    let ending = play_one(&program, &folder, number, place);
                    endings.lock().expect("no panic").push(ending);
                }
            });
        }
    });
    endings.into_inner().expect("no panic")
}

/// What is in an example's folder, besides the empty folder `empty` and the link `symlink.txt`.
const FILES: &[(&str, &[u8])] = &[
    ("foo.txt", b"Hello, world!"),
    ("bar.txt", b"Hello, world!"),
    ("a.txt", b"Hello, world!"),
    ("log.txt", b"a line\n"),
    ("message.txt", b"Hello, world!"),
    ("image.jpg", &[0xFF, 0xD8, 0xFF]),
    ("abcdef.txt", b"abcdef\n"),
    ("long.txt", b"twenty bytes and some more"),
    ("empty.txt", b""),
];

fn furnish(folder: &Path) -> io::Result<()> {
    for (name, content) in FILES {
        fs::write(folder.join(name), content)?;
    }
    fs::create_dir(folder.join("empty"))?;
    std::os::unix::fs::symlink("foo.txt", folder.join("symlink.txt"))
}

fn play_one(program: &Path, folder: &Path, number: usize, place: Place) -> Ending {
    furnish(folder).expect("the target directory is writable");
    let mut command = Command::new(program);
    if let Form::Unchanged(library) = crate::form() {
        command.env("LD_PRELOAD", library).env("ABACA_WORKERS", "2");
    }
    let mut child = command
        .arg(number.to_string())
        .arg(format!("{place:?}").to_lowercase())
        .current_dir(folder)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    // Most examples never read it.
    drop(child.stdin.take().expect("piped").write_all(b"a line\nand another\n"));
    let output = child.wait_with_output().expect("it ends by itself");
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<_> = errors.lines().rev().filter(|line| !line.starts_with("note: ")).take(4).collect();
    lines.reverse();
    Ending { number, place, code: output.status.code(), words: lines.join("\n") }
}
