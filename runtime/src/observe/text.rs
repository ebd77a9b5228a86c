//! A dump as text: first what is wrong, then the fibers in groups with equal stacks, the largest group first.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::panic::Location;
use std::time::Duration;

use super::dump::{Dump, FiberDump, FiberState, Holder, Wait, count};
use super::symbols::Frame;
use crate::cell::FiberId;
use crate::os::plain::Plain;

/// How many fibers of a group are shown one by one.
const SHOWN: usize = 8;

/// Parts of the runtime whose frames on top of a stack say nothing: the reason of the wait says it.
const INNER: &[&str] = &["park/", "scheduler/", "cell/"];

/// The path of this file, below which the others of the runtime are.
const THIS_FILE: &str = file!();

/// What the fibers of a group have in common; of their stacks the frames that are the program's.
type Key = (FiberState, Option<&'static str>, Option<&'static Location<'static>>, Vec<usize>);

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers: usize = self.workers.iter().sum();
        write!(
            f,
            "abaca: {} on {} of {}",
            count(self.fibers.len(), "fiber"),
            count(workers, "worker"),
            count(self.workers.len(), "runtime")
        )?;
        if self.unstarted > 0 {
            write!(f, ", and {} that have not started", self.unstarted)?;
        }
        writeln!(f)?;
        for (runtime, worker, could) in &self.away {
            let what = if *could { "was read from outside" } else { "could not be read completely" };
            writeln!(f, "worker {worker} of runtime {runtime} is busy with one fiber, and {what}")?;
        }
        for cycle in &self.cycles {
            write!(f, "\nDEADLOCK: {}\n{cycle}", count(cycle.fibers().count(), "fiber"))?;
        }
        write_groups(f, &self.fibers)
    }
}

/// Writes the fibers, those with equal stacks as one group.
pub(super) fn write_groups(f: &mut fmt::Formatter<'_>, fibers: &[FiberDump]) -> fmt::Result {
    let mut stacks: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut groups: HashMap<Key, Vec<&FiberDump>> = HashMap::new();
    for fiber in fibers {
        let stack = stacks.entry(fiber.stack);
        let stack = stack.or_insert_with(|| visible(fiber.frames()).iter().map(Frame::address).collect());
        let key = (fiber.state, fiber.wait().map(Wait::reason), fiber.spawn_site, stack.clone());
        groups.entry(key).or_default().push(fiber);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| {
        (std::cmp::Reverse(group.len()), group[0].runtime, group[0].id.map(FiberId::number))
    });
    groups.iter().try_for_each(|group| write_group(f, group))
}

fn write_group(f: &mut fmt::Formatter<'_>, group: &[&FiberDump]) -> fmt::Result {
    let first = group[0];
    if let [fiber] = group {
        writeln!(f, "\n{}", line(fiber))?;
    } else {
        writeln!(f, "\n{} [{}]", count(group.len(), "fiber"), what(first))?;
        for fiber in group.iter().take(SHOWN) {
            let age = fiber.wait().map_or(String::new(), |wait| format!(" for {}", age(wait.age())));
            writeln!(f, "  fiber {}{age}{}", title(fiber), details(fiber))?;
        }
        if group.len() > SHOWN {
            writeln!(f, "  ... and {} more", group.len() - SHOWN)?;
        }
    }
    match (first.routine(), first.spawn_site) {
        (Some(routine), _) => writeln!(f, "  a thread that has begun in {}", Plain(routine))?,
        (None, Some(site)) => writeln!(f, "  spawned at {site}")?,
        (None, None) => {}
    }
    let frames = if f.alternate() { first.frames() } else { visible(first.frames()) };
    for (index, frame) in frames.iter().enumerate() {
        writeln!(f, "  {index:3}: {frame}")?;
        if let (Some(file), Some(line)) = (frame.file(), frame.line()) {
            writeln!(f, "            at {file}:{line}")?;
        }
    }
    Ok(())
}

/// The frames that are the program's. All of them if that leaves none.
pub(super) fn visible(frames: &[Frame]) -> &[Frame] {
    // A function of std's is passed over that calls one of the runtime's.
    let is_called = |frame: &&Frame| is_inner(frame) || is_std(frame);
    let inner = frames.iter().take_while(is_called).count();
    let begin = frames[..inner].iter().rposition(is_inner).map_or(0, |last| last + 1);
    // What calls a fiber's closure is the same for every fiber.
    let end = frames.iter().rposition(|frame| !is_outer(frame)).map_or(0, |last| last + 1);
    if begin < end { &frames[begin..end] } else { frames }
}

/// The function in which a thread has begun, by its frames: what std calls by a function of a known name, or what the first frame calls.
pub(super) fn routine(frames: &[Frame]) -> Option<String> {
    let is_called_by = |name: &str| {
        let calls = |frame: &Frame| frame.function().is_some_and(|function| function.contains(name));
        let called = frames.iter().rposition(calls).map(|caller| &frames[..caller]);
        called?.iter().rev().find(|frame| !is_std(frame)).and_then(Frame::function)
    };
    let callers = ["__rust_begin_short_backtrace", "abaca_transparent_begin"];
    callers.into_iter().find_map(is_called_by).map(str::to_owned)
}

fn is_inner(frame: &Frame) -> bool {
    let root = THIS_FILE.strip_suffix("observe/text.rs").unwrap_or("abaca/src/");
    let in_file = |file: &str| {
        let in_room = |room: &str| file.split_once(root).is_some_and(|(_, rest)| rest.starts_with(room));
        INNER.iter().any(|room| in_room(room)) || file.contains("asm/src/") || file.contains("abaca-asm-")
    };
    let in_module = |name: &str| {
        let name = name.trim_start_matches('<');
        ["abaca::park::wait", "abaca::park::latch", "abaca::scheduler", "abaca::cell", "abaca_asm::"]
            .iter()
            .any(|module| name.starts_with(module))
    };
    match frame.file() {
        Some(file) => in_file(file),
        None => frame.function().is_some_and(in_module),
    }
}

/// Whether the frame is of what calls a closure: the runtime, or std's function that catches panics.
fn is_outer(frame: &Frame) -> bool {
    is_inner(frame) || is_std(frame)
}

fn is_std(frame: &Frame) -> bool {
    let in_std = |file: &str| file.contains("/rustc/") || file.contains("/rustlib/src/rust/library/");
    let name = frame.function().unwrap_or("");
    let is_std_name =
        ["core::", "<core::", "std::", "__rust_try"].iter().any(|start| name.starts_with(start));
    frame.file().map_or(is_std_name, |file| in_std(file) || name.starts_with("__rust_try"))
}

/// The fiber and its wait.
pub(super) fn line(fiber: &FiberDump) -> String {
    format!("fiber {} [{}]{}", title(fiber), state(fiber), details(fiber))
}

fn title(fiber: &FiberDump) -> String {
    let id = fiber.id.map_or("?".into(), |id| id.number().to_string());
    fiber.name().map_or(id.clone(), |name| format!("{id} '{}'", Plain(name)))
}

/// What the fiber does, as all of its group do.
fn what(fiber: &FiberDump) -> String {
    match (fiber.state, fiber.wait()) {
        (FiberState::Parked, Some(wait)) => wait.reason().into(),
        (FiberState::Ready, _) => "ready".into(),
        _ => "running".into(),
    }
}

fn state(fiber: &FiberDump) -> String {
    let age = fiber.wait().map_or(String::new(), |wait| format!(", {}", age(wait.age())));
    format!("{}{age}", what(fiber))
}

/// `3.2 s`, `2 min`, `5 h`.
fn age(age: Duration) -> String {
    match age.as_secs() {
        0 => format!("{} ms", age.as_millis()),
        1..100 => format!("{:.1} s", age.as_secs_f64()),
        seconds @ 100..6000 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

fn details(fiber: &FiberDump) -> String {
    let mut text = format!(" on worker {}", fiber.worker);
    if fiber.runtime > 0 {
        let _ = write!(text, " of runtime {}", fiber.runtime);
    }
    if let Some(object) = fiber.wait().and_then(Wait::object) {
        let verb = if object.starts_with("due ") { "" } else { "waits for " };
        let _ = write!(text, ", {verb}{}", Plain(object));
    }
    match fiber.wait().and_then(Wait::holder) {
        Some(Holder::Fiber(id)) if fiber.wait().is_some_and(|wait| wait.reason() != "join") => {
            let _ = write!(text, ", held by fiber {}", id.number());
        }
        Some(Holder::Other) => text.push_str(", held by a plain thread or a coroutine"),
        _ => {}
    }
    if let Some(others) = fiber.wait().map(Wait::others).filter(|others| !others.is_empty()) {
        let shown: Vec<_> = others.iter().take(SHOWN).map(|id| id.number().to_string()).collect();
        let noun = if others.len() == 1 { "fiber" } else { "fibers" };
        let more = if others.len() > SHOWN { ", .." } else { "" };
        let _ = write!(text, " that {noun} {}{more} may have", shown.join(", "));
    }
    if let (Some(used), Some(bytes)) = (fiber.stack_used, fiber.stack_bytes) {
        let _ = write!(text, ", stack {:.1} of {} KiB", used as f64 / 1024.0, bytes.div_ceil(1024));
    }
    for (name, value) in &fiber.labels {
        let _ = write!(text, ", {}={}", Plain(name), Plain(value));
    }
    text
}
