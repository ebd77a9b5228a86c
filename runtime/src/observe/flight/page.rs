//! A recording as a page of HTML: the data as JSON, in a page that draws them.

use std::fmt::Write;
use std::time::Duration;

use super::model::{Activity, Outcome, Waker};
use super::{Recording, stacks};

/// The page, with a place for the data.
const PAGE: &str = include_str!("page.html");

/// Where the data come.
const PLACE: &str = "/*RECORDING*/";

/// The most turns, wake-ups and notes in a page: a browser of a phone has to draw them. The last ones are kept.
const MOST: usize = 20_000;

/// A text as JSON. `<` is escaped as well, so that no text ends the script that it is in.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '<' | '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Times are in microseconds in the page.
fn us(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

fn list<T>(json: &mut String, name: &str, all: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) {
    write!(json, "\"{name}\":[").expect("a string takes all text");
    for (index, one) in all.enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, one);
    }
    json.push_str("],\n");
}

fn optional(time: Option<Duration>) -> String {
    time.map_or_else(|| "null".into(), |time| us(time).to_string())
}

/// The page.
pub(super) fn page(recording: &Recording) -> String {
    let (before, after) = PAGE.split_once(PLACE).expect("the page has a place for the data");
    format!("{before}{}{after}", json(recording))
}

fn json(recording: &Recording) -> String {
    let mut json = String::from("{\n");
    let first_turn = recording.turns.len().saturating_sub(MOST);
    let last = |len: usize| len.saturating_sub(MOST);
    let Recording { fibers, turns, wakeups, transfers, notes, events, .. } = recording;
    list(&mut json, "fibers", fibers.iter().enumerate(), |json, (index, fiber)| {
        let site = fiber.spawn_site.as_deref().unwrap_or("");
        write!(
            json,
            "[{},{},{},{},{},{},{}]",
            Quoted(&recording.title(index)),
            Quoted(site),
            optional(fiber.spawned),
            optional(fiber.started),
            optional(fiber.ended),
            Quoted(fiber.waits.map_or("", |(reason, _)| reason)),
            optional(fiber.waits.map(|(_, since)| since)),
        )
        .expect("a string takes all text");
    });
    list(&mut json, "turns", turns[first_turn..].iter(), |json, turn| {
        let outcome = match turn.outcome {
            Outcome::Parked(reason) => reason,
            Outcome::Yielded => "yielded",
            Outcome::Left => "left to its thread",
            Outcome::Ended => "ended",
            Outcome::Running => "runs on",
        };
        let (begin, end) = (us(turn.begin), us(turn.end));
        let stack = turn.stack.map_or_else(|| "null".into(), |stack| stack.to_string());
        write!(json, "[{},{},{begin},{end},{},{stack}]", turn.worker, turn.fiber, Quoted(outcome))
            .expect("a string takes all text");
    });
    list(&mut json, "stacks", stacks::texts(&recording.stacks).into_iter(), |json, frames| {
        let frames: Vec<_> = frames.iter().map(|frame| Quoted(frame).to_string()).collect();
        write!(json, "[{}]", frames.join(",")).expect("a string takes all text");
    });
    list(&mut json, "wakeups", wakeups[last(wakeups.len())..].iter(), |json, wakeup| {
        let by = match wakeup.by {
            Waker::Fiber(by) => by.to_string(),
            Waker::Timer => "\"time\"".into(),
            Waker::Poller => "\"kernel\"".into(),
            Waker::Thread => "\"thread\"".into(),
        };
        let turn = wakeup.turn.and_then(|turn| turn.checked_sub(first_turn));
        let turn = turn.map_or_else(|| "null".into(), |turn| turn.to_string());
        write!(json, "[{},{},{by},{turn}]", us(wakeup.at), wakeup.fiber).expect("a string takes all text");
    });
    list(&mut json, "notes", notes[last(notes.len())..].iter(), |json, note| {
        write!(json, "[{},{},{},{}]", note.fiber, Quoted(&note.text), us(note.begin), us(note.end))
            .expect("a string takes all text");
    });
    let sleeps = events.iter().filter_map(|event| match event.activity {
        Activity::Slept(end) => Some((event.worker, event.at, end)),
        _ => None,
    });
    list(&mut json, "sleeps", sleeps, |json, (worker, begin, end)| {
        write!(json, "[{worker},{},{}]", us(begin), us(end)).expect("a string takes all text");
    });
    let bytes: u64 = transfers.iter().map(|transfer| transfer.bytes).sum();
    write!(
        json,
        "\"workers\":{},\"coarse\":{},\"bytes\":{bytes},\"left_out\":{first_turn},\"end\":{}}}",
        recording.workers,
        recording.is_coarse,
        us(recording.end)
    )
    .expect("a string takes all text");
    json
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_script_or_the_string_that_it_is_in() {
        assert_eq!(Quoted("a\"b\\c</script>\n").to_string(), r#""a\"b\\c\u003c/script>\u000a""#);
    }
}
