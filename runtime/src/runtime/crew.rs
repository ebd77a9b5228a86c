//! The crew: the threads of a runtime, and how they are seen off.
//!
//! Seeing them off blocks a thread. A fiber, whose worker has other things to do, leaves it to a thread made for it
//! and parks; a fiber of the very runtime, and a thread that such a fiber waits for, could only wait for itself, and does
//! not wait.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::ShutdownError;
use crate::cell::{Outcome, Reason};
use crate::os;
use crate::park;
use crate::park::Latch;
use crate::scheduler::{self, Shared};

/// See the module's documentation.
pub(super) struct Crew {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
    ended: Arc<Ended>,
}

/// Counts the runtime's threads that have ended.
#[derive(Default)]
struct Ended {
    count: Mutex<usize>,
    changed: Condvar,
}

/// What a fiber and the thread that sees a crew off have in common.
struct Errand {
    /// Who is to be seen off, until somebody has begun to.
    crew: Mutex<Option<Crew>>,
    result: Mutex<Option<Result<(), ShutdownError>>>,
    open: Latch,
}

/// Who is told what a shutdown has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The caller, as a result. One that is cancelled meanwhile unwinds.
    Caller,
    /// The standard error stream: the caller is a destructor. One that is cancelled meanwhile goes on.
    Stderr,
}

impl Crew {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, threads: Vec::new(), ended: Arc::default() }
    }

    pub(super) fn start_thread(
        &mut self,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let ended = Arc::clone(&self.ended);
        let thread = os::thread::start(name, move || {
            body();
            *ended.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            ended.changed.notify_all();
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Whether the runtime cannot end before the caller has gone on.
    pub(super) fn waits_for_caller(&self) -> bool {
        scheduler::is_within(&self.shared) || self.shared.blocking.is_callers()
    }

    /// Ends the runtime, from anywhere. What it leaves behind after `timeout` goes to the report.
    pub(super) fn end(self, timeout: Duration, report: Report) -> Result<(), ShutdownError> {
        if !park::on_fiber() && !self.waits_for_caller() {
            return self.see_off(timeout, report);
        }
        let waits = !self.waits_for_caller();
        // Whoever sees to the rest: from here on, nothing new begins.
        self.shared.close();
        let errand =
            Arc::new(Errand { crew: Mutex::new(Some(self)), result: Mutex::default(), open: Latch::new(1) });
        let theirs = Arc::clone(&errand);
        let report = if waits { report } else { Report::Stderr };
        let thread = os::thread::start("abaca-shutdown".into(), move || {
            if let Some(crew) = take(&theirs.crew) {
                *theirs.result.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(crew.see_off(timeout, report));
            }
            theirs.open.subtract();
        });
        if thread.is_err() {
            // They end by themselves; only nobody says what does not.
            return take(&errand.crew).map_or(Ok(()), |crew| Err(crew.abandon()));
        }
        while waits && let Some(outcome) = errand.open.wait_once(Reason::Join) {
            match (outcome, report) {
                (Outcome::Cancelled, Report::Caller) => park::unwind(),
                (Outcome::Cancelled, Report::Stderr) => break,
                _ => {}
            }
        }
        take(&errand.result).unwrap_or(Ok(()))
    }

    /// Ends the runtime, blocking the thread.
    fn see_off(mut self, timeout: Duration, report: Report) -> Result<(), ShutdownError> {
        self.shared.close();
        if let Err(error) = self.await_end(timeout) {
            if report == Report::Stderr {
                eprintln!("abaca: {error}");
            }
            return Err(error);
        }
        for thread in self.threads.drain(..) {
            // A worker never panics: it would have aborted.
            let _ = thread.join();
        }
        self.shared.await_visitors();
        scheduler::shutdown::refuse_leftovers(&self.shared);
        self.shared.retire();
        Ok(())
    }

    fn await_end(&mut self, timeout: Duration) -> Result<(), ShutdownError> {
        let total = self.threads.len();
        let deadline = Instant::now().checked_add(timeout);
        let mut count = self.ended.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count < total {
            let left =
                deadline.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                drop(count);
                return Err(self.abandon());
            }
            (count, _) = self.ended.changed.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Leaves what has not ended to itself. The shared state stays for it, for ever.
    fn abandon(&self) -> ShutdownError {
        std::mem::forget(Arc::clone(&self.shared));
        let (busy_workers, fibers) = self.shared.still_alive();
        ShutdownError { busy_workers, fibers }
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
