//! The engine: a fiber that hands out requests when they are due, and a fiber per connection that carries them.
//!
//! All run on one worker, so what they share needs no lock. The clock fiber puts the time at which a request is due
//! into `queue` and wakes the connection that has been idle longest; a connection that has its answer takes the next
//! one from the queue, or goes idle. A request that finds no idle connection waits in the queue: its latency counts.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use abaca::time::sleep_until;
use abaca::{Fiber, JoinHandle};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use super::connection::{CONNECT_TIMEOUT, Connection, Failure, request};
use super::plan::{Pace, Plan};
use super::report::{Distribution, Errors, Report, histogram};
use super::schedule::schedule;

/// Stack of a connection's fiber: it parses answers, no more.
const STACK_BYTES: usize = 32 * 1024;

/// How long a connection that was refused waits before it tries again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

/// How often the end looks whether all answers have come.
const GLANCE: Duration = Duration::from_millis(1);

/// Runs a plan.
///
/// # Errors
///
/// * The server cannot be reached at all.
/// * There is no thread or no memory for the generator.
pub fn run(plan: &Plan) -> io::Result<Report> {
    let builder = abaca::Runtime::builder().workers(1).stack_size(STACK_BYTES);
    let priority = plan.priority;
    let runtime = builder.on_thread_start(move || priority.set()).build()?;
    let plan = plan.clone();
    runtime.run(move || Load::new(plan).map(|load| Rc::new(load).run()))
}

/// Requests that are handed out without a pause before the connections get their turn.
const BURST: u32 = 32;

/// What the fibers of a load share.
struct Load {
    plan: Plan,
    request: Vec<u8>,
    burning_request: Vec<u8>,
    phase: Cell<Phase>,
    /// The time that is measured.
    window: Cell<(Instant, Instant)>,
    /// Requests that are due.
    queue: RefCell<VecDeque<Due>>,
    /// Connections without a request, the one that has been idle longest first.
    idle: RefCell<VecDeque<Fiber>>,
    /// The request of each connection, while it is on its way.
    in_flight: RefCell<Vec<Option<Due>>>,
    counts: Cell<Counts>,
    latency: RefCell<Histogram<u64>>,
    lag: RefCell<Histogram<u64>>,
    timer: RefCell<Histogram<u64>>,
}

/// A request that is due.
#[derive(Clone, Copy)]
struct Due {
    at: Instant,
    burns: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Running,
    Ended,
}

/// Of requests that were due in the window.
#[derive(Clone, Copy, Default)]
struct Counts {
    due: u64,
    handed_out: u64,
    answered: u64,
    burns_due: u64,
    burns_answered: u64,
    /// Answers that came in the window, whenever they were due.
    answered_in_window: u64,
    errors: Errors,
    /// The thread's CPU time when the window opened.
    cpu_before: Duration,
}

impl Load {
    fn new(plan: Plan) -> io::Result<Self> {
        // What is wrong with all connections is an error, and not a thousand failed requests.
        drop(abaca::net::TcpStream::connect_timeout(&plan.target.address, CONNECT_TIMEOUT)?);
        let now = Instant::now();
        Ok(Self {
            request: request(&plan, &plan.target.path),
            burning_request: plan.burns.as_ref().map_or_else(Vec::new, |burns| request(&plan, &burns.path)),
            in_flight: RefCell::new(vec![None; plan.connections]),
            plan,
            phase: Cell::new(Phase::Connecting),
            window: Cell::new((now, now)),
            queue: RefCell::default(),
            idle: RefCell::default(),
            counts: Cell::default(),
            latency: RefCell::new(histogram()),
            lag: RefCell::new(histogram()),
            timer: RefCell::new(histogram()),
        })
    }

    fn run(self: Rc<Self>) -> Report {
        let connections = self.connect_all();
        let began = Instant::now();
        let opens = began + self.plan.warmup;
        let closes = opens + self.plan.duration;
        self.window.set((opens, closes));
        self.phase.set(Phase::Running);
        match self.plan.pace {
            Pace::Open { rate } => self.hand_out(began, rate),
            Pace::Closed => {
                self.wake_all();
                sleep_until(opens);
                self.count(|counts| counts.cpu_before = cpu_time());
            }
        }
        sleep_until(closes);
        let cpu = cpu_time().saturating_sub(self.counts.get().cpu_before);
        self.phase.set(Phase::Ended);
        self.wake_all();
        self.await_answers();
        for connection in connections {
            connection.cancel();
            let _ = connection.join();
        }
        self.report(cpu)
    }

    /// Starts a fiber per connection. Each connects before the next begins, so that no burst overflows the server's
    /// backlog.
    fn connect_all(self: &Rc<Self>) -> Vec<JoinHandle<()>> {
        let start = |number| {
            let (load, starter) = (Rc::clone(self), abaca::current());
            let connected = Rc::new(Cell::new(false));
            let tell = Rc::clone(&connected);
            let fiber = abaca::spawn_local(move || {
                let mut connection = Connection::new(&load.plan);
                if load.plan.keep_alive {
                    // A failure will come again with the first request, and is counted there.
                    let _ = connection.connect();
                }
                tell.set(true);
                starter.unpark();
                load.carry(number, &mut connection);
            });
            while !connected.get() {
                abaca::park();
            }
            fiber
        };
        (0..self.plan.connections).map(start).collect()
    }

    /// Hands out requests when they are due.
    fn hand_out(&self, began: Instant, rate: f64) {
        let (opens, closes) = self.window.get();
        for (number, planned) in (0_u32..).zip(schedule(&self.plan, rate)) {
            let due = began + planned.after;
            if due >= closes {
                return;
            }
            if Instant::now() < due {
                sleep_until(due);
                let late = due.elapsed();
                self.timer.borrow_mut().saturating_record(late.as_nanos() as u64);
            } else if number % BURST == 0 {
                abaca::yield_now();
            }
            let now = Instant::now();
            // Far behind, the rest is no load any more; it stays due, which makes the report invalid.
            let is_handed_out = now < closes + self.plan.patience;
            if due >= opens {
                self.count(|counts| {
                    if counts.due == 0 {
                        counts.cpu_before = cpu_time();
                    }
                    counts.due += 1;
                    counts.burns_due += u64::from(planned.burns);
                    counts.handed_out += u64::from(is_handed_out);
                });
                let lag = now.saturating_duration_since(due);
                self.lag.borrow_mut().saturating_record(lag.as_nanos() as u64);
            }
            if is_handed_out {
                self.queue.borrow_mut().push_back(Due { at: due, burns: planned.burns });
                let idle = self.idle.borrow_mut().pop_front();
                if let Some(connection) = idle {
                    connection.unpark();
                }
            }
        }
    }

    /// Carries requests on one connection, until there are no more.
    fn carry(&self, number: usize, connection: &mut Connection<'_>) {
        while let Some(due) = self.next() {
            self.in_flight.borrow_mut()[number] = Some(due);
            let request = if due.burns { &self.burning_request } else { &self.request };
            let outcome = connection.exchange(request);
            self.in_flight.borrow_mut()[number] = None;
            self.record(due, outcome);
            if outcome == Err(Failure::Connect) {
                abaca::sleep(RECONNECT_PAUSE);
            }
        }
    }

    /// The next request for an idle connection; waits for one. `None` when there will be no more.
    fn next(&self) -> Option<Due> {
        loop {
            if let Some(due) = self.queue.borrow_mut().pop_front() {
                return Some(due);
            }
            match self.phase.get() {
                Phase::Ended => return None,
                Phase::Running if self.plan.pace == Pace::Closed => {
                    let now = Instant::now();
                    if now >= self.window.get().0 {
                        self.count(|counts| counts.due += 1);
                    }
                    return Some(Due { at: now, burns: false });
                }
                Phase::Connecting | Phase::Running => {
                    self.idle.borrow_mut().push_back(abaca::current());
                    abaca::park();
                }
            }
        }
    }

    fn wake_all(&self) {
        let idle = self.idle.take();
        idle.iter().for_each(Fiber::unpark);
    }

    fn record(&self, Due { at: due, burns }: Due, outcome: Result<(), Failure>) {
        let now = Instant::now();
        let (opens, closes) = self.window.get();
        self.count(|counts| {
            if outcome.is_ok() && now >= opens && now < closes {
                counts.answered_in_window += 1;
            }
            if due >= opens {
                match outcome {
                    Ok(()) => {
                        counts.answered += 1;
                        counts.burns_answered += u64::from(burns);
                    }
                    Err(Failure::Connect) => counts.errors.connect += 1,
                    Err(Failure::Broken) => counts.errors.broken += 1,
                    Err(Failure::Status) => counts.errors.status += 1,
                }
            }
        });
        if due >= opens && outcome.is_ok() && !burns {
            self.latency.borrow_mut().saturating_record((now - due).as_nanos() as u64);
        }
    }

    /// Waits for the answers that are missing; those that do not come are counted with the time they have waited.
    fn await_answers(&self) {
        let until = Instant::now() + self.plan.patience;
        let is_complete =
            || self.queue.borrow().is_empty() && self.in_flight.borrow().iter().all(Option::is_none);
        while !is_complete() && Instant::now() < until {
            abaca::sleep(GLANCE);
        }
        let (now, opens) = (Instant::now(), self.window.get().0);
        let (queue, in_flight) = (self.queue.take(), self.in_flight.borrow());
        let missing = queue.iter().chain(in_flight.iter().flatten());
        for due in missing.filter(|due| due.at >= opens) {
            if !due.burns {
                self.latency.borrow_mut().saturating_record((now - due.at).as_nanos() as u64);
            }
            self.count(|counts| counts.errors.unanswered += 1);
        }
    }

    fn report(&self, cpu: Duration) -> Report {
        let counts = self.counts.get();
        let seconds = self.plan.duration.as_secs_f64();
        let mut report = Report {
            url: self.plan.target.to_string(),
            planned_rate: match self.plan.pace {
                Pace::Open { rate } => Some(rate),
                Pace::Closed => None,
            },
            connections: self.plan.connections,
            seconds,
            due: counts.due,
            answered: counts.answered,
            burns_due: counts.burns_due,
            burns_answered: counts.burns_answered,
            rate: counts.answered_in_window as f64 / seconds,
            errors: counts.errors,
            latency: Distribution::of(&self.latency.borrow()),
            lag: Distribution::of(&self.lag.borrow()),
            timer: Distribution::of(&self.timer.borrow()),
            cpu_seconds: cpu.as_secs_f64(),
            invalid: Vec::new(),
        };
        report.judge(counts.handed_out);
        report
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}

/// CPU time of this thread, which is the only one of the generator.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
