//! Stack overflow: says which fiber it was and what to do, and lets the process die of the signal.
//!
//! A fiber that runs over its stack touches the guard below it. The signal handler asks [`on_fault`], on the
//! worker's alternate signal stack; the fiber is the one that runs on this thread, so nothing is searched and
//! nothing is locked. The report goes out with one `write(2)` from a buffer on the stack.

#![expect(unsafe_code, reason = "looks at the running fiber from a signal handler")]

use std::fmt::{self, Write};

use super::worker::current_worker;
use crate::os::signal::{Verdict, write_stderr};

/// The hook for `os::signal::watch_faults`.
pub(super) fn on_fault(address: usize) -> Verdict {
    let Some(fiber) = current_worker().and_then(|worker| worker.current()) else { return Verdict::Pass };
    // SAFETY: the running fiber's cell is alive, and its own thread is asking.
    let header = unsafe { fiber.as_ref() };
    let Some((guard, top)) = header.stack_range().filter(|(guard, _)| guard.contains(&address)) else {
        return Verdict::Pass;
    };
    let mut report = Report { text: [0; 512], len: 0 };
    let identity = header.peek_identity();
    let name = identity.and_then(|identity| identity.name.as_deref()).unwrap_or("<unnamed>");
    let _ = write!(report, "\nabaca: fiber '{name}'");
    if let Some(identity) = identity {
        let _ = write!(report, " ({:?})", identity.id);
    }
    let _ = writeln!(
        report,
        " has overflowed its stack of {} bytes.\nRaise it for this fiber with abaca::Builder::stack_size, or for \
         all with abaca::runtime::Builder::stack_size.",
        top - guard.end
    );
    write_stderr(&report.text[..report.len]);
    Verdict::Die
}

/// A text in a fixed buffer; what does not fit is cut off.
struct Report {
    text: [u8; 512],
    len: usize,
}

impl Write for Report {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let part = &part.as_bytes()[..part.len().min(self.text.len() - self.len)];
        self.text[self.len..][..part.len()].copy_from_slice(part);
        self.len += part.len();
        Ok(())
    }
}
