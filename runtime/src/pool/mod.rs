//! The threads that make blocking calls. It knows jobs, and neither fibers nor who waits for a job.
//!
//! The pool: its threads, the queue in front of them, and who is woken for a job.
//!
//! A thread is *busy* (it runs a job, or is about to look for one) or *idle* (its seat is in `idle`, and it sleeps). A job
//! that is queued takes the top seat away, which makes that thread busy, and wakes it; or starts a thread, which is
//! born busy. A busy thread sits down only when it has found the queue empty, under the lock. So while jobs are queued,
//! every thread that was called for them is on its way, and none is forgotten; that a faster thread may take the job
//! first harms nobody.
//!
//! The lock is never held across a job, a system call or a wake-up.
//!
//! A thread of which somebody has a [`Lease`] does not end: it sits, without a limit, even if the pool is closed.

mod job;
mod lease;
mod settings;

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

pub(crate) use job::{JobRef, Owned};
pub(crate) use lease::Lease;
pub use settings::Gauges;
pub(crate) use settings::Settings;

use crate::os;

/// See the module's documentation.
pub(crate) struct Pool {
    name: String,
    settings: Settings,
    state: Mutex<State>,
    /// Counted before the job's caller is told, so that it sees its own.
    completed: AtomicU64,
    /// The threads that start children, which inherit what there is to a thread: they run nobody else's jobs.
    forking: Option<Arc<Pool>>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<JobRef>,
    /// Those that sleep; the last one sat down last.
    idle: Vec<Seat>,
    threads: usize,
    peak: usize,
    /// How many were started, for their names.
    started: usize,
    closed: bool,
}

thread_local! {
    /// The pool whose thread this is; compared and never followed.
    static OWNER: Cell<*const Pool> = const { Cell::new(ptr::null()) };
}

/// An idle thread.
struct Seat(Thread);

/// Who is to take a job that has just been queued.
enum Call {
    /// It sleeps no more once it is woken.
    Idle(Seat),
    /// One that is yet to be started, counted already.
    New(usize),
    /// The threads there are, when they are done.
    Busy,
}

impl Pool {
    /// A pool without threads; they will be called `<name>-blocking-<n>`.
    pub(crate) fn new(name: &str, settings: Settings) -> Self {
        let forking = Self::bare(format!("{name}-forking"), settings);
        Self { forking: Some(Arc::new(forking)), ..Self::bare(format!("{name}-blocking"), settings) }
    }

    fn bare(name: String, settings: Settings) -> Self {
        Self { name, settings, state: Mutex::default(), completed: AtomicU64::new(0), forking: None }
    }

    /// The pool whose threads start children.
    pub(crate) fn forking(&self) -> Option<&Arc<Self>> {
        self.forking.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let state = self.state();
        Gauges {
            threads: state.threads,
            idle: state.idle.len(),
            queued: state.jobs.len(),
            completed: self.completed.load(Ordering::Relaxed),
            peak: state.peak,
        }
    }

    /// Queues a job and sees to it that a thread comes for it.
    pub(crate) fn submit(self: &Arc<Self>, job: JobRef) {
        let call = {
            let mut state = self.state();
            state.jobs.push_back(job);
            state.call(self.settings.max_threads)
        };
        match call {
            Call::Idle(Seat(thread)) => thread.unpark(),
            Call::New(number) => self.start_thread(number),
            Call::Busy => {}
        }
    }

    fn start_thread(self: &Arc<Self>, number: usize) {
        let name = format!("{}-{number}", self.name);
        let pool = Arc::clone(self);
        if os::thread::start(name, move || pool.serve()).is_err() {
            self.go_without();
        }
    }

    /// A thread that was counted could not be had.
    #[cold]
    fn go_without(&self) {
        let mut state = self.state();
        state.threads -= 1;
        // Somebody has to do it, and there is nobody else.
        while state.threads == 0 {
            let Some(job) = state.jobs.pop_front() else { break };
            drop(state);
            self.complete(job);
            state = self.state();
        }
    }

    /// Takes the right to run a job back, if nobody has begun it.
    pub(crate) fn take_back(&self, job: *const ()) -> Option<JobRef> {
        let mut state = self.state();
        let at = state.jobs.iter().position(|queued| queued.is(job))?;
        state.jobs.remove(at)
    }

    fn complete(&self, job: JobRef) {
        let finished = job.run();
        self.completed.fetch_add(1, Ordering::Relaxed);
        finished.tell();
    }

    /// Whether the caller runs on a thread of this pool, so that somebody may wait for it.
    pub(crate) fn is_callers(&self) -> bool {
        ptr::eq(OWNER.get(), self)
    }

    /// A thread's life.
    fn serve(&self) {
        lease::offer();
        OWNER.set(self);
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                self.complete(job);
                state = self.state();
            } else if state.closed && !lease::is_held() {
                break;
            } else {
                state.idle.push(Seat(thread::current()));
                drop(state);
                let was_called = self.sit();
                state = self.state();
                if !was_called && state.jobs.is_empty() {
                    break;
                }
            }
        }
        state.threads -= 1;
    }

    /// Sleeps until somebody takes the calling thread's seat away. False if it gave it up itself, having been idle for
    /// too long.
    fn sit(&self) -> bool {
        let me = thread::current().id();
        let deadline = Instant::now().checked_add(self.settings.keep_alive);
        loop {
            match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(_) if lease::is_held() => thread::park(),
                None => thread::park(),
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                Some(_) => {}
            }
            let mut state = self.state();
            let Some(seat) = state.idle.iter().position(|seat| seat.0.id() == me) else { return true };
            let is_over = state.closed || deadline.is_some_and(|at| Instant::now() >= at);
            if is_over && !lease::is_held() {
                state.idle.remove(seat);
                return false;
            }
        }
    }

    /// Lets threads end when the queue is empty; the runtime is gone.
    pub(crate) fn close(&self) {
        if let Some(forking) = &self.forking {
            forking.close();
        }
        let idle = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        idle.into_iter().for_each(|Seat(thread)| thread.unpark());
    }
}

impl State {
    fn call(&mut self, max_threads: usize) -> Call {
        if let Some(seat) = self.idle.pop() {
            return Call::Idle(seat);
        }
        if self.threads >= max_threads {
            return Call::Busy;
        }
        self.threads += 1;
        self.peak = self.peak.max(self.threads);
        self.started += 1;
        Call::New(self.started - 1)
    }
}
