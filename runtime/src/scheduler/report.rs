//! The report of a stack overflow, which is written from a signal handler.
//!
//! It is about the fiber that runs on the very thread that the handler interrupted, so nothing is searched and
//! nothing is locked. One `write(2)` sends it, from a buffer on the worker's alternate signal stack; a second one sends the frames,
//! whose walk may fault itself: no rule says how to unwind code whose stack pointer lies in the guard. Their names come last, from
//! the monitor (`overflow_names.rs`).

#![expect(unsafe_code, reason = "looks at the running fiber from a signal handler")]

use std::fmt::{self, Write};

use abaca_asm::stack::{Overrun, overrun_at};

use super::{current_fiber, here};
#[cfg(feature = "backtrace")]
use super::{current_worker, overflow_names};
use crate::cell::{Header, is_site_of_threads};
use crate::os::plain::Plain;
use crate::os::signal::Verdict;
use crate::os::stderr;
#[cfg(feature = "backtrace")]
use crate::os::unwind;

/// Reports a stack overflow if the fault was one; the process then dies of the signal.
pub(super) fn on_fault(address: usize) -> Verdict {
    // SAFETY: the running fiber's cell is alive, and the caller is on its thread.
    let fiber = current_fiber().map(|fiber| unsafe { fiber.as_ref() });
    let own = fiber.and_then(Header::stack_range).filter(|(guard, _)| guard.contains(&address));
    let mut report = Report::new();
    let _ = write!(report, "\nabaca: ");
    match (fiber, own) {
        (Some(fiber), Some((guard, top))) => {
            report.name(fiber);
            let _ = writeln!(report, " has overflowed its stack of {} bytes.", top - guard.end);
            let _ = if is_site_of_threads(fiber.spawn_site()) {
                report.write_str(
                    "Raise it with std::thread::Builder::stack_size, for all with RUST_MIN_STACK, or in the attributes of the \
                     thread.\n",
                )
            } else {
                writeln!(
                    report,
                    "Raise it for this fiber with abaca::Builder::stack_size, or for all with \
                     abaca::runtime::Builder::stack_size.\nIt was spawned at {}.",
                    fiber.spawn_site()
                )
            };
        }
        _ => {
            let Some(overrun) = overrun_at(address) else { return Verdict::Pass };
            report.foreign_guard(fiber, &overrun);
        }
    }
    // The process dies. Until then libc's functions that may park the fiber are to be libc's own.
    here::show_fiber(None);
    report.send();
    #[cfg(feature = "backtrace")]
    report.frames();
    Verdict::Die
}

/// A text in a fixed buffer; what does not fit is cut off.
struct Report {
    text: [u8; 1024],
    len: usize,
}

impl Report {
    fn new() -> Self {
        Self { text: [0; 1024], len: 0 }
    }

    /// The innermost frames, as addresses within the program's file, and then by name. The first are those of this handler. Nothing here
    /// allocates or takes a lock: the overflow may have come in the middle of an allocation.
    #[cfg(feature = "backtrace")]
    fn frames(&mut self) {
        let base = unwind::program();
        let _ = write!(self, "The innermost frames, for `addr2line -f -C -e PROGRAM`:");
        let (mut frames, mut count) = ([0; overflow_names::MOST], 0);
        // SAFETY: the lock that is not taken protects the symbol names, which are not looked up here.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                let address = frame.ip() as usize;
                let _ = write!(self, " {:#x}", address.wrapping_sub(base));
                // What is looked up is the call, before the address to which it returns.
                frames[count] = address.wrapping_sub(1);
                count += 1;
                count < frames.len()
            });
        }
        let _ = writeln!(self);
        self.send();
        if let Some(worker) = current_worker() {
            overflow_names::ask(worker.shared(), &frames[..count]);
        }
    }

    fn name(&mut self, fiber: &Header) {
        let identity = fiber.peek_identity();
        if is_site_of_threads(fiber.spawn_site()) {
            let _ = self.write_str("thread '");
            // A thread has its name from its own calls.
            let is_named = identity.is_some_and(|identity| {
                identity.with_label("thread", |name| _ = write!(self, "{}", Plain(name)))
            });
            let _ = self.write_str(if is_named { "'" } else { "<unnamed>'" });
        } else {
            let name = identity.and_then(|identity| identity.name.as_deref()).unwrap_or("<unnamed>");
            let _ = write!(self, "fiber '{}'", Plain(name));
        }
        if let Some(identity) = identity {
            let _ = write!(self, " ({:?})", identity.id);
        }
    }

    /// Reports a fault in a guard that is not the running fiber's: that of a coroutine, which has no owner, or that of another
    /// fiber.
    fn foreign_guard(&mut self, fiber: Option<&Header>, overrun: &Overrun) {
        let is_coroutine = overrun.owner.is_null();
        let _ = self.write_str(if is_coroutine { "a coroutine" } else { "code" });
        if let Some(fiber) = fiber {
            let _ = self.write_str(" in ");
            self.name(fiber);
        }
        let _ = if is_coroutine {
            writeln!(
                self,
                " has overflowed its stack of {} bytes.\nGive it a larger one with \
                 abaca::coroutine::Coroutine::with_pool.",
                overrun.stack_bytes
            )
        } else {
            writeln!(
                self,
                " has touched the guard of a stack that is not its own: a frame larger than {} bytes has stepped over \
                 the guard of its own, or a pointer is wrong.",
                overrun.guard.len()
            )
        };
    }

    /// Writes the text, and begins another one.
    fn send(&mut self) {
        stderr::write(&self.text[..self.len]);
        self.len = 0;
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
