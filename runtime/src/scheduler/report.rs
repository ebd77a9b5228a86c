//! The report of a stack overflow, which is written from a signal handler.
//!
//! It is about the fiber that runs on the very thread that the handler interrupted, so nothing is searched and
//! nothing is locked. It goes out with one `write(2)` from a buffer on the worker's alternate signal stack.

#![expect(unsafe_code, reason = "looks at the running fiber from a signal handler")]

use std::fmt::{self, Write};

use super::worker::current_worker;
use crate::fiber::Header;
use crate::os::signal::Verdict;
use crate::os::stderr;

/// Says which fiber has run over its stack, if it was that; the process then dies of the signal.
pub(super) fn on_fault(address: usize) -> Verdict {
    let Some(fiber) = current_worker().and_then(|worker| worker.current()) else { return Verdict::Pass };
    // SAFETY: the running fiber's cell is alive, and its own thread is asking.
    let header = unsafe { fiber.as_ref() };
    let Some((guard, top)) = header.stack_range().filter(|(guard, _)| guard.contains(&address)) else {
        return Verdict::Pass;
    };
    let mut report = Report::new();
    let _ = writeln!(report);
    report.name(header);
    let _ = writeln!(
        report,
        " has overflowed its stack of {} bytes.\nRaise it for this fiber with abaca::Builder::stack_size, or for \
         all with abaca::runtime::Builder::stack_size.",
        top - guard.end
    );
    report.send();
    Verdict::Die
}

/// A text in a fixed buffer; what does not fit is cut off.
struct Report {
    text: [u8; 512],
    len: usize,
}

impl Report {
    fn new() -> Self {
        Self { text: [0; 512], len: 0 }
    }

    fn name(&mut self, fiber: &Header) {
        let identity = fiber.peek_identity();
        let name = identity.and_then(|identity| identity.name.as_deref()).unwrap_or("<unnamed>");
        let _ = write!(self, "abaca: fiber '{name}'");
        if let Some(identity) = identity {
            let _ = write!(self, " ({:?})", identity.id);
        }
    }

    fn send(&self) {
        stderr::write(&self.text[..self.len]);
    }
}

impl Write for Report {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let part = &part.as_bytes()[..part.len().min(self.text.len() - self.len)];
        self.text[self.len..][..part.len()].copy_from_slice(part);
        self.len += part.len();
        Ok(())
    }
}
