//! The crew: the threads of a runtime, and how they are stopped and joined.
//!
//! Stopping them blocks a thread. A fiber starts a thread for that and parks, so that its worker can run others. A fiber of the
//! runtime itself, or a thread that such a fiber waits for, would wait for itself: it starts the thread and does not wait.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::ShutdownError;
use super::dump_signal::Listener;
use crate::cell::{Outcome, Reason};
use crate::os;
use crate::park;
use crate::park::Latch;
use crate::scheduler::{self, Shared};

/// How long the end of a runtime waits before it cancels the fibers that are threads as well, since others may wait for them.
const PATIENCE_WITH_THREADS: Duration = Duration::from_millis(100);

/// How long the workers may take to end after the deadline, once no fiber is left: the deadline is the fibers'.
const PATIENCE_WITH_WORKERS: Duration = Duration::from_secs(10);

/// See the module's documentation.
pub(super) struct Crew {
    shared: Arc<Shared>,
    roster: Arc<Roster>,
    /// Stopped before its thread is joined.
    pub(super) listener: Option<Listener>,
}

/// The list of a runtime's threads. One of them may start another.
#[derive(Default)]
pub(super) struct Roster {
    state: Mutex<Threads>,
    changed: Condvar,
}

#[derive(Default)]
struct Threads {
    /// Those that have not been joined.
    started: Vec<thread::JoinHandle<()>>,
    /// How many have not ended.
    running: usize,
}

impl Roster {
    fn state(&self) -> MutexGuard<'_, Threads> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads have not ended.
    pub(super) fn running(&self) -> usize {
        self.state().running
    }

    /// Starts a thread that runs `body`.
    pub(super) fn start_thread(
        self: &Arc<Self>,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let roster = Arc::clone(self);
        let mut state = self.state();
        let thread = os::thread::start(name, move || {
            body();
            roster.state().running -= 1;
            roster.changed.notify_all();
        })?;
        state.running += 1;
        // Those that have ended meanwhile are not joined at the end.
        state.started.retain(|thread| !thread.is_finished());
        state.started.push(thread);
        Ok(())
    }
}

/// The state that a fiber shares with the thread that stops a crew for it.
struct Stopping {
    /// `None` once the thread has begun.
    crew: Mutex<Option<Crew>>,
    result: Mutex<Option<Result<(), ShutdownError>>>,
    done: Latch,
}

/// Where a shutdown reports the fibers that it has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// To the caller, as a result. If the caller is cancelled meanwhile, it unwinds.
    Caller,
    /// To the standard error stream, since the caller is a destructor. If it is cancelled meanwhile, it waits no longer and
    /// returns.
    Stderr,
}

/// What is left of a runtime that has ended.
enum Rest {
    Nothing,
    /// Fibers that are threads, with the workers that run them.
    Threads,
}

impl Crew {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let roster: Arc<Roster> = Arc::default();
        let theirs = Arc::clone(&roster);
        let on_settled = move || {
            // Whoever has looked before holds the lock until it waits.
            drop(theirs.state());
            theirs.changed.notify_all();
        };
        let _ = shared.on_settled.set(Box::new(on_settled));
        Self { shared, roster, listener: None }
    }

    /// The list of the threads, for one that starts another, or counts them.
    pub(super) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster)
    }

    pub(super) fn start_thread(&self, name: String, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.roster.start_thread(name, body)
    }

    /// Whether the runtime cannot end before the caller returns.
    pub(super) fn waits_for_caller(&self) -> bool {
        scheduler::is_within(&self.shared) || self.shared.blocking.owns_current_thread()
    }

    /// Ends the runtime, on any fiber or thread. Reports the fibers that are left after `timeout`.
    pub(super) fn end(self, timeout: Duration, report: Report) -> Result<(), ShutdownError> {
        if !park::on_fiber() && !self.waits_for_caller() {
            return self.stop(timeout, report);
        }
        let waits = !self.waits_for_caller();
        // From here on no fiber is spawned, even before the thread below runs.
        self.shared.close(report == Report::Caller);
        let stopping = Arc::new(Stopping {
            crew: Mutex::new(Some(self)),
            result: Mutex::default(),
            done: Latch::new(1),
        });
        let theirs = Arc::clone(&stopping);
        let report = if waits { report } else { Report::Stderr };
        let thread = os::thread::start("abaca-shutdown".into(), move || {
            if let Some(crew) = take(&theirs.crew) {
                *theirs.result.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(crew.stop(timeout, report));
            }
            theirs.done.count_down();
        });
        if thread.is_err() {
            // The fibers end by themselves. But nobody reports those that do not.
            return take(&stopping.crew).map_or(Ok(()), |crew| Err(crew.abandon()));
        }
        while waits && let Some(outcome) = stopping.done.wait_once(Reason::Blocking) {
            match (outcome, report) {
                (Outcome::Cancelled, Report::Caller) => park::unwind(),
                (Outcome::Cancelled, Report::Stderr) => break,
                _ => {}
            }
        }
        take(&stopping.result).unwrap_or(Ok(()))
    }

    /// Ends the runtime, and blocks the thread meanwhile.
    fn stop(self, timeout: Duration, report: Report) -> Result<(), ShutdownError> {
        // Whoever asks for the end waits for all. A destructor is the end of a program, or of a part, which no thread ends with.
        let leaves_threads = report == Report::Stderr;
        self.shared.close(!leaves_threads);
        self.listener.iter().for_each(Listener::stop);
        let deadline = Instant::now().checked_add(timeout);
        let mut rest = None;
        if leaves_threads {
            let soon = Instant::now() + PATIENCE_WITH_THREADS;
            rest = self.await_end(Some(deadline.map_or(soon, |at| at.min(soon))), true);
            if rest.is_none() {
                self.shared.close(true);
            }
        }
        match rest.or_else(|| self.await_end(deadline, leaves_threads)) {
            Some(Rest::Nothing) => {}
            Some(Rest::Threads) => {
                self.abandon();
                return Ok(());
            }
            None => {
                let error = self.abandon();
                if report == Report::Stderr {
                    eprintln!("abaca: {error}");
                }
                return Err(error);
            }
        }
        let threads = std::mem::take(&mut self.roster.state().started);
        for thread in threads {
            // A worker never panics: the process would have aborted.
            let _ = thread.join();
        }
        self.shared.await_guards();
        scheduler::shutdown::abort_leftovers(&self.shared);
        self.shared.retire();
        Ok(())
    }

    /// Waits until nothing is left that keeps the runtime from ending. `None` if a fiber still is at the deadline, or a worker's thread
    /// some time after that, which a user's hook may hold up.
    fn await_end(&self, deadline: Option<Instant>, leaves_threads: bool) -> Option<Rest> {
        let mut state = self.roster.state();
        while state.running > 0 {
            if leaves_threads && self.shared.only_threads_are_left() {
                return Some(Rest::Threads);
            }
            let left = |at: Instant| at.saturating_duration_since(Instant::now());
            let mut time = deadline.map_or(Duration::from_secs(3600), left);
            if time.is_zero() && self.shared.still_alive() == (0, 0) {
                time = deadline.map_or(time, |at| left(at + PATIENCE_WITH_WORKERS));
            }
            if time.is_zero() {
                return None;
            }
            let waited = self.roster.changed.wait_timeout(state, time);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Some(Rest::Nothing)
    }

    /// Leaves the fibers that have not ended behind. The shared state is leaked, so that they can use it for ever, and nobody joins its
    /// threads.
    fn abandon(&self) -> ShutdownError {
        drop(std::mem::take(&mut self.roster.state().started));
        std::mem::forget(Arc::clone(&self.shared));
        let (busy_workers, fibers) = self.shared.still_alive();
        ShutdownError { busy_workers, fibers }
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
