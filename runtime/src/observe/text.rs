//! A dump as text: first what is wrong, then the fibers in groups with equal stacks, the largest group first.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::panic::Location;
use std::time::Duration;

use super::dump::{Dump, FiberDump, FiberState, Holder, Wait, count};
use super::symbols::Frame;
use crate::cell::FiberId;

/// How many fibers of a group are shown one by one.
const SHOWN: usize = 8;

/// Parts of the runtime whose frames on top of a stack say nothing: the reason of the wait says it.
const INNER: &[&str] = &["abaca::park::", "abaca::scheduler::", "abaca_asm::"];

/// The function that calls a fiber's closure. It and what is below it is the same for every fiber.
const OUTER: &str = "abaca::cell::allocation::FiberCell<";

type Key<'a> = (FiberState, Option<&'static str>, Option<&'static Location<'static>>, usize);

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
        let mut groups: HashMap<Key<'_>, Vec<&FiberDump>> = HashMap::new();
        for fiber in &self.fibers {
            let key = (fiber.state, fiber.wait().map(Wait::reason), fiber.spawn_site, fiber.stack);
            groups.entry(key).or_default().push(fiber);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| {
            (std::cmp::Reverse(group.len()), group[0].runtime, group[0].id.map(FiberId::number))
        });
        groups.iter().try_for_each(|group| write_group(f, group))
    }
}

fn write_group(f: &mut fmt::Formatter<'_>, group: &[&FiberDump]) -> fmt::Result {
    let first = group[0];
    if let [fiber] = group {
        write!(f, "\nfiber {} [{}]", title(fiber), state(fiber))?;
        writeln!(f, "{}", details(fiber))?;
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
    if let Some(site) = first.spawn_site {
        writeln!(f, "  spawned at {site}")?;
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
fn visible(frames: &[Frame]) -> &[Frame] {
    let has = |frame: &Frame, start: &str| {
        let name = frame.function().unwrap_or("");
        name.trim_start_matches('<').starts_with(start)
    };
    let begin = frames.iter().position(|frame| !INNER.iter().any(|inner| has(frame, inner)));
    let end = frames.iter().position(|frame| has(frame, OUTER)).unwrap_or(frames.len());
    // The closure is called by way of std's functions that catch panics.
    let is_std = |frame: &Frame| ["core::", "std::", "__rust"].iter().any(|start| has(frame, start));
    let begin = begin.unwrap_or(0).min(end);
    let caught = frames[begin..end].iter().rposition(|frame| !is_std(frame));
    match caught {
        Some(last) => &frames[begin..=begin + last],
        None => frames,
    }
}

fn title(fiber: &FiberDump) -> String {
    let id = fiber.id.map_or("?".into(), |id| id.number().to_string());
    fiber.name().map_or(id.clone(), |name| format!("{id} '{name}'"))
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
        let _ = write!(text, ", waits for {object}");
    }
    match fiber.wait().and_then(Wait::holder) {
        Some(Holder::Fiber(id)) if fiber.wait().is_some_and(|wait| wait.reason() != "join") => {
            let _ = write!(text, ", held by fiber {}", id.number());
        }
        Some(Holder::Other) => text.push_str(", held by a plain thread or a coroutine"),
        _ => {}
    }
    if let (Some(used), Some(bytes)) = (fiber.stack_used, fiber.stack_bytes) {
        let _ = write!(text, ", stack {:.1} of {} KiB", used as f64 / 1024.0, bytes / 1024);
    }
    for (name, value) in &fiber.labels {
        let _ = write!(text, ", {name}={value}");
    }
    text
}
