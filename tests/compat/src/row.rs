//! A row of the matrix: what a program did on OS threads and on fibers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use abaca_transparent::as_kernel_threads;

use crate::call::{Answer, Call, Start};
use crate::programs::{Gone, Program, Version};
use crate::seen;
use crate::servers::Servers;

/// How many calls are made at once.
const AT_ONCE: usize = 10;
/// How long a call takes at its server: the figures are those of the first length, the best of its attempts. The others are for a
/// machine that is too busy to begin ten calls within that time.
const TIMES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(200),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];
/// How long a call takes that something ends before.
const LONG: Duration = Duration::from_secs(3);

pub(crate) const MOST_TIME: Duration = Duration::from_millis(400);
pub(crate) const MOST_LATE: Duration = Duration::from_millis(10);

/// What a program did.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// How long ten calls took at once.
    pub(crate) fibers: Duration,
    pub(crate) threads: Duration,
    /// By how much a neighbour was late meanwhile.
    pub(crate) late: Duration,
    /// The most calls that the server had at once.
    pub(crate) at_once: usize,
    pub(crate) deadline: &'static str,
    pub(crate) gone: &'static str,
    pub(crate) failures: Vec<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fibers, threads) = (self.fibers.as_millis(), self.threads.as_millis());
        let late = self.late.as_secs_f64() * 1000.0;
        write!(
            f,
            "{} {}: {} at once, {fibers} ms, threads {threads} ms, late {late:.1} ms; ",
            self.name, self.version, self.at_once
        )?;
        write!(f, "deadline {}, gone {}: {}", self.deadline, self.gone, self.verdict())
    }
}

impl Row {
    pub(crate) fn verdict(&self) -> String {
        if !self.failures.is_empty() {
            return self.failures.join("; ");
        }
        let bars = [
            (self.fibers > MOST_TIME, "more than 400 ms"),
            (self.late > MOST_LATE, "a neighbour more than 10 ms late"),
        ];
        let missed: Vec<_> =
            bars.into_iter().filter_map(|(is_missed, bar)| is_missed.then_some(bar)).collect();
        if missed.is_empty() { "works".into() } else { format!("works; {}", missed.join(", ")) }
    }
}

/// Calls `f` while a thread asks the server, if it does not tell by itself, how many calls it serves. Returns the most as well.
fn watched<R>(program: &Program, servers: &Servers, f: impl FnOnce() -> R) -> (R, usize) {
    let look = |is_over: &AtomicBool| {
        let Some(look) = program.look else { return };
        let mut look = look(servers);
        while !is_over.load(Ordering::Relaxed) {
            seen::at_once(look());
            thread::sleep(Duration::from_millis(5));
        }
    };
    wait_until(program, servers, 0);
    seen::take_most();
    let is_over = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        as_kernel_threads(|| scope.spawn(|| look(&is_over)));
        let result = f();
        is_over.store(true, Ordering::Relaxed);
        result
    });
    (result, seen::take_most())
}

/// Waits until the server serves so many calls: calls that were given up before may still be at it.
fn wait_until(program: &Program, servers: &Servers, calls: usize) {
    let mut look: Box<dyn FnMut() -> usize> = program.look.map_or(Box::new(seen::now), |look| look(servers));
    while look() != calls {
        thread::sleep(Duration::from_millis(5));
    }
}

fn on_threads(program: &Program, servers: &Servers) -> (Duration, Vec<Answer>) {
    let start = Start::of(AT_ONCE);
    let answers = as_kernel_threads(|| {
        thread::scope(|scope| {
            let call = || Call::make(program.slow, servers, TIMES[0], &start);
            let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(call)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    });
    (start.elapsed(), answers)
}

fn on_fibers(program: &Program, servers: &Servers, time: Duration) -> (Duration, Vec<Answer>, Duration) {
    let (is_over, start) = (Arc::new(AtomicBool::new(false)), Arc::new(Start::of(AT_ONCE)));
    let ticker = abaca::spawn({
        let (is_over, start) = (is_over.clone(), start.clone());
        move || {
            while !is_over.load(Ordering::Relaxed) {
                let due = Instant::now() + Duration::from_millis(2);
                abaca::sleep(Duration::from_millis(2));
                start.late.fetch_max(due.elapsed().as_micros() as u64, Ordering::Relaxed);
            }
        }
    });
    let answers = abaca::scope(|scope| {
        let call = || Call::make(program.slow, servers, time, &start);
        let fibers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(call)).collect();
        fibers.into_iter().map(|fiber| fiber.join().unwrap()).collect()
    });
    let taken = start.elapsed();
    is_over.store(true, Ordering::Relaxed);
    ticker.join().unwrap();
    (taken, answers, Duration::from_micros(start.late.load(Ordering::Relaxed)))
}

/// A call whose server goes away, made as `place` has it.
fn abandoned(
    program: &Program,
    servers: &Servers,
    place: fn(&(dyn Fn() -> Answer + Sync)) -> Answer,
) -> Option<Answer> {
    match program.gone {
        Gone::Never => None,
        Gone::Closes(call) => Some(place(&|| Call::make(call, servers, LONG, &Start::of(1)))),
        Gone::Killed(which) => {
            wait_until(program, servers, 0);
            let answer = thread::scope(|scope| {
                let killer = as_kernel_threads(|| {
                    scope.spawn(|| {
                        wait_until(program, servers, 1);
                        servers.kill(which);
                    })
                });
                let answer = place(&|| Call::make(program.slow, servers, LONG, &Start::of(1)));
                killer.join().unwrap();
                answer
            });
            servers.restart(which);
            Some(answer)
        }
    }
}

fn on_a_thread(call: &(dyn Fn() -> Answer + Sync)) -> Answer {
    as_kernel_threads(|| thread::scope(|scope| scope.spawn(call).join().unwrap()))
}

fn runtime() -> abaca::Runtime {
    abaca::Runtime::builder().workers(1).stack_size(1024 * 1024).build().unwrap()
}

fn on_a_fiber(call: &(dyn Fn() -> Answer + Sync)) -> Answer {
    runtime().run(call)
}

pub(crate) fn run(program: &'static Program, servers: &Servers) -> Row {
    let ((threads, mut expected), _) = watched(program, servers, || on_threads(program, servers));
    expected.sort();
    let mut row = Row {
        name: program.name,
        version: version(program.version),
        fibers: Duration::MAX,
        threads,
        late: Duration::MAX,
        at_once: 0,
        deadline: program.goes_on.unwrap_or("ends it"),
        gone: "",
        failures: Vec::new(),
    };
    if let Some(error) = expected.iter().find_map(|answer| answer.as_ref().err()) {
        row.failures.push(format!("on OS threads: {error}"));
    }
    for time in TIMES {
        let runtime = runtime();
        let ((taken, mut found, late), at_once) =
            watched(program, servers, || runtime.run(|| on_fibers(program, servers, time)));
        if time == TIMES[0] {
            (row.fibers, row.late) = (row.fibers.min(taken), row.late.min(late));
        }
        row.at_once = row.at_once.max(at_once);
        found.sort();
        if found != expected {
            row.failures.push(format!("answered {found:?}, not {expected:?}"));
        }
        let is_in_time = row.fibers <= MOST_TIME && row.late <= MOST_LATE || cfg!(not(feature = "whole"));
        if row.at_once == AT_ONCE && is_in_time || !row.failures.is_empty() {
            break;
        }
    }
    if row.at_once != AT_ONCE {
        row.failures.push(format!("the server had {} calls at once", row.at_once));
    }
    if program.goes_on.is_none() {
        row.failures.extend(past_its_deadline(program, servers));
    }
    let [expected, found] = [on_a_thread, on_a_fiber].map(|place| abandoned(program, servers, place));
    row.gone = match program.gone {
        Gone::Never => "in the process",
        Gone::Killed(_) => "killed: the client's error",
        Gone::Closes(_) => "closes: the client's error",
    };
    if found != expected {
        row.failures.push(format!("a server that goes away: {found:?}, not {expected:?}"));
    }
    row
}

/// What is wrong with a call that a deadline is to end: the call would take `LONG`, or ten times that, on a machine that is too busy to end
/// it within `LONG`.
fn past_its_deadline(program: &Program, servers: &Servers) -> Option<String> {
    let mut wrong = None;
    for time in [LONG, 10 * LONG] {
        let (taken, ended) = runtime().run(|| {
            let began = Instant::now();
            let call = || Call::make(program.slow, servers, time, &Start::of(1));
            let ended = abaca::time::timeout(Duration::from_millis(50), call);
            (began.elapsed(), ended.is_err())
        });
        wrong = (!ended || taken >= time).then(|| format!("a deadline of 50 ms: {ended}, after {taken:?}"));
        if wrong.is_none() {
            break;
        }
    }
    wrong
}

fn version(version: Version) -> String {
    match version {
        Version::Toolchain => "of the toolchain".into(),
        Version::Of(package) => in_lock_file(package).into(),
        Version::With(package, library) => format!("{}, {}", in_lock_file(package), library()),
        Version::Library(library) => library(),
    }
}

/// The version of a package in the lock file.
fn in_lock_file(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"\n");
    let mut entries = lock.split("[[package]]").filter(|entry| entry.contains(&name));
    let line =
        entries.next().and_then(|entry| entry.lines().find_map(|line| line.strip_prefix("version = ")));
    line.unwrap_or("?").trim_matches('"')
}
