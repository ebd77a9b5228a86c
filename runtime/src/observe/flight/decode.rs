//! From the workers' events to what a [`Recording`] says.
//!
//! First each worker's events are cut into turns: the fiber whose `Park` or `End` closes a stretch of events has run since the `Run`
//! in that stretch, or else since the stretch began. Then all events go in the order of time. An address is a fiber's only from its
//! `Spawn` or `Start` to its `End`, so the walk keeps who is at each address.

use std::collections::HashMap;
use std::time::Duration;

use super::Recording;
use super::model::{Activity, Fiber, Note, Outcome, Transfer, Turn, Waker, Wakeup, WorkerEvent};
use crate::cell::Reason;
use crate::observe::object::name_of;
use crate::scheduler::{Cause, Decoded, Kind};

/// The events of one worker.
pub(super) struct Track {
    pub(super) events: Vec<Decoded>,
    /// The address of the fiber that ran when the events were copied; 0 if none did.
    pub(super) current: u64,
}

/// What the texts in events stand for.
pub(super) struct Texts<'a> {
    pub(super) names: &'a [String],
    /// The spawn site at an address.
    pub(super) site: &'a dyn Fn(u64) -> Option<String>,
}

/// One step of the walk.
#[derive(Clone, Copy)]
struct Step {
    worker: usize,
    /// The address of the fiber that runs there; 0 in the hub.
    runs: u64,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// The fiber at this address begins to run.
    Begin(u64),
    Event(Decoded),
}

/// Cuts the events of a worker into turns, and calls `step` with each event and each begin of a turn, in order.
fn cut(worker: usize, track: &Track, mut step: impl FnMut(u64, Step)) {
    let events = &track.events;
    let mut at = 0;
    while at < events.len() {
        let close = events[at..].iter().position(|event| matches!(event.kind, Kind::Park | Kind::End));
        let end = close.map_or(events.len(), |close| at + close + 1);
        let stretch = &events[at..end];
        let opens = |event: &Decoded| matches!(event.kind, Kind::Run | Kind::Start);
        let opening = stretch.iter().position(opens);
        let runner = match (close, opening) {
            (Some(_), _) => stretch[stretch.len() - 1].payload,
            (None, Some(opening)) => stretch[opening].payload,
            (None, None) => track.current,
        };
        // A fiber that is continued without the hub runs from the event before.
        let began = if at == 0 { stretch[0].ticks } else { events[at - 1].ticks };
        let mut runs = 0;
        if opening.is_none() && runner != 0 {
            runs = runner;
            step(began, Step { worker, runs, what: What::Begin(runner) });
        }
        for (index, event) in stretch.iter().enumerate() {
            let starts = event.kind == Kind::Start && Some(index) == opening;
            if event.kind == Kind::Run && Some(index) == opening {
                runs = runner;
                step(event.ticks, Step { worker, runs, what: What::Begin(runner) });
            }
            step(event.ticks, Step { worker, runs, what: What::Event(*event) });
            if starts {
                runs = runner;
                step(event.ticks, Step { worker, runs, what: What::Begin(runner) });
            }
        }
        at = end;
    }
}

/// Makes a recording of the events. `time` tells when a count of ticks was, `end` when the events were copied.
pub(super) fn decode(
    tracks: &[Track],
    texts: &Texts<'_>,
    time: impl Fn(u64) -> Duration,
    end: Duration,
) -> Recording {
    let mut steps = Vec::new();
    for (worker, track) in tracks.iter().enumerate() {
        cut(worker, track, |ticks, step| steps.push((ticks, step)));
    }
    // Stable: what one worker did stays in its order.
    steps.sort_by_key(|(ticks, _)| *ticks);
    let mut walk = Walk::new(tracks.len(), texts);
    for (ticks, step) in steps {
        walk.take(time(ticks), step);
    }
    walk.finish(end)
}

/// A turn under way, a sleep, and who ended last, of one worker.
#[derive(Clone, Default)]
struct WorkerState {
    turn: Option<usize>,
    sleeps_since: Option<Duration>,
    ended: Option<usize>,
    /// The fiber that the last event named.
    named: Option<usize>,
}

struct Walk<'a> {
    texts: &'a Texts<'a>,
    recording: Recording,
    /// Who is at each address.
    at: HashMap<u64, usize>,
    workers: Vec<WorkerState>,
    /// Wake-ups on their way to another worker, by address.
    sent: HashMap<u64, (Duration, Waker)>,
    /// The last wake-up of each fiber that has not run since.
    woken: HashMap<usize, usize>,
    /// The spans that each fiber is in.
    open: HashMap<usize, Vec<usize>>,
}

impl<'a> Walk<'a> {
    fn new(workers: usize, texts: &'a Texts<'a>) -> Self {
        Self {
            texts,
            recording: Recording { workers, ..Recording::default() },
            at: HashMap::new(),
            workers: vec![WorkerState::default(); workers],
            sent: HashMap::new(),
            woken: HashMap::new(),
            open: HashMap::new(),
        }
    }

    /// A fiber that is not known yet, at this address.
    fn new_fiber(&mut self, address: u64) -> usize {
        let index = self.recording.fibers.len();
        self.recording.fibers.push(Fiber::default());
        self.at.insert(address, index);
        index
    }

    fn fiber(&mut self, address: u64) -> usize {
        match self.at.get(&address) {
            Some(index) => *index,
            None => self.new_fiber(address),
        }
    }

    /// The fiber that runs; `None` in the hub.
    fn runs(&mut self, step: Step) -> Option<usize> {
        (step.runs != 0).then(|| self.fiber(step.runs))
    }

    fn begin_turn(&mut self, at: Duration, worker: usize, address: u64) {
        let fiber = self.fiber(address);
        self.end_turn(at, worker, Outcome::Yielded);
        let turn = self.recording.turns.len();
        self.recording.turns.push(Turn { worker, fiber, begin: at, end: at, outcome: Outcome::Running });
        self.workers[worker].turn = Some(turn);
        if let Some(wakeup) = self.woken.remove(&fiber) {
            self.recording.wakeups[wakeup].turn = Some(turn);
        }
    }

    fn end_turn(&mut self, at: Duration, worker: usize, outcome: Outcome) {
        if let Some(turn) = self.workers[worker].turn.take() {
            let turn = &mut self.recording.turns[turn];
            (turn.end, turn.outcome) = (at, outcome);
        }
    }

    fn take(&mut self, at: Duration, step: Step) {
        let worker = step.worker;
        let event = match step.what {
            What::Begin(address) => return self.begin_turn(at, worker, address),
            What::Event(event) => event,
        };
        let text =
            |number: u64| self.texts.names.get(number as usize).filter(|name| !name.is_empty()).cloned();
        match event.kind {
            Kind::Spawn => {
                let by = self.runs(step);
                let fiber = self.new_fiber(event.payload);
                let fiber = &mut self.recording.fibers[fiber];
                (fiber.spawned_by, fiber.spawned) = (by, Some(at));
            }
            Kind::Start => {
                let known = self.fiber(event.payload);
                let has_started = self.recording.fibers[known].started.is_some();
                let fiber = if has_started { self.new_fiber(event.payload) } else { known };
                self.recording.fibers[fiber].started = Some(at);
                self.workers[worker].named = Some(fiber);
            }
            Kind::Site => {
                self.describe(worker, |fiber, texts| fiber.spawn_site = (texts.site)(event.payload))
            }
            Kind::Name => {
                let name = text(event.payload);
                self.describe(worker, |fiber, _| fiber.name = name);
            }
            Kind::End => {
                let fiber = self.fiber(event.payload);
                self.end_turn(at, worker, Outcome::Ended);
                self.recording.fibers[fiber].ended = Some(at);
                self.at.remove(&event.payload);
                self.workers[worker].ended = Some(fiber);
            }
            Kind::Park => {
                let outcome = match Reason::from_number(event.small) {
                    Reason::None => Outcome::Yielded,
                    reason => Outcome::Parked(name_of(reason)),
                };
                self.end_turn(at, worker, outcome);
            }
            Kind::Wake => self.wake(at, step, event),
            Kind::Send => {
                let by = self.runs(step).map_or(Waker::Poller, Waker::Fiber);
                self.sent.insert(event.payload, (at, by));
            }
            Kind::Poll => self.note_worker(worker, at, Activity::Polled(event.payload)),
            Kind::Steal => self.note_worker(worker, at, Activity::Stole(event.payload, event.small.into())),
            Kind::Sleep => self.workers[worker].sleeps_since = Some(at),
            Kind::Awake => {
                if let Some(since) = self.workers[worker].sleeps_since.take() {
                    self.note_worker(worker, since, Activity::Slept(at));
                }
            }
            Kind::Read | Kind::Write => {
                if let Some(fiber) = self.runs(step) {
                    let is_read = event.kind == Kind::Read;
                    self.recording.transfers.push(Transfer { at, fiber, is_read, bytes: event.payload });
                }
            }
            Kind::Mark | Kind::Begin | Kind::Label => {
                if let (Some(text), Some(fiber)) = (text(event.payload), self.runs(step)) {
                    if event.kind == Kind::Begin {
                        self.open.entry(fiber).or_default().push(self.recording.notes.len());
                    }
                    self.recording.notes.push(Note { fiber, text, begin: at, end: at });
                }
            }
            Kind::Finish => {
                if let Some(fiber) = self.runs(step)
                    && let Some(note) = self.open.get_mut(&fiber).and_then(Vec::pop)
                {
                    self.recording.notes[note].end = at;
                }
            }
            Kind::Run => {}
        }
    }

    /// Says more about the fiber that this worker's last event named.
    fn describe(&mut self, worker: usize, say: impl FnOnce(&mut Fiber, &Texts<'_>)) {
        if let Some(fiber) = self.workers[worker].named {
            say(&mut self.recording.fibers[fiber], self.texts);
        }
    }

    fn note_worker(&mut self, worker: usize, at: Duration, activity: Activity) {
        self.recording.events.push(WorkerEvent { worker, at, activity });
    }

    fn wake(&mut self, at: Duration, step: Step, event: Decoded) {
        let fiber = self.fiber(event.payload);
        let (at, by) = match Cause::from_number(event.small) {
            Cause::Fiber => (at, self.runs(step).map_or(Waker::Poller, Waker::Fiber)),
            Cause::Ended => (at, self.workers[step.worker].ended.map_or(Waker::Thread, Waker::Fiber)),
            Cause::Timer => (at, Waker::Timer),
            Cause::Poller => (at, Waker::Poller),
            Cause::Elsewhere => self.sent.remove(&event.payload).unwrap_or((at, Waker::Thread)),
        };
        self.woken.insert(fiber, self.recording.wakeups.len());
        self.recording.wakeups.push(Wakeup { at, fiber, by, turn: None });
    }

    fn finish(mut self, end: Duration) -> Recording {
        for worker in 0..self.workers.len() {
            self.end_turn(end, worker, Outcome::Running);
            if let Some(since) = self.workers[worker].sleeps_since.take() {
                self.note_worker(worker, since, Activity::Slept(end));
            }
        }
        for note in self.open.into_values().flatten() {
            self.recording.notes[note].end = end;
        }
        self.recording.end = end;
        self.recording
    }
}
