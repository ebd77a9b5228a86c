//! A stall: a fiber that occupies its worker for long while others wait. The facts about it, and its message.

use std::fmt;
use std::time::Duration;

use crate::cell::{FiberId, FiberSnapshot};
use crate::os::plain::Plain;
use crate::os::thread_state::{self, ThreadState};

/// A report of a fiber that occupies its worker while others wait; see
/// [`Builder::on_stall`](crate::runtime::Builder::on_stall).
///
/// If no callback is set, the runtime writes the report's `Display` form to standard error.
///
/// ```no_run
/// let runtime = abaca::Runtime::builder()
///     .on_stall(|stall| {
///         let name = stall.fiber_name().unwrap_or("unnamed");
///         eprintln!("{name} has occupied worker {} for {:?}", stall.worker(), stall.elapsed());
///     })
///     .build()
///     .unwrap();
/// runtime.run(|| std::thread::sleep(std::time::Duration::from_secs(5)));
/// ```
#[derive(Clone, Debug)]
pub struct Stall {
    pub(super) worker: usize,
    pub(super) elapsed: Duration,
    pub(super) fiber: FiberSnapshot,
    pub(super) state: ThreadState,
    /// How many threads for stuck workers there are, if there may be no more.
    pub(super) exhausted_threads: Option<usize>,
    #[cfg(feature = "backtrace")]
    pub(super) trace_target: TraceTarget,
    #[cfg(feature = "backtrace")]
    pub(super) backtrace: Option<super::backtrace::Trace>,
}

/// The target of a backtrace: a thread, and the address of the fiber that it is expected to run.
#[cfg(feature = "backtrace")]
#[derive(Clone, Copy, Debug)]
pub(super) struct TraceTarget {
    pub(super) thread_id: i32,
    pub(super) fiber: usize,
}

/// The activity of a fiber that stalls; see [`Stall::activity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// The fiber computes.
    Computing,
    /// The fiber waits in futex(2): for a lock, a condition variable or a join of `std`, or of a C library. A lock of `std`
    /// whose holder is parked is the usual cause; the locks of [`sync`](crate::sync) may be held while a fiber parks.
    Locking,
    /// The fiber waits in the system call with this number.
    Waiting(i64),
    /// The kernel does not tell.
    Unknown,
}

impl Stall {
    /// The index of the worker, from 0.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The least time that the fiber has run without blocking or yielding: counted from the runtime's first check of it. Time
    /// in which the whole process was stopped does not count.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The fiber's name. `None` if the fiber has no name, or if the kernel does not let a process read its own memory with
    /// process_vm_readv(2).
    pub fn fiber_name(&self) -> Option<&str> {
        self.fiber.name.as_deref()
    }

    /// The fiber's id. `None` if the fiber has no name and no [`Fiber`](crate::fiber::Fiber) handle of it was ever made, or if
    /// the kernel does not let a process read its own memory with process_vm_readv(2).
    pub fn fiber_id(&self) -> Option<FiberId> {
        self.fiber.id
    }

    /// The fiber's current activity: computing, or waiting in a system call that blocks its worker.
    pub fn activity(&self) -> Activity {
        match self.state {
            ThreadState::Running | ThreadState::Faulting => Activity::Computing,
            ThreadState::InCall(call) if thread_state::is_futex(call) => Activity::Locking,
            ThreadState::InCall(call) => Activity::Waiting(call),
            ThreadState::Unknown => Activity::Unknown,
        }
    }

    #[cfg(feature = "backtrace")]
    pub(super) fn add_backtrace(&mut self) {
        if matches!(self.state, ThreadState::Running | ThreadState::Faulting) {
            self.backtrace =
                super::backtrace::Trace::of(self.trace_target.thread_id, self.trace_target.fiber);
        }
    }

    /// The fiber's backtrace, a line for each function, innermost first. `None` unless
    /// [`stall_backtrace`](crate::runtime::Builder::stall_backtrace) is on and the fiber computes: a fiber that waits in the
    /// kernel is not interrupted.
    #[cfg(feature = "backtrace")]
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_ref().map(super::backtrace::Trace::text)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.fiber_name().unwrap_or("<unnamed>");
        write!(f, "abaca: fiber '{}'", Plain(name))?;
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
                match thread_state::name_of(call) {
                    Some(name) => write!(f, "It waits in {name}(2)")?,
                    None => write!(f, "It waits in system call {call}")?,
                }
                f.write_str(", which abaca does not know of. Make the call with abaca::blocking::run.")
            }
            Activity::Unknown => f.write_str("Move what it does to a thread: abaca::blocking::run."),
        }?;
        if let Some(threads) = self.exhausted_threads {
            write!(
                f,
                " The worker cannot leave its thread: all threads that Builder::max_spare_threads allows are taken ({threads})."
            )?;
        }
        #[cfg(feature = "backtrace")]
        if let Some(trace) = self.backtrace() {
            write!(f, "\n{}", trace.trim_end())?;
        }
        Ok(())
    }
}
