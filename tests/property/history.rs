//! Runs a program, writes down its history, and looks for an order that explains it.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use abaca::Runtime;
use abaca::cancel::CancelToken;
use abaca::time::timeout;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// A primitive under test.
pub(crate) trait System: Send + Sync + Sized + 'static {
    type Op: Clone + Debug + Send + Sync + 'static;
    type Answer: Clone + Debug + Send + 'static;
    /// What a stream holds between its calls.
    type Held<'a>: Default;
    /// The model: a plain value.
    type Model: Clone + Eq + Hash + Default;

    /// What each stream does at its end, in any case.
    const LAST: &[Self::Op] = &[];
    /// What is asked when all streams have ended: nothing of it waits.
    const AFTERWARDS: &[Self::Op] = &[];

    fn new() -> Self;

    /// Makes the call. What waits in it may be cut short.
    fn call<'a>(&'a self, stream: usize, held: &mut Self::Held<'a>, op: &Self::Op) -> Self::Answer;

    /// The model after the call, if the answer is one that it may give then.
    fn step(model: &Self::Model, stream: usize, op: &Self::Op, answer: &Self::Answer) -> Option<Self::Model>;

    /// Whether a history may end so.
    fn may_end(_: &Self::Model) -> bool {
        true
    }
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    Micros(u64),
    /// Until the token of the program is cancelled, or for a millisecond.
    Token,
}

#[derive(Clone, Debug)]
pub(crate) enum Act<Op> {
    Call(Op, Patience),
    /// Cancels the token.
    Blow,
    Yield,
}

#[derive(Clone, Debug)]
pub(crate) struct Program<Op> {
    streams: Vec<Vec<Act<Op>>>,
    /// Streams that are cancelled as a whole, each after so many yields.
    cancelled: Vec<(usize, u8)>,
}

/// How many streams there are, the last of which are threads.
const STREAMS: usize = 8;
const THREADS: usize = 2;

/// How often each program is run: its outcomes differ.
const RUNS: usize = 4;

/// A search that takes more steps than this is given up: the program is too wild to be explained.
const STEPS: usize = 400_000;

pub(crate) fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("property/regressions.txt");
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig { failure_persistence: Some(Box::new(regressions)), cases, ..ProptestConfig::default() }
}

pub(crate) fn program<Op: Clone + Debug>(
    op: impl Strategy<Value = Op> + Clone,
) -> impl Strategy<Value = Program<Op>> {
    let patience = prop_oneof![3 => (0..300_u64).prop_map(Patience::Micros), 1 => Just(Patience::Token)];
    let act = prop_oneof![
        8 => (op, patience).prop_map(|(op, patience)| Act::Call(op, patience)),
        1 => Just(Act::Blow),
        1 => Just(Act::Yield),
    ];
    let streams = prop::collection::vec(prop::collection::vec(act, 0..5), STREAMS);
    let cancelled = prop::collection::vec((0..STREAMS - THREADS, any::<u8>()), 0..3);
    (streams, cancelled).prop_map(|(streams, cancelled)| Program { streams, cancelled })
}

/// A call that has returned.
struct Event<S: System> {
    stream: usize,
    began: u64,
    ended: u64,
    op: S::Op,
    answer: S::Answer,
}

impl<S: System> Debug for Event<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stream, began, ended, op, answer } = self;
        write!(f, "{began}..{ended} stream {stream}: {op:?} -> {answer:?}")
    }
}

struct Run<S: System> {
    system: S,
    clock: AtomicU64,
    token: Mutex<CancelToken>,
    events: Mutex<Vec<Event<S>>>,
    is_open: AtomicBool,
}

impl<S: System> Run<S> {
    fn note<'a>(&'a self, stream: usize, held: &mut S::Held<'a>, op: &S::Op, patience: Option<Patience>) {
        let began = self.clock.fetch_add(1, SeqCst);
        let mut call = || self.system.call(stream, held, op);
        let answer = match patience {
            None => Some(call()),
            Some(Patience::Micros(micros)) => timeout(Duration::from_micros(micros), call).ok(),
            Some(Patience::Token) => {
                let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
                timeout(Duration::from_millis(1), || token.run_until_cancelled(call)).ok().flatten()
            }
        };
        let ended = self.clock.fetch_add(1, SeqCst);
        if let Some(answer) = answer {
            let event = Event { stream, began, ended, op: op.clone(), answer };
            self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    }

    fn stream(&self, stream: usize, acts: &[Act<S::Op>]) {
        let mut life = Life { run: self, stream, held: S::Held::default() };
        // All at once.
        while !self.is_open.load(SeqCst) {
            abaca::yield_now();
        }
        for act in acts {
            match act {
                Act::Call(op, patience) => self.note(stream, &mut life.held, op, Some(*patience)),
                Act::Blow => {
                    let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut *token).cancel();
                }
                Act::Yield => abaca::yield_now(),
            }
        }
    }
}

/// A stream gives back at its end what it holds, also if it is cancelled.
struct Life<'a, S: System> {
    run: &'a Run<S>,
    stream: usize,
    held: S::Held<'a>,
}

impl<S: System> Drop for Life<'_, S> {
    fn drop(&mut self) {
        for op in S::LAST {
            self.run.note(self.stream, &mut self.held, op, None);
        }
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

fn history<S: System>(program: &Program<S::Op>) -> Vec<Event<S>> {
    let run = Arc::new(Run {
        system: S::new(),
        clock: AtomicU64::new(0),
        token: Mutex::default(),
        events: Mutex::default(),
        is_open: AtomicBool::new(false),
    });
    let program = Arc::new(program.clone());
    let body = |stream: usize| {
        let (run, program) = (Arc::clone(&run), Arc::clone(&program));
        move || run.stream(stream, &program.streams[stream])
    };
    // From outside, so that each may start on a worker of its own.
    let fibers: Vec<_> = (0..STREAMS - THREADS).map(|stream| RUNTIME.spawn(body(stream))).collect();
    let threads: Vec<_> =
        (STREAMS - THREADS..STREAMS).map(|stream| std::thread::spawn(body(stream))).collect();
    run.is_open.store(true, SeqCst);
    for (stream, yields) in &program.cancelled {
        (0..*yields).for_each(|_| std::thread::yield_now());
        fibers[*stream].fiber().cancel();
    }
    for fiber in fibers {
        if let Err(payload) = fiber.join()
            && !payload.is::<abaca::Cancelled>()
        {
            std::panic::resume_unwind(payload);
        }
    }
    threads.into_iter().for_each(|thread| thread.join().expect("a stream does not panic"));
    let mut held = S::Held::default();
    for op in S::AFTERWARDS {
        run.note(STREAMS, &mut held, op, None);
    }
    drop(held);
    std::mem::take(&mut *run.events.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether some order explains the events; the calls that were cut short are not among them.
fn is_explained<S: System>(events: &[Event<S>]) -> bool {
    assert!(events.len() <= 128, "a mask has a bit for each");
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, S::Model::default())];
    while let Some((done, model)) = open.pop() {
        let left = || (0..events.len()).filter(|at| done & 1 << at == 0);
        let Some(first_end) = left().map(|at| events[at].ended).min() else {
            if S::may_end(&model) {
                return true;
            }
            continue;
        };
        for at in left().filter(|at| events[*at].began < first_end) {
            let Event { stream, op, answer, .. } = &events[at];
            if let Some(next) = S::step(&model, *stream, op, answer) {
                let state = (done | 1 << at, next);
                if seen.insert(state.clone()) {
                    open.push(state);
                }
            }
        }
        if seen.len() > STEPS {
            return true;
        }
    }
    false
}

/// Runs the program several times; an error is a history that nothing explains.
pub(crate) fn check<S: System>(program: &Program<S::Op>) -> Result<(), TestCaseError> {
    for _ in 0..RUNS {
        let mut events = history::<S>(program);
        if !is_explained(&events) {
            events.sort_by_key(|event| event.began);
            let lines: Vec<_> = events.iter().map(|event| format!("{event:?}")).collect();
            return Err(TestCaseError::fail(format!("no order explains this:\n{}", lines.join("\n"))));
        }
    }
    Ok(())
}

/// Histories that are wrong are found out: a counter that lost an increment.
#[test]
fn a_history_without_an_order_is_found() {
    struct Counter;
    impl System for Counter {
        type Op = ();
        type Answer = u8;
        type Held<'a> = ();
        type Model = u8;
        fn new() -> Self {
            Self
        }
        fn call(&self, _: usize, (): &mut (), (): &()) -> u8 {
            0
        }
        fn step(model: &u8, _: usize, (): &(), answer: &u8) -> Option<u8> {
            (answer == model).then_some(model + 1)
        }
    }
    let event = |began, ended, answer| Event::<Counter> { stream: 0, began, ended, op: (), answer };
    assert!(is_explained(&[event(0, 3, 1), event(1, 2, 0)]), "they overlap");
    assert!(!is_explained(&[event(0, 1, 1), event(2, 3, 0)]), "the second answer came first");
    assert!(!is_explained(&[event(0, 2, 0), event(1, 3, 0)]), "an increment is lost");
}
