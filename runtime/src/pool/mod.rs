//! The pool of threads that make blocking calls: its threads, and their queue of jobs. It knows neither fibers nor how a
//! job's caller waits.
//!
//! A thread is *busy* (it runs a job, or is about to look for one) or *idle* (it is on the stack `idle`, and sleeps). Queuing a
//! job either pops the top idle thread, which makes that thread busy, and wakes it; or starts a thread, which starts as
//! busy. A busy thread becomes idle only when it has found the queue empty, under the lock. So while jobs are queued,
//! every thread that was dispatched for them is on its way, and no job is forgotten. Another thread may take the job first,
//! which does no harm.
//!
//! The lock is never held across a job, a system call or a wake-up.
//!
//! A thread with a [`Lease`] does not end: it stays idle without a time limit, even if the pool is closed.

mod job;
mod lease;
mod settings;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

pub(crate) use job::{JobRef, Owned};
pub(crate) use lease::Lease;
pub use settings::Metrics;
#[cfg(not(feature = "own-tls"))]
pub(crate) use settings::Settings;
#[cfg(feature = "own-tls")]
pub(crate) use settings::{Settings, are_limits_lifted, lift_limits};

use crate::os;

/// See the module's documentation.
pub(crate) struct Pool {
    name: String,
    settings: Settings,
    state: Mutex<State>,
    /// Counted before the job's caller is notified, so that the caller sees its own job counted.
    completed: AtomicU64,
    /// The threads that start child processes. They run no other jobs, since a child inherits its thread's attributes.
    forking: Option<Arc<Pool>>,
}

#[derive(Default)]
struct State {
    /// By ticket, so in the order in which they came; one that is given up is found at once, however many there are.
    jobs: BTreeMap<Ticket, JobRef>,
    /// The ticket of the job that comes next.
    next: Ticket,
    /// The threads that sleep. The last element became idle last.
    idle: Vec<IdleThread>,
    threads: usize,
    peak: usize,
    /// The number of threads started so far, for their names.
    started: usize,
    closed: bool,
}

thread_local! {
    /// The pool that the calling thread belongs to; compared and never followed.
    static OWNER: Cell<*const Pool> = const { Cell::new(ptr::null()) };
}

/// The place of a job in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// An idle thread.
struct IdleThread(Thread);

/// The thread for a job that has just been queued.
enum Dispatch {
    /// This idle thread, which must be woken.
    Idle(IdleThread),
    /// A new thread with this number, which is counted already and must be started.
    New(usize),
    /// Any busy thread, when it has finished its job.
    Busy,
}

impl Pool {
    /// A pool without threads. Its threads will be named `<name>-blocking-<n>`.
    pub(crate) fn new(name: &str, settings: Settings) -> Self {
        let forking = Self::bare(format!("{name}-forking"), settings);
        Self { forking: Some(Arc::new(forking)), ..Self::bare(format!("{name}-blocking"), settings) }
    }

    fn bare(name: String, settings: Settings) -> Self {
        Self { name, settings, state: Mutex::default(), completed: AtomicU64::new(0), forking: None }
    }

    /// The pool whose threads start child processes.
    pub(crate) fn forking(&self) -> Option<&Arc<Self>> {
        self.forking.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let state = self.state();
        Metrics {
            threads: state.threads,
            idle: state.idle.len(),
            queued: state.jobs.len(),
            completed: self.completed.load(Ordering::Relaxed),
            peak: state.peak,
        }
    }

    /// Queues a job and dispatches a thread for it.
    pub(crate) fn submit(self: &Arc<Self>, job: JobRef) -> Ticket {
        let (ticket, dispatch) = {
            let mut state = self.state();
            let ticket = state.next;
            state.next = Ticket(ticket.0 + 1);
            state.jobs.insert(ticket, job);
            (ticket, state.dispatch(self.settings.most()))
        };
        match dispatch {
            Dispatch::Idle(IdleThread(thread)) => thread.unpark(),
            Dispatch::New(number) => self.start_thread(number),
            Dispatch::Busy => {}
        }
        ticket
    }

    fn start_thread(self: &Arc<Self>, number: usize) {
        let name = format!("{}-{number}", self.name);
        let pool = Arc::clone(self);
        if os::thread::start(name, move || pool.serve()).is_err() {
            self.run_jobs_here();
        }
    }

    /// Runs the queued jobs on the calling thread if there is no other, after a thread that was counted could not be started.
    #[cold]
    fn run_jobs_here(&self) {
        let mut state = self.state();
        state.threads -= 1;
        while state.threads == 0 {
            let Some((_, job)) = state.jobs.pop_first() else { break };
            drop(state);
            self.complete(job);
            state = self.state();
        }
    }

    /// Takes the right to run a job back. `None` if a thread has begun to run the job.
    pub(crate) fn take_back(&self, job: Ticket) -> Option<JobRef> {
        self.state().jobs.remove(&job)
    }

    fn complete(&self, job: JobRef) {
        let finished = job.run();
        self.completed.fetch_add(1, Ordering::Relaxed);
        finished.notify_caller();
    }

    /// Whether the calling thread belongs to this pool, so that a fiber may be waiting for its job.
    pub(crate) fn owns_current_thread(&self) -> bool {
        ptr::eq(OWNER.get(), self)
    }

    /// The body of a thread.
    fn serve(&self) {
        lease::register_thread();
        OWNER.set(self);
        let mut state = self.state();
        loop {
            if let Some((_, job)) = state.jobs.pop_first() {
                drop(state);
                self.complete(job);
                state = self.state();
            } else if state.closed && !lease::is_held() {
                break;
            } else {
                state.idle.push(IdleThread(thread::current()));
                drop(state);
                let was_dispatched = self.wait_for_job();
                state = self.state();
                if !was_dispatched && state.jobs.is_empty() {
                    break;
                }
            }
        }
        state.threads -= 1;
    }

    /// Sleeps until the calling thread is dispatched. Returns false if the thread has stopped being idle by itself, after the
    /// longest idle time.
    fn wait_for_job(&self) -> bool {
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
            let Some(at) = state.idle.iter().position(|idle_thread| idle_thread.0.id() == me) else {
                return true;
            };
            let is_over = state.closed || deadline.is_some_and(|at| Instant::now() >= at);
            if is_over && !lease::is_held() {
                state.idle.remove(at);
                return false;
            }
        }
    }

    /// Closes the pool, after the end of the runtime: threads end when the queue is empty.
    pub(crate) fn close(&self) {
        if let Some(forking) = &self.forking {
            forking.close();
        }
        let idle = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        idle.into_iter().for_each(|IdleThread(thread)| thread.unpark());
    }
}

impl State {
    fn dispatch(&mut self, max_threads: usize) -> Dispatch {
        if let Some(idle_thread) = self.idle.pop() {
            return Dispatch::Idle(idle_thread);
        }
        if self.threads >= max_threads {
            return Dispatch::Busy;
        }
        self.threads += 1;
        self.peak = self.peak.max(self.threads);
        self.started += 1;
        Dispatch::New(self.started - 1)
    }
}
