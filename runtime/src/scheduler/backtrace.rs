//! The backtrace of a fiber that stalls: a signal makes its thread record the frames (`os/trace_signal.rs`), and the names are
//! looked up here.

use std::fmt::Write;
use std::ptr;
use std::time::Duration;

use super::current_fiber;
use crate::os::{names, trace_signal};

/// How long the monitor waits for the frames.
const LIMIT: Duration = Duration::from_millis(200);

/// A line for each function, innermost first, and a second line for its place in the source, if that is known.
#[derive(Clone, Debug)]
pub(super) struct Trace(String);

impl Trace {
    /// The backtrace of the fiber whose header is at `fiber`, on the thread with this id. `None` if the fiber does not compute,
    /// or the thread runs another one by now.
    pub(super) fn of(thread_id: i32, fiber: usize) -> Option<Self> {
        Some(Self::of_frames(frames(thread_id, fiber, LIMIT)?))
    }

    /// Of these code addresses, innermost first.
    pub(super) fn of_frames(frames: impl IntoIterator<Item = usize>) -> Self {
        let mut text = String::new();
        for (index, frame) in frames.into_iter().enumerate() {
            write_frame(&mut text, index, frame);
        }
        Self(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// The frames of the fiber whose header is at `fiber`, as code addresses, innermost first. `None` as for [`Trace::of`], and if the thread
/// gets no processor for so long.
pub(super) fn frames(thread_id: i32, fiber: usize, limit: Duration) -> Option<Vec<usize>> {
    let here = || current_fiber().map_or(0, |fiber| fiber.as_ptr().addr());
    trace_signal::trace(thread_id, here, fiber, limit)
}

fn write_frame(text: &mut String, index: usize, frame: usize) {
    let mut is_known = false;
    // `resolve` takes return addresses, behind a call; ours is inside of the instruction.
    names::resolve(ptr::without_provenance_mut(frame + 1), |symbol| {
        is_known = true;
        let name = symbol.name().map_or_else(|| "<unknown>".into(), |name| format!("{name:#}"));
        let _ = writeln!(text, "{index:4}: {name}");
        if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
            let _ = writeln!(text, "             at {}:{line}", file.display());
        }
    });
    if !is_known {
        let _ = writeln!(text, "{index:4}: {frame:#x}");
    }
}
