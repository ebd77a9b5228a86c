//! Where a fiber that stalls is in its code: it is asked (`os/nudge.rs`), and the names are looked up here.

use std::fmt::Write;
use std::ptr;

use super::current_fiber;
use crate::os::nudge;

/// A line for each function, innermost first; a second line for where it stands in the source, if that is known.
#[derive(Clone, Debug)]
pub(super) struct Trace(String);

impl Trace {
    /// Asks the fiber whose header is at `fiber`, on the thread with this id. `None` if it does not compute, or has gone.
    pub(super) fn of(thread_id: i32, fiber: usize) -> Option<Self> {
        let here = || current_fiber().map_or(0, |fiber| fiber.as_ptr().addr());
        let frames = nudge::ask(thread_id, here, fiber)?;
        let mut text = String::new();
        for (index, frame) in frames.into_iter().enumerate() {
            write_frame(&mut text, index, frame);
        }
        Some(Self(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

fn write_frame(text: &mut String, index: usize, frame: usize) {
    let mut is_known = false;
    // It takes addresses behind a call; ours is inside of the instruction.
    backtrace::resolve(ptr::without_provenance_mut(frame + 1), |symbol| {
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
