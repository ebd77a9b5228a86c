//! The threads that run workers: those that do, those that wait for one (the spares), and how more are started and retired.

#![expect(unsafe_code, reason = "follows the addresses of fibers and of their homes")]

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Carrier;
use crate::cell::Header;
use crate::os::{self, stderr};
use crate::scheduler::here;
use crate::scheduler::shared::Shared;
use crate::scheduler::worker::{Stealable, Worker};

/// How long a spare waits for a worker before it retires.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Starts a thread of the runtime that runs [`run_thread`] without a worker.
pub(crate) type Start = Box<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Is told the id of each thread that its worker has left. On the monitor's thread.
static OBSERVER: OnceLock<fn(i32)> = OnceLock::new();

/// Sets who is told of threads that their workers leave. The first call counts.
pub(crate) fn observe_stuck_threads(observer: fn(i32)) {
    let _ = OBSERVER.set(observer);
}

/// See the module's documentation.
pub(crate) struct Spares {
    start: Start,
    /// The most threads beyond one a worker.
    max: usize,
    /// Whether workers leave their threads as often as they can, for tests.
    is_eager: bool,
    /// The threads beyond one a worker: spares, and threads whose worker was taken.
    count: AtomicUsize,
    state: Mutex<State>,
    /// Whether a refusal of the operating system has been reported.
    has_reported: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The carriers of all threads, so that a worker's carrier can be looked at.
    carriers: Vec<Arc<Carrier>>,
    /// Those that wait for a worker, the last to come last.
    waiting: Vec<Arc<Carrier>>,
    is_closed: bool,
}

impl Spares {
    pub(crate) fn new(max: usize, is_eager: bool, start: Start) -> Self {
        Self {
            start,
            max,
            is_eager,
            count: AtomicUsize::new(0),
            state: Mutex::default(),
            has_reported: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether workers leave their threads as often as they can, for tests.
    pub(crate) fn is_eager(&self) -> bool {
        self.is_eager
    }

    /// The threads beyond one a worker.
    pub(crate) fn count(&self) -> usize {
        // Relaxed: a number.
        self.count.load(Ordering::Relaxed)
    }

    /// Ends the waiting threads, now and from now on: there is no worker any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.iter().for_each(|carrier| carrier.wake());
    }

    /// Takes `worker` from its thread, which is stuck, and gives it to a spare. Returns false if the worker stays for now. From the
    /// monitor.
    pub(in crate::scheduler) fn hand_off(&self, worker: &Worker) -> bool {
        let Some(spare) = self.state().waiting.pop() else {
            // The next attempt finds it.
            self.start_spare();
            return false;
        };
        // Before its first thread has begun, a worker has no carrier.
        if !worker.try_carrier().is_some_and(|carrier| carrier.take(|| worker.may_leave_thread())) {
            let mut state = self.state();
            if state.is_closed {
                // It has not seen that yet.
                spare.wake();
            }
            state.waiting.push(spare);
            return false;
        }
        worker.note_absence();
        if let (Some(observe), Some(stuck)) = (OBSERVER.get(), worker.try_carrier()) {
            observe(stuck.thread_id());
        }
        // From here on the monitor looks at that carrier, whose thread is inside, also if that does not run yet.
        worker.set_carrier(&spare);
        spare.assign(worker);
        true
    }

    fn start_spare(&self) {
        if self.count() >= self.max {
            return;
        }
        // Relaxed: the monitor alone starts threads.
        self.count.fetch_add(1, Ordering::Relaxed);
        let Err(error) = (self.start)() else { return };
        self.count.fetch_sub(1, Ordering::Relaxed);
        if !self.has_reported.swap(true, Ordering::Relaxed) {
            stderr::write(
                format!("abaca: no thread for a worker whose own is stuck ({error}); it stays there.\n")
                    .as_bytes(),
            );
        }
    }

    fn enroll(&self) -> Arc<Carrier> {
        let carrier = Arc::new(Carrier::new(os::thread::id()));
        self.state().carriers.push(Arc::clone(&carrier));
        carrier
    }

    /// Waits for a worker for the calling thread. `None` if there will be none, or there was none for a while.
    fn await_worker(&self, carrier: &Arc<Carrier>) -> Option<&Worker> {
        self.state().waiting.push(Arc::clone(carrier));
        let began = Instant::now();
        loop {
            if let Some(worker) = carrier.take_assigned() {
                return Some(worker);
            }
            let mut state = self.state();
            if (state.is_closed || began.elapsed() >= KEEP_ALIVE)
                && let Some(index) = state.waiting.iter().position(|waiting| Arc::ptr_eq(waiting, carrier))
            {
                state.waiting.swap_remove(index);
                return None;
            }
            drop(state);
            carrier.sleep(Some(KEEP_ALIVE));
        }
    }

    /// Forgets the carrier of a thread that ends.
    fn dismiss(&self, carrier: &Arc<Carrier>) {
        self.state().carriers.retain(|known| !Arc::ptr_eq(known, carrier));
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spares").field("max", &self.max).field("count", &self.count).finish_non_exhaustive()
    }
}

/// The body of a thread that runs workers, beginning with `worker` if it has one.
pub(in crate::scheduler) fn run_thread(shared: &Shared, worker: Option<&Worker>) {
    let spares = shared.spares.get().expect("the runtime has own storage");
    let carrier = spares.enroll();
    here::set_carrier(&carrier);
    let mut next = worker;
    while let Some(worker) = next.take().or_else(|| spares.await_worker(&carrier)) {
        worker.set_carrier(&carrier);
        match worker.run() {
            Some(absent) => {
                carrier.renew();
                give_back(absent);
            }
            // The carrier stays, as the monitor may be looking at it.
            None => return shared.end_worker(worker.index),
        }
    }
    spares.dismiss(&carrier);
}

/// Gives a fiber that went on while its home had left it back to that home.
fn give_back(absent: NonNull<Header>) {
    // SAFETY: the fiber is suspended, and nobody else continues it.
    let header = unsafe { absent.as_ref() };
    // SAFETY: a home outlives its fibers.
    let home = unsafe { &*header.home.load(Ordering::Relaxed).cast::<Worker>() };
    let shared = home.shared();
    home.remote.returned.push(Stealable(absent));
    shared.unpark(home);
}
