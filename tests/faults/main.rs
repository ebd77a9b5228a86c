//! Every system call that a program makes through the runtime may fail. Each scenario of `child/scenarios` is run in a process
//! of its own, once for each call that it makes, which there ends with an error: it must give the right answer all the same,
//! or a clear error, in a few seconds, leave nothing behind, and work again afterwards.
//!
//! The calls are refused by the kernel (`child/injector.rs`), so what is tested is what ships. Of each kind of call the first and
//! the last are tried; with `FAULTS=some` others as well, and all from the first on; with `FAULTS=all` each in turn.

mod kinds;

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kinds::{KINDS, Kind};

/// What a scenario may take that takes milliseconds.
const LIMIT: Duration = Duration::from_secs(120);

/// A call that fails from some point on for ever.
const ALWAYS: u32 = u32::MAX;

/// What the child says, and how it ended.
struct End {
    text: String,
    code: Option<i32>,
    signal: Option<i32>,
    hung: bool,
}

/// Runs the child program with these words.
fn child(words: &[&str]) -> End {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fault"));
    command.args(words).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the child starts");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let listener = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.read_to_end(&mut text);
        text
    });
    let other = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = err.read_to_end(&mut text);
        text
    });
    let deadline = Instant::now() + LIMIT;
    let mut hung = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break status;
        }
        if Instant::now() > deadline {
            hung = true;
            child.kill().expect("it is our child");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let mut text = listener.join().expect("it reads");
    text.extend(other.join().expect("it reads"));
    let text = String::from_utf8_lossy(&text).into_owned();
    End { text, code: status.code(), signal: status.signal(), hung }
}

/// Why an end is none that a program may come to, if it is.
fn fault(end: &End) -> Option<&'static str> {
    const SIGABRT: i32 = 6;
    // What the runtime, std and the allocator say before they give up.
    const LAST_WORDS: &[&str] = &["abaca: ", "memory allocation of ", "os error", "code: "];
    match (end.code, end.signal) {
        _ if end.hung => Some("hangs"),
        (Some(0), _) => None,
        (Some(3), _) if !end.text.contains("WRONG") => None,
        (Some(3 | 4), _) => Some("gives a wrong answer, or an unclear one"),
        (Some(5), _) => Some("leaves something behind"),
        (Some(6), _) => Some("does not work afterwards"),
        (Some(97), _) => Some("leaves something behind at the end of the process"),
        (_, Some(SIGABRT)) if LAST_WORDS.iter().any(|words| end.text.contains(words)) => None,
        (_, Some(_)) => Some("dies without a word"),
        _ => Some("ends strangely"),
    }
}

/// How many of the faults are tried.
#[derive(PartialEq)]
enum Extent {
    Few,
    Some,
    All,
}

fn extent() -> Extent {
    match std::env::var("FAULTS").as_deref() {
        Ok("all") => Extent::All,
        Ok("some") => Extent::Some,
        Ok(other) => panic!("FAULTS is `some` or `all`, not `{other}`"),
        Err(_) => Extent::Few,
    }
}

/// Which of `count` calls are to fail.
fn chosen(count: u32) -> Vec<u32> {
    let mut chosen = match extent() {
        Extent::Few => vec![1, count],
        Extent::Some => vec![1, 2, count / 2, count],
        Extent::All => (1..=count).collect(),
    };
    chosen.retain(|n| (1..=count).contains(n));
    chosen.dedup();
    chosen
}

/// Runs `scenario` with every fault that is to be tried; panics with all that went wrong.
fn explore(scenario: &str) {
    let clean = child(&[scenario, "count"]);
    assert_eq!(clean.code, Some(0), "{scenario} works: {}", clean.text);
    let count_of = |kind: &Kind| {
        let start = format!("{} ", kind.number);
        let line = clean.text.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |count| count.parse::<u32>().expect("a count"))
    };
    let mut cases = Vec::new();
    for kind in KINDS {
        let count = count_of(kind);
        for errno in kind.errors {
            cases.extend(chosen(count).into_iter().map(|first| (kind.name, *errno, first, 1)));
            // From the first on: no kernel says EINTR for ever, and without write(2) nobody could say what is wrong.
            let passes = [libc::EINTR, libc::EAGAIN].contains(errno) || kind.name == "write";
            if count > 0 && !passes && extent() != Extent::Few {
                cases.push((kind.name, *errno, 1, ALWAYS));
            }
        }
    }
    let (next, refused, found) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((call, errno, first, times)) = cases.get(next.fetch_add(1, Relaxed)) {
            let words = [scenario, call, &errno.to_string(), &first.to_string(), &times.to_string()];
            let end = child(&words);
            if !end.text.contains("refused: 0\n") {
                refused.fetch_add(1, Relaxed);
            }
            if let Some(fault) = fault(&end) {
                let status = end.code.or(end.signal);
                let report = format!("{}: {fault} ({status:?})\n    {}", words.join(" "), end.text.trim());
                found.lock().unwrap_or_else(PoisonError::into_inner).push(report);
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (tried, refused) = (cases.len(), refused.into_inner());
    println!("{scenario}: {tried} faults tried, {refused} met a call");
    assert!(found.is_empty(), "{} of {tried} faults end badly:\n  {}", found.len(), found.join("\n  "));
    // Calls are not made in the same number each time, but mostly they are.
    assert!(tried > 0 && refused * 2 > tried, "only {refused} of {tried} faults met a call");
}

macro_rules! explored {
    ($($scenario:ident),+ $(,)?) => {
        $(#[test]
        fn $scenario() {
            explore(stringify!($scenario));
        })+
    };
}

explored!(
    start_and_stop,
    spawn_and_join,
    channels,
    timers,
    big_stacks,
    coroutines,
    blocking,
    tcp,
    tcp_on_a_poller_thread,
    server,
    udp,
    unix,
    descriptors_sent,
    names,
    pipes,
    copies,
    files,
    output,
    children,
    outputs,
    signals,
);

/// Where the first and the last call of a kind do not tell of the fault, which depends on who is faster: all are tried.
fn explore_each(scenario: &str, call: &str, errno: i32, calls: u32) {
    for first in 1..=calls {
        let end = child(&[scenario, call, &errno.to_string(), &first.to_string(), "1"]);
        assert_eq!(fault(&end), None, "{scenario} {call} {errno} {first}: {}", end.text);
    }
}

/// Who believes that there is nothing waits for an event that has been.
#[test]
fn no_look_that_is_interrupted_has_found_nothing() {
    explore_each("outputs", "epoll_wait", libc::EINTR, 24);
}

/// What has been written and cannot be taken from the reader would be written again.
#[test]
fn no_byte_is_copied_twice() {
    explore_each("copies", "recvfrom", libc::ECONNRESET, 36);
}
