//! The threads that run workers: those that do, those that wait for one (the spares), and how more are started and retired.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::rest::Rest;
use super::urgency::Urgency;
use super::{Carrier, HandOff, SpareLimit};
use crate::os::{self, stderr};
use crate::scheduler::shared::Shared;
use crate::scheduler::worker::Worker;

/// Starts a thread of the runtime that runs [`run_thread`](super::run_thread) without a worker.
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
    limit: SpareLimit,
    /// Whether workers leave their threads as often as they can, for tests.
    is_eager: bool,
    /// How long a spare waits for a worker before it retires.
    keep_alive: Duration,
    pub(super) crowd: Crowd,
    pub(super) urgency: Urgency,
    /// The threads beyond one a worker: spares, and threads whose worker was taken.
    count: AtomicUsize,
    /// The fibers whose homes have left their threads, and that have not come home.
    pub(super) absent: AtomicUsize,
    /// How often a worker has left a thread that was stuck, and one that slept.
    hand_offs: AtomicU64,
    pub(super) exchanges: AtomicU64,
    pub(super) rest: Rest,
    pub(super) state: Mutex<State>,
    /// Whether a refusal of the operating system has been reported.
    has_reported: AtomicBool,
}

#[derive(Default)]
pub(super) struct State {
    /// The carriers of all threads, so that a worker's carrier can be looked at.
    carriers: Vec<Arc<Carrier>>,
    /// Those that wait for a worker, the last to come last.
    waiting: Vec<Arc<Carrier>>,
    /// How many threads rest.
    pub(super) resting: usize,
    is_closed: bool,
}

impl State {
    /// The carriers of all threads.
    pub(super) fn carriers(&self) -> &[Arc<Carrier>] {
        &self.carriers
    }
}

impl Spares {
    pub(crate) fn new(
        limit: SpareLimit,
        is_eager: bool,
        keep_alive: Duration,
        resting: Option<usize>,
        start: Start,
    ) -> Self {
        Self {
            start,
            limit,
            is_eager,
            keep_alive,
            crowd: Crowd::new(),
            urgency: Urgency::default(),
            count: AtomicUsize::new(0),
            absent: AtomicUsize::new(0),
            hand_offs: AtomicU64::new(0),
            exchanges: AtomicU64::new(0),
            rest: Rest::new(resting),
            state: Mutex::default(),
            has_reported: AtomicBool::new(false),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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

    /// How many they are, if there may be no more.
    pub(in crate::scheduler) fn exhausted(&self) -> Option<usize> {
        let count = self.count();
        (count > 0 && !self.limit.allows(count)).then_some(count)
    }

    /// Whether a fiber goes on although its home has left its thread. Once that is false, what came home has woken its home.
    pub(in crate::scheduler) fn has_absent(&self) -> bool {
        // Acquire: pairs with the Release in `give_back`.
        self.absent.load(Ordering::Acquire) != 0
    }

    /// How often a worker has left a thread that was stuck.
    pub(crate) fn hand_offs(&self) -> u64 {
        self.hand_offs.load(Ordering::Relaxed)
    }

    /// How often a thread has exchanged its worker for one that slept.
    pub(crate) fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// Ends the waiting threads, now and from now on: there is no worker any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.iter().for_each(|carrier| carrier.wake());
    }

    /// Takes `worker` from its thread, which has been stuck for so long, and gives it to that of an idle worker, or to a spare. `computes`:
    /// whether the thread wants a processor. From the monitor.
    pub(in crate::scheduler) fn hand_off(
        &self,
        worker: &Worker,
        stuck_for: Duration,
        computes: bool,
    ) -> HandOff {
        let mut state = self.state();
        // Before its first thread has begun, a worker has no carrier. Fibers that share, and guards, keep it for long.
        let stuck = worker.try_carrier().filter(|stuck| !stuck.is_inside() && worker.may_leave_thread());
        let Some(stuck) = stuck else { return HandOff::Refused };
        stuck.set_computes(computes);
        if self.unpark_for(&mut state, worker, stuck) || self.lend_thread(worker, stuck) {
            return HandOff::Done;
        }
        let Some(spare) = state.waiting.pop() else {
            drop(state);
            // The next attempt finds it.
            return if self.start_spare(Some((worker, stuck_for))) {
                HandOff::Soon
            } else {
                HandOff::Refused
            };
        };
        if !self.takes_stuck(worker, stuck) {
            state.waiting.push(spare);
            return HandOff::Refused;
        }
        if self.is_eager {
            // It may sleep.
            stuck.summon();
        }
        stuck.ward().pass_on(spare.ward());
        self.move_to(worker, &spare);
        let left = state.waiting.len();
        drop(state);
        if left < self.crowd.wanted_spares() {
            // One that blocks its thread seldom comes alone.
            self.start_spare(None);
        }
        HandOff::Done
    }

    /// Takes `worker` from the thread of this carrier, which is stuck in a fiber.
    pub(super) fn takes_stuck(&self, worker: &Worker, stuck: &Carrier) -> bool {
        let is_stuck = || self.is_eager || worker.current().is_some();
        let takes = stuck.take(|| worker.may_leave_thread() && is_stuck());
        if takes {
            // Relaxed: the monitor is who asks.
            self.absent.fetch_add(usize::from(worker.note_absence()), Ordering::Relaxed);
            if let Some(observe) = OBSERVER.get() {
                observe(stuck.thread_id());
            }
            if stuck.computes() {
                self.crowd.computes();
            }
            self.hand_offs.fetch_add(1, Ordering::Relaxed);
        }
        takes
    }

    /// Gives `worker`, whose thread is stuck, to the thread of a worker that sleeps. That worker the stuck thread gets, for when it comes back,
    /// and until then the other thread looks after it. Returns whether there is such a worker. Under the lock.
    fn lend_thread(&self, worker: &Worker, stuck: &Carrier) -> bool {
        if stuck.ward().get().is_some() {
            // Its new thread must look after that one.
            return false;
        }
        for idle in &worker.shared().workers {
            if idle.index == worker.index || idle.remote.sleep.current().is_none() {
                continue;
            }
            let Some(lent) = idle.try_carrier() else { continue };
            if lent.is_assigned()
                || lent.ward().get().is_some()
                || !lent.take(|| idle.may_leave_thread() && idle.current().is_none())
            {
                continue;
            }
            let takes = self.takes_stuck(worker, stuck);
            if takes {
                self.move_to(idle, stuck);
                lent.ward().set(Some(idle));
                self.move_to(worker, lent);
            } else {
                // The thread finds that it has its worker still.
                self.move_to(idle, lent);
            }
            return takes;
        }
        false
    }

    /// Whether `worker` sleeps although there is something to do for it, and the thread that it was given to has not begun with it.
    pub(in crate::scheduler) fn must_rescue(&self, worker: &Worker) -> bool {
        self.is_left(worker)
            && worker.remote.sleep.current().is_some()
            && worker.should_be_awake(worker.shared().now_ns())
    }

    /// Gives such a worker, which has waited for so long, to a spare. From the monitor.
    pub(in crate::scheduler) fn rescue(&self, worker: &Worker, stuck_for: Duration) {
        let mut state = self.state();
        if self.unpark_for_work(&mut state, worker) {
            return;
        }
        let Some(spare) = state.waiting.pop() else {
            drop(state);
            self.start_spare(Some((worker, stuck_for)));
            return;
        };
        if let Some(former) = worker.try_carrier().filter(|carrier| carrier.withdraw(worker)) {
            former.ward().pass_on(spare.ward());
            self.move_to(worker, &spare);
            // If it is no thread that is stuck, it waits again.
            former.wake();
        } else {
            state.waiting.push(spare);
        }
    }

    /// Whether the thread that `worker` was given to has not begun with it. From the monitor.
    pub(in crate::scheduler) fn is_left(&self, worker: &Worker) -> bool {
        let _state = self.state();
        worker.try_carrier().is_some_and(Carrier::is_assigned)
    }

    /// Makes a thread run `worker`, which the caller has taken.
    pub(super) fn move_to(&self, worker: &Worker, carrier: &Carrier) {
        // From here on others look at that carrier, whose thread is inside, also if that does not run yet.
        worker.set_carrier(carrier);
        carrier.assign(worker);
    }

    /// Starts a thread that will wait for a worker, for one that has been stuck for so long or for the next, unless enough are on their way. Returns
    /// false if there can be no more.
    fn start_spare(&self, stuck: Option<(&Worker, Duration)>) -> bool {
        if !self.crowd.wants_another() {
            return true;
        }
        let is_needed = || stuck.is_some_and(|(worker, time)| self.limit.yields_to(worker.thread_id(), time));
        if !self.limit.allows(self.count()) && !is_needed() {
            return false;
        }
        // Relaxed: the monitor alone starts threads.
        self.crowd.begins();
        self.count.fetch_add(1, Ordering::Relaxed);
        let Err(error) = (self.start)() else { return true };
        self.crowd.has_come();
        self.count.fetch_sub(1, Ordering::Relaxed);
        if !self.has_reported.swap(true, Ordering::Relaxed) {
            stderr::write(
                format!("abaca: no thread for a worker whose own is stuck ({error}); it stays there.\n")
                    .as_bytes(),
            );
        }
        false
    }

    pub(super) fn enroll(&self, shared: &Shared) -> Arc<Carrier> {
        let carrier = Arc::new(Carrier::new(os::thread::id(), shared));
        self.state().carriers.push(Arc::clone(&carrier));
        carrier
    }

    /// Waits for a worker for the calling thread. `None` if there will be none, or there was none for a while.
    pub(super) fn await_worker(&self, carrier: &Arc<Carrier>) -> Option<&Worker> {
        let began = Instant::now();
        loop {
            let mut state = self.state();
            if carrier.rests() {
                drop(state);
                carrier.sleep(None);
                continue;
            }
            if let Some(worker) = carrier.take_assigned() {
                // A waiting one is taken from the list for that.
                drop(state);
                self.make_slice_usual(carrier);
                return Some(worker);
            }
            let place = state.waiting.iter().position(|waiting| Arc::ptr_eq(waiting, carrier));
            let retires = began.elapsed() >= self.keep_alive && !carrier.is_kept();
            match place {
                _ if state.is_closed || retires => {
                    place.map(|index| state.waiting.swap_remove(index));
                    drop(state);
                    self.make_slice_usual(carrier);
                    return None;
                }
                Some(_) => {}
                // It has just come, or what it was given was withdrawn.
                None => state.waiting.push(Arc::clone(carrier)),
            }
            drop(state);
            self.shorten_slice(carrier);
            // One that stays is woken for a worker, or for the end.
            carrier.sleep((!carrier.is_kept()).then_some(self.keep_alive));
        }
    }

    /// Forgets the carrier of a thread that ends.
    pub(super) fn dismiss(&self, carrier: &Arc<Carrier>) {
        self.state().carriers.retain(|known| !Arc::ptr_eq(known, carrier));
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spares")
            .field("limit", &self.limit)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
