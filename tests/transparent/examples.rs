//! The examples of std's documentation for threads, locks and channels, as they are: each runs in a thread of its own, which is a fiber, as
//! are the threads that it starts (`libabaca_preload.so`). The short form of `tests/mirror` with unchanged paths.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::html::{self, Fate};
use crate::preload::library;

/// One example, as `html` finds it.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) section: String,
    pub(crate) nth: usize,
    pub(crate) fate: Fate,
    pub(crate) code: String,
}

/// Pages below the documentation of std.
const PAGES: &[&str] = &[
    "thread/index.html",
    "thread/fn.current.html",
    "thread/fn.panicking.html",
    "thread/fn.park.html",
    "thread/fn.scope.html",
    "thread/fn.sleep.html",
    "thread/fn.spawn.html",
    "thread/fn.yield_now.html",
    "thread/struct.Builder.html",
    "thread/struct.JoinHandle.html",
    "thread/struct.LocalKey.html",
    "thread/struct.Scope.html",
    "thread/struct.ScopedJoinHandle.html",
    "thread/struct.Thread.html",
    "sync/struct.Barrier.html",
    "sync/struct.Condvar.html",
    "sync/struct.LazyLock.html",
    "sync/struct.Mutex.html",
    "sync/struct.Once.html",
    "sync/struct.OnceLock.html",
    "sync/struct.RwLock.html",
    "sync/mpsc/index.html",
    "sync/mpsc/fn.channel.html",
    "sync/mpsc/fn.sync_channel.html",
    "sync/mpsc/struct.Receiver.html",
    "sync/mpsc/struct.Sender.html",
    "sync/mpsc/struct.SyncSender.html",
];

/// What is left out: code that its authors compile and do not run, which a page does not tell, or that waits for ever.
fn is_left_out(code: &str) -> bool {
    code.contains("#![feature(")
        || code.contains("wait_timeout_ms")
        || code.contains("sleep_ms")
        || code.contains("park_timeout_ms")
}

const MAIN: &str = r#"
fn main() -> std::process::ExitCode {
    let number: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    match std::thread::spawn(ALL[number]).join() {
        Ok(code) => code,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}
"#;

/// Makes one program of all.
fn build(examples: &[Example]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unchanged");
    fs::create_dir_all(&folder).unwrap();
    let mut main = String::from("#![allow(warnings)]\n");
    for (number, example) in examples.iter().enumerate() {
        let play = "pub fn play() -> std::process::ExitCode { std::process::Termination::report(main()) }";
        fs::write(folder.join(format!("e{number}.rs")), format!("{}\n{play}\n", example.code)).unwrap();
        main.push_str(&format!("mod e{number};\n"));
    }
    let plays = (0..examples.len()).map(|number| format!("e{number}::play, ")).collect::<String>();
    main.push_str(&format!("const ALL: &[fn() -> std::process::ExitCode] = &[{plays}];\n{MAIN}"));
    fs::write(folder.join("main.rs"), main).unwrap();
    let program = folder.join("play");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2024", "-C", "debuginfo=0", "-o"])
        .arg(&program)
        .arg(folder.join("main.rs"))
        .output()
        .expect("rustc runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

#[test]
fn std_s_examples_pass_as_they_are_on_fibers() {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc runs").stdout;
    let docs = PathBuf::from(String::from_utf8(sysroot).unwrap().trim_end()).join("share/doc/rust/html/std");
    assert!(docs.exists(), "std's documentation is not installed: run `rustup component add rust-docs`");
    let examples: Vec<Example> = PAGES
        .iter()
        .flat_map(|page| html::examples(&fs::read_to_string(docs.join(page)).unwrap()))
        .filter(|example| matches!(example.fate, Fate::Passes | Fate::Panics) && !is_left_out(&example.code))
        .collect();
    assert!(examples.len() > 100, "{} examples: the pages are read as they were", examples.len());
    let program = build(&examples);
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let lane = || {
        while let Some((number, example)) = {
            let n = next.fetch_add(1, SeqCst);
            examples.get(n).map(|e| (n, e))
        } {
            let output = Command::new("timeout")
                .arg("60")
                .arg(&program)
                .arg(number.to_string())
                .env("LD_PRELOAD", library())
                .env("ABACA_WORKERS", "2")
                .stdin(Stdio::null())
                .output()
                .expect("it runs");
            let expected = if example.fate == Fate::Panics { 101 } else { 0 };
            if output.status.code() != Some(expected) {
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                failed.lock().unwrap().push(format!(
                    "e{number} {}#{}: {}\n{errors}",
                    example.section, example.nth, output.status
                ));
            }
        }
    };
    abaca_transparent::as_kernel_threads(|| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(lane);
            }
        });
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), examples.len(), failed.join("\n"));
}
