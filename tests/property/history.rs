//! Runs a program, records its history, and looks for an order that explains it.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use abaca::Runtime;
use abaca::cancel::CancellationToken;
use abaca::time::timeout;
use proptest::prelude::*;

use crate::program::{Act, Program, STREAMS, THREADS, WaitLimit};
use crate::search::{Verdict, explain};

/// A primitive under test.
pub(crate) trait System: Send + Sync + Sized + 'static {
    type Op: Clone + Debug + Send + Sync + 'static;
    type Answer: Clone + Debug + Send + 'static;
    /// What a stream holds between its calls.
    type Held<'a>: Default;
    /// The model: a plain value.
    type Model: Clone + Eq + Hash + Default;

    /// The calls that each stream makes at its end, in any case.
    const LAST: &[Self::Op] = &[];
    /// The calls that are made when all streams have ended. None of them waits.
    const AFTERWARDS: &[Self::Op] = &[];

    fn new() -> Self;

    /// Makes the call. A wait in it may be cut short.
    fn call<'a>(&'a self, stream: usize, held: &mut Self::Held<'a>, op: &Self::Op) -> Self::Answer;

    /// The model after the call, if the model allows the answer.
    fn step(model: &Self::Model, stream: usize, op: &Self::Op, answer: &Self::Answer) -> Option<Self::Model>;

    /// Another model after the call, if the answer does not tell which of two things happened.
    fn alternative(_: &Self::Model, _stream: usize, _: &Self::Op, _: &Self::Answer) -> Option<Self::Model> {
        None
    }

    /// Whether the call waits in this state of the model. If so, a stream that is still in the call when nothing else happens
    /// has not missed a wake-up.
    fn waits(model: &Self::Model, stream: usize, op: &Self::Op) -> bool;

    /// Whether `answer` refuses a call that does not wait, and may do so because of `other`, a concurrent call of another
    /// stream, whatever its result. This is for state that the model does not have, such as a waiting line.
    fn excuses(_other: &Self::Op, _op: &Self::Op, _answer: &Self::Answer) -> bool {
        false
    }

    /// Whether a history may end in this state.
    fn may_end(_: &Self::Model) -> bool {
        true
    }

    /// Further conditions on the calls that have returned. An error says which one does not hold.
    fn meets(_: &[Event<Self>]) -> Result<(), String> {
        Ok(())
    }
}

/// How often each program is run: its results differ.
const RUNS: usize = 4;

/// How long a stream may take to run after a wake-up, on a busy machine. Only a lost wake-up takes
/// longer.
const WAKE_UP_LIMIT: Duration = Duration::from_secs(60);

/// A call that has returned.
pub(crate) struct Event<S: System> {
    pub(crate) stream: usize,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) op: S::Op,
    pub(crate) answer: S::Answer,
    /// The call was refused, which a concurrent call excuses.
    pub(crate) is_excused: bool,
}

impl<S: System> Clone for Event<S> {
    fn clone(&self) -> Self {
        let Self { stream, began, ended, is_excused, .. } = *self;
        Self { stream, began, ended, op: self.op.clone(), answer: self.answer.clone(), is_excused }
    }
}

impl<S: System> Debug for Event<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stream, began, ended, op, answer, .. } = self;
        write!(f, "{began}..{ended} stream {stream}: {op:?} -> {answer:?}")
    }
}

/// A call that has not returned. If it has ended, it was cut short.
struct Unanswered<S: System> {
    stream: usize,
    began: u64,
    ended: u64,
    op: S::Op,
    is_endless: bool,
}

/// The end of a call that is still under way.
const NEVER: u64 = u64::MAX;

struct Log<S: System> {
    events: Vec<Event<S>>,
    unanswered: Vec<Unanswered<S>>,
    /// Streams that have not ended.
    live: usize,
}

impl<S: System> Log<S> {
    /// The events, with `is_excused` set.
    fn excused(&self) -> Vec<Event<S>> {
        let calls = self.events.iter().map(|event| (event.stream, event.began, event.ended, &event.op));
        let others = self.unanswered.iter().map(|call| (call.stream, call.began, call.ended, &call.op));
        let calls: Vec<_> = calls.chain(others).collect();
        let mut events = self.events.clone();
        for event in &mut events {
            event.is_excused = calls.iter().any(|(stream, began, ended, op)| {
                *stream != event.stream
                    && *began < event.ended
                    && event.began < *ended
                    && S::excuses(op, &event.op, &event.answer)
            });
        }
        events
    }

    /// Whether all streams that have not ended are in calls that nothing cuts short.
    fn is_still(&self) -> bool {
        let waiting = self.unanswered.iter().filter(|call| call.is_endless && call.ended == NEVER);
        waiting.count() == self.live
    }

    /// Whether all calls under way wait in this state of the model.
    fn may_wait(&self, model: &S::Model) -> bool {
        let under_way = self.unanswered.iter().filter(|call| call.ended == NEVER);
        under_way.into_iter().all(|call| S::waits(model, call.stream, &call.op))
    }

    fn lines(&self) -> String {
        let mut lines: Vec<_> = self.events.iter().map(|event| (event.began, format!("{event:?}"))).collect();
        lines.extend(self.unanswered.iter().map(|call| {
            let end = if call.ended == NEVER { "under way".into() } else { call.ended.to_string() };
            (call.began, format!("{}..{end} stream {}: {:?}", call.began, call.stream, call.op))
        }));
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
    }
}

struct Run<S: System> {
    system: S,
    clock: AtomicU64,
    /// Cuts short the calls that wait with [`WaitLimit::Token`].
    token: Mutex<CancellationToken>,
    /// Cuts short all calls that are left.
    end: CancellationToken,
    log: Mutex<Log<S>>,
    is_open: AtomicBool,
}

/// A call under way. When this is dropped, the call was cut short or has been answered.
struct CallUnderWay<'a, S: System> {
    run: &'a Run<S>,
    stream: usize,
    answer: Option<S::Answer>,
}

impl<S: System> Drop for CallUnderWay<'_, S> {
    fn drop(&mut self) {
        let mut log = self.run.log();
        let ended = self.run.clock.fetch_add(1, SeqCst);
        let is_own = |call: &Unanswered<S>| call.stream == self.stream && call.ended == NEVER;
        let at = log.unanswered.iter().position(is_own).expect("it was recorded when it began");
        match self.answer.take() {
            None => log.unanswered[at].ended = ended,
            Some(answer) => {
                let Unanswered { stream, began, op, .. } = log.unanswered.swap_remove(at);
                log.events.push(Event { stream, began, ended, op, answer, is_excused: false });
            }
        }
    }
}

impl<S: System> Run<S> {
    fn log(&self) -> MutexGuard<'_, Log<S>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, stream: usize, op: &S::Op, is_endless: bool) -> CallUnderWay<'_, S> {
        let mut log = self.log();
        let began = self.clock.fetch_add(1, SeqCst);
        log.unanswered.push(Unanswered { stream, began, ended: NEVER, op: op.clone(), is_endless });
        CallUnderWay { run: self, stream, answer: None }
    }

    fn record<'a>(&'a self, stream: usize, held: &mut S::Held<'a>, op: &S::Op, limit: Option<WaitLimit>) {
        let mut under_way = self.begin(stream, op, matches!(limit, Some(WaitLimit::Endless)));
        let mut call = || self.system.call(stream, held, op);
        under_way.answer = match limit {
            None => Some(call()),
            Some(WaitLimit::Micros(micros)) => timeout(Duration::from_micros(micros), call).ok(),
            Some(WaitLimit::Token) => {
                let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
                timeout(Duration::from_millis(1), || token.run_until_cancelled(call)).ok().flatten()
            }
            Some(WaitLimit::Endless) => self.end.run_until_cancelled(call),
        };
    }

    fn stream(&self, stream: usize, acts: &[Act<S::Op>]) {
        let mut guard = StreamGuard { run: self, stream, held: S::Held::default() };
        // All streams begin at once.
        while !self.is_open.load(SeqCst) {
            abaca::yield_now();
        }
        for act in acts {
            match act {
                Act::Call(op, limit) => self.record(stream, &mut guard.held, op, Some(*limit)),
                Act::CancelToken => {
                    let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut *token).cancel();
                }
                Act::Yield => abaca::yield_now(),
            }
        }
    }

    /// Waits until all streams have ended or wait as the model says, and ends those waits. Returns `false` if a stream waits
    /// although the model says that it need not.
    fn end_waits(&self) -> bool {
        let begin = Instant::now();
        loop {
            {
                let log = self.log();
                let is_over = log.live == 0;
                let may_wait = || explain(&log.excused(), |model| log.may_wait(model)) != Verdict::Wrong;
                if is_over || (log.is_still() && may_wait()) {
                    break;
                }
            }
            if begin.elapsed() > WAKE_UP_LIMIT {
                return false;
            }
            std::thread::yield_now();
        }
        self.end.cancel();
        true
    }
}

/// At its end, also if it is cancelled, a stream gives back what it holds.
struct StreamGuard<'a, S: System> {
    run: &'a Run<S>,
    stream: usize,
    held: S::Held<'a>,
}

impl<S: System> Drop for StreamGuard<'_, S> {
    fn drop(&mut self) {
        for op in S::LAST {
            self.run.record(self.stream, &mut self.held, op, None);
        }
    }
}

/// Counts a stream until it has ended, or was cancelled before it began.
struct Alive<S: System>(Arc<Run<S>>);

impl<S: System> Drop for Alive<S> {
    fn drop(&mut self) {
        self.0.log().live -= 1;
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    abaca_tests::leaks::expect_runtime(8);
    Runtime::builder().workers(8).build().expect("workers start")
});

/// Runs `f` as a fiber beside the streams.
pub(crate) fn on_fibers<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    RUNTIME.run(f)
}

/// Runs the program once. Fails if no order explains the history.
fn run_once<S: System>(program: &Program<S::Op>) -> Result<(), TestCaseError> {
    let log = Log { events: Vec::new(), unanswered: Vec::new(), live: STREAMS };
    let run = Arc::new(Run {
        system: S::new(),
        clock: AtomicU64::new(0),
        token: Mutex::default(),
        end: CancellationToken::new(),
        log: Mutex::new(log),
        is_open: AtomicBool::new(false),
    });
    let program = Arc::new(program.clone());
    let body = |stream: usize| {
        let (run, program) = (Arc::clone(&run), Arc::clone(&program));
        let alive = Alive(run);
        move || alive.0.stream(stream, &program.streams[stream])
    };
    // Spawned from outside, so that each may start on a worker of its own.
    let fibers: Vec<_> = (0..STREAMS - THREADS).map(|stream| RUNTIME.spawn(body(stream))).collect();
    let threads: Vec<_> =
        (STREAMS - THREADS..STREAMS).map(|stream| std::thread::spawn(body(stream))).collect();
    run.is_open.store(true, SeqCst);
    for (stream, yields) in &program.cancelled {
        (0..*yields).for_each(|_| std::thread::yield_now());
        fibers[*stream].fiber().cancel();
    }
    let all_waits_are_right = run.end_waits();
    let lines = run.log().lines();
    run.end.cancel();
    for fiber in fibers {
        if let Err(payload) = fiber.join()
            && !payload.is::<abaca::Cancelled>()
        {
            std::panic::resume_unwind(payload);
        }
    }
    threads.into_iter().for_each(|thread| thread.join().expect("a stream does not panic"));
    if !all_waits_are_right {
        return Err(TestCaseError::fail(format!("a stream waits although it need not:\n{lines}")));
    }
    let mut held = S::Held::default();
    for op in S::AFTERWARDS {
        run.record(STREAMS, &mut held, op, None);
    }
    drop(held);
    let log = run.log();
    let events = log.excused();
    let met = S::meets(&events);
    match explain(&events, S::may_end) {
        _ if met.is_err() => Err(TestCaseError::fail(format!("{}:\n{}", met.unwrap_err(), log.lines()))),
        Verdict::Explained => Ok(()),
        Verdict::Wrong => Err(TestCaseError::fail(format!("no order explains this:\n{}", log.lines()))),
        Verdict::GivenUp => Err(TestCaseError::reject("too many orders to try")),
    }
}

/// Runs the program several times. Fails if no order explains one of the histories.
pub(crate) fn check<S: System>(program: &Program<S::Op>) -> Result<(), TestCaseError> {
    (0..RUNS).try_for_each(|_| run_once::<S>(program))
}
