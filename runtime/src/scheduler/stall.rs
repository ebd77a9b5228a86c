//! A stall: a fiber keeps its worker for long while others wait for it. What is known of it, and how it is told.

use std::fmt;
use std::time::Duration;

use crate::cell::{FiberId, Glimpse};
use crate::os::task::{self, Doing};

/// A fiber that keeps its worker while others wait; see [`Builder::on_stall`](crate::runtime::Builder::on_stall).
///
/// Its `Display` is what is written to standard error when no callback is set.
#[derive(Clone, Debug)]
pub struct Stall {
    pub(super) worker: usize,
    pub(super) elapsed: Duration,
    pub(super) fiber: Glimpse,
    pub(super) doing: Doing,
    #[cfg(feature = "backtrace")]
    pub(super) whom: Whom,
    #[cfg(feature = "backtrace")]
    pub(super) backtrace: Option<super::backtrace::Trace>,
}

/// Whom to ask for a backtrace: a thread, and the address of the fiber that it is expected to run.
#[cfg(feature = "backtrace")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Whom {
    pub(super) thread_id: i32,
    pub(super) fiber: usize,
}

/// What a fiber that stalls does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It computes.
    Computing,
    /// It waits in futex(2): for a lock, a condition variable or a join of `std`, or of a C library. A lock of `std` whose
    /// holder is parked is the usual cause; [`sync`](crate::sync) has locks that may be held while a fiber parks.
    Locking,
    /// It waits in the system call of this number.
    Waiting(i64),
    /// The kernel does not say.
    Unknown,
}

impl Stall {
    /// The index of the worker, from 0.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// How long the fiber has run without blocking or yielding, at the least: from the monitor's first look on. Time in which
    /// the whole process was stopped does not count.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The name that the fiber was given, if any. `None` also where the kernel does not let a process read its own memory by
    /// process_vm_readv(2).
    pub fn fiber_name(&self) -> Option<&str> {
        self.fiber.name.as_deref()
    }

    /// The fiber's id, if anybody has asked for the fiber's handle or given it a name.
    pub fn fiber_id(&self) -> Option<FiberId> {
        self.fiber.id
    }

    /// What it does.
    pub fn activity(&self) -> Activity {
        match self.doing {
            Doing::Runs => Activity::Computing,
            Doing::Calls(call) if task::is_futex(call) => Activity::Locking,
            Doing::Calls(call) => Activity::Waiting(call),
            Doing::Unknown => Activity::Unknown,
        }
    }

    #[cfg(feature = "backtrace")]
    pub(super) fn add_backtrace(&mut self) {
        if self.doing == Doing::Runs {
            self.backtrace = super::backtrace::Trace::of(self.whom.thread_id, self.whom.fiber);
        }
    }

    /// Where it is in its code, a line for each function, if [`stall_backtrace`](crate::runtime::Builder::stall_backtrace) is
    /// on. Only a fiber that computes can be asked; one that waits in the kernel is left alone.
    #[cfg(feature = "backtrace")]
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_ref().map(super::backtrace::Trace::text)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.fiber_name().unwrap_or("<unnamed>");
        write!(f, "abaca: fiber '{name}'")?;
        if let Some(id) = self.fiber_id() {
            write!(f, " ({id:?})")?;
        }
        let (worker, elapsed) = (self.worker, self.elapsed);
        write!(
            f,
            " has kept worker {worker} for {elapsed:.1?} without blocking or yielding, and others wait for it. "
        )?;
        match self.activity() {
            Activity::Computing => f.write_str(
                "It computes. Move the work to a thread (abaca::blocking::run), or call abaca::yield_now now and then.",
            ),
            Activity::Locking => f.write_str(
                "It waits in futex(2), most likely for a lock of std::sync (or a join of std::thread) whose holder is \
                 parked or waits for this worker. Use abaca::sync, or hold no lock of std::sync across a call that blocks.",
            ),
            Activity::Waiting(call) => {
                match task::name_of(call) {
                    Some(name) => write!(f, "It waits in {name}(2)")?,
                    None => write!(f, "It waits in system call {call}")?,
                }
                f.write_str(", which abaca does not know of. Make the call with abaca::blocking::run.")
            }
            Activity::Unknown => f.write_str("Move what it does to a thread: abaca::blocking::run."),
        }?;
        #[cfg(feature = "backtrace")]
        if let Some(trace) = self.backtrace() {
            write!(f, "\n{}", trace.trim_end())?;
        }
        Ok(())
    }
}
