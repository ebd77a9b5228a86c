//! From the workers' events to what a [`Recording`] says.
//!
//! First each worker's events are cut into turns. The event that ends a turn says who had it, and for how long; the events before that
//! are the hub's. Then all events go in the order of time. An address is a fiber's only from its `Spawn` or `Start` to its `End`, so
//! the walk keeps who is at each address.
//!
//! What no event says follows here: a fiber that waited for a descriptor and runs again was woken by the poller, when its worker last
//! came from its hub. In the events of a log, that holds of each wait of which no event tells who ended it.

use std::collections::HashMap;
use std::time::Duration;

use super::Recording;
use super::log::{address_of_name, is_name};
use super::model::{Activity, Fiber, Note, Outcome, Transfer, Turn, Waker, Wakeup, WorkerEvent};
use super::present::Present;
use crate::cell::Reason;
use crate::observe::object::name_of;
use crate::scheduler::{Cause, Decoded, Kind, Moved};

/// The events of one worker.
pub(super) struct Track {
    pub(super) events: Vec<Decoded>,
    /// The address of the fiber that ran when the events were copied, 0 if none did; and when its turn began.
    pub(super) current: u64,
    pub(super) began: u64,
}

/// What is known besides the events.
pub(super) struct Known<'a> {
    /// The texts that events name by a number.
    pub(super) names: &'a [String],
    /// The spawn site at an address.
    pub(super) site: &'a dyn Fn(u64) -> Option<String>,
    /// The fibers that were there when the events were copied.
    pub(super) present: &'a [Present],
    /// Whether the events are those of a log.
    pub(super) is_coarse: bool,
    /// The stack of the turn that ended on this worker at this count of ticks.
    pub(super) stack: &'a dyn Fn(usize, u64) -> Option<usize>,
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
    /// The fiber at this address begins to run, and the worker was last in its hub at this time.
    Begin(u64, u64),
    Event(Decoded),
    /// The present fiber with this index is there.
    Present(usize),
}

/// Cuts the events of a worker into turns, and calls `step` with each event and each begin of a turn, in order.
fn cut(worker: usize, track: &Track, mut step: impl FnMut(u64, Step)) {
    let mut rest = &track.events[..];
    // When the last turn ended, and when the worker was last in its hub.
    let (mut ended, mut in_hub) = (0, 0);
    loop {
        let close = rest.iter().position(|event| matches!(event.kind, Kind::Turn | Kind::End | Kind::Left));
        let (turn, after) = rest.split_at(close.map_or(rest.len(), |close| close + 1));
        let (runner, began) = match close {
            Some(close) => (turn[close].payload, turn[close].small),
            None => (track.current, track.began),
        };
        let began = began.max(ended);
        if began > ended {
            in_hub = began;
        }
        // An inbox is emptied at the end of a turn: the fiber may learn there that it was woken.
        let wakes = |event: &&Decoded| event.kind == Kind::Wake && event.payload == runner;
        let began = turn.iter().rfind(wakes).map_or(began, |wake| began.max(wake.ticks));
        // What happened at the very moment led to the turn.
        let before =
            if runner == 0 { turn.len() } else { turn.partition_point(|event| event.ticks <= began) };
        let before = before.min(close.unwrap_or(before));
        let event = |event: &Decoded, runs| (event.ticks, Step { worker, runs, what: What::Event(*event) });
        turn[..before].iter().map(|it| event(it, 0)).for_each(|(ticks, it)| step(ticks, it));
        if runner != 0 {
            step(began, Step { worker, runs: runner, what: What::Begin(runner, in_hub) });
        }
        turn[before..].iter().map(|it| event(it, runner)).for_each(|(ticks, it)| step(ticks, it));
        let Some(close) = close else { return };
        ended = turn[close].ticks;
        rest = after;
    }
}

/// Makes a recording of the events up to `until`. `time` tells when a count of ticks was.
pub(super) fn decode(
    tracks: &[Track],
    known: &Known<'_>,
    time: impl Fn(u64) -> Duration,
    until: u64,
) -> Recording {
    let mut steps = Vec::new();
    for (worker, track) in tracks.iter().enumerate() {
        cut(worker, track, |ticks, step| steps.push((ticks, step)));
    }
    for (index, present) in known.present.iter().enumerate() {
        steps.push((present.ticks, Step { worker: present.worker, runs: 0, what: What::Present(index) }));
    }
    steps.retain(|(ticks, _)| *ticks <= until);
    // Stable: what one worker did stays in its order.
    steps.sort_by_key(|(ticks, _)| *ticks);
    let mut walk = Walk::new(tracks.len(), known, &time);
    for (ticks, step) in steps {
        walk.take(time(ticks), step);
    }
    walk.finish(time(until))
}

/// A turn under way, who ended last, and the last look at the poller, of one worker.
#[derive(Clone, Default)]
struct WorkerState {
    turn: Option<usize>,
    ended: Option<usize>,
    polled: Option<usize>,
}

struct Walk<'a> {
    known: &'a Known<'a>,
    time: &'a dyn Fn(u64) -> Duration,
    recording: Recording,
    /// Who is at each address.
    at: HashMap<u64, usize>,
    workers: Vec<WorkerState>,
    /// Wake-ups on their way to another worker, by address.
    sent: HashMap<u64, (Duration, Waker)>,
    /// The last wake-up of each fiber that has not run since.
    woken: HashMap<usize, usize>,
    /// Since when fibers wait for a descriptor.
    waits: HashMap<usize, Duration>,
    /// The spans that each fiber is in.
    open: HashMap<usize, Vec<usize>>,
}

impl<'a> Walk<'a> {
    fn new(workers: usize, known: &'a Known<'a>, time: &'a dyn Fn(u64) -> Duration) -> Self {
        Self {
            known,
            time,
            recording: Recording { workers, ..Recording::default() },
            at: HashMap::new(),
            workers: vec![WorkerState::default(); workers],
            sent: HashMap::new(),
            woken: HashMap::new(),
            waits: HashMap::new(),
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

    /// Notes who the fiber is at this address, and what it waits for.
    fn add_present(&mut self, present: &Present) {
        let fiber = self.fiber(present.address);
        let fiber = &mut self.recording.fibers[fiber];
        fiber.name = fiber.name.take().or_else(|| present.facts.name.clone());
        fiber.spawn_site = fiber.spawn_site.take().or_else(|| present.facts.spawn_site.clone());
        (fiber.waits, fiber.stack) = (present.facts.waits, present.facts.stack);
    }

    fn begin_turn(&mut self, at: Duration, worker: usize, address: u64, in_hub: Duration) {
        let fiber = self.fiber(address);
        self.end_turn(at, worker, Outcome::Yielded, None);
        let turn = self.recording.turns.len();
        self.recording.turns.push(Turn {
            worker,
            fiber,
            begin: at,
            end: at,
            outcome: Outcome::Running,
            stack: None,
        });
        self.workers[worker].turn = Some(turn);
        if let Some(since) = self.waits.remove(&fiber)
            && !self.woken.contains_key(&fiber)
        {
            self.wake_by_poller(in_hub.max(since), worker, fiber);
        }
        if let Some(wakeup) = self.woken.remove(&fiber) {
            let wakeup = &mut self.recording.wakeups[wakeup];
            // An inbox is emptied at the end of the turn before.
            (wakeup.turn, wakeup.at) = (Some(turn), wakeup.at.min(at));
        }
    }

    /// Notes that this worker's poller woke the fiber.
    fn wake_by_poller(&mut self, at: Duration, worker: usize, fiber: usize) {
        self.woken.insert(fiber, self.recording.wakeups.len());
        self.recording.wakeups.push(Wakeup { at, fiber, by: Waker::Poller, turn: None });
        let polled = self.workers[worker].polled.map(|polled| &mut self.recording.events[polled]);
        match polled {
            Some(WorkerEvent { at: then, activity: Activity::Polled(events), .. }) if *then == at => {
                *events += 1
            }
            _ => {
                self.workers[worker].polled = Some(self.recording.events.len());
                self.note_worker(worker, at, Activity::Polled(1));
            }
        }
    }

    fn end_turn(&mut self, at: Duration, worker: usize, outcome: Outcome, stack: Option<usize>) {
        if let Some(turn) = self.workers[worker].turn.take() {
            let turn = &mut self.recording.turns[turn];
            (turn.end, turn.outcome, turn.stack) = (at, outcome, stack);
        }
    }

    fn take(&mut self, at: Duration, step: Step) {
        let worker = step.worker;
        let event = match step.what {
            What::Begin(address, in_hub) => {
                return self.begin_turn(at, worker, address, (self.time)(in_hub));
            }
            What::Present(index) => return self.add_present(&self.known.present[index]),
            What::Event(event) => event,
        };
        let text =
            |number: u64| self.known.names.get(number as usize).filter(|name| !name.is_empty()).cloned();
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
                let fiber = &mut self.recording.fibers[fiber];
                fiber.started = Some(at);
                // It may have been seen before.
                fiber.spawn_site = (self.known.site)(event.more).or_else(|| fiber.spawn_site.take());
                fiber.name = text(event.small).or_else(|| fiber.name.take());
            }
            Kind::End => {
                let fiber = self.fiber(event.payload);
                self.transfer(at, fiber, event.more);
                self.end_turn(at, worker, Outcome::Ended, None);
                self.recording.fibers[fiber].ended = Some(at);
                self.at.remove(&event.payload);
                self.sent.remove(&address_of_name(event.payload));
                self.workers[worker].ended = Some(fiber);
            }
            Kind::Turn => {
                let fiber = self.fiber(event.payload);
                self.transfer(at, fiber, event.more);
                let outcome = match event.reason {
                    Reason::None => Outcome::Yielded,
                    reason => Outcome::Parked(name_of(reason)),
                };
                self.end_turn(at, worker, outcome, (self.known.stack)(worker, event.ticks));
                if self.poller_may_end(event) {
                    self.waits.insert(fiber, at);
                }
            }
            Kind::Left => self.end_turn(at, worker, Outcome::Left, None),
            Kind::Wake => self.wake(at, step, event),
            Kind::Send => {
                let sent = self.woken_by(at, step, event);
                self.sent.insert(event.payload, sent);
            }
            Kind::Steal => {
                self.note_worker(worker, at, Activity::Stole(event.payload, event.small as usize));
            }
            Kind::Sleep => {
                let since = (self.time)(event.small);
                self.note_worker(worker, since, Activity::Slept(at));
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
        }
    }

    /// Whether the wait that begins at the end of this turn is ended by the poller, unless an event says by whom.
    fn poller_may_end(&self, turn: Decoded) -> bool {
        if self.known.is_coarse {
            // A log has all other wake-ups; those of a roaming fiber may be in another one, which is not as exact.
            turn.reason != Reason::None && is_name(turn.payload)
        } else {
            turn.reason.is_of_descriptor()
        }
    }

    /// Notes what a turn has read and written.
    fn transfer(&mut self, at: Duration, fiber: usize, moved: u64) {
        let Moved { read, written, .. } = Moved::between(0, moved);
        for (is_read, bytes) in [(true, read), (false, written)] {
            if bytes > 0 {
                self.recording.transfers.push(Transfer { at, fiber, is_read, bytes });
            }
        }
    }

    fn note_worker(&mut self, worker: usize, at: Duration, activity: Activity) {
        self.recording.events.push(WorkerEvent { worker, at, activity });
    }

    /// When the fiber was woken that was woken or sent just now, and by whom.
    fn woken_by(&mut self, at: Duration, step: Step, event: Decoded) -> (Duration, Waker) {
        match Cause::from_number(event.small as u8) {
            Cause::Fiber => (at, self.runs(step).map_or(Waker::Poller, Waker::Fiber)),
            Cause::Ended => (at, self.workers[step.worker].ended.map_or(Waker::Thread, Waker::Fiber)),
            Cause::Timer => (at, Waker::Timer),
            Cause::Poller => (at, Waker::Poller),
            // Of what several workers sent on, the first one knew who it was.
            Cause::Elsewhere => {
                self.sent.remove(&address_of_name(event.payload)).unwrap_or((at, Waker::Thread))
            }
        }
    }

    fn wake(&mut self, at: Duration, step: Step, event: Decoded) {
        let fiber = self.fiber(event.payload);
        let (at, by) = self.woken_by(at, step, event);
        self.woken.insert(fiber, self.recording.wakeups.len());
        self.recording.wakeups.push(Wakeup { at, fiber, by, turn: None });
    }

    fn finish(mut self, end: Duration) -> Recording {
        for worker in 0..self.workers.len() {
            self.end_turn(end, worker, Outcome::Running, None);
        }
        self.tell_waits();
        for note in self.open.into_values().flatten() {
            self.recording.notes[note].end = end;
        }
        self.recording.end = end;
        self.recording
    }

    /// Notes what fibers wait for, which the last turn of each tells.
    fn tell_waits(&mut self) {
        let turns = &mut self.recording.turns;
        let last: HashMap<usize, usize> =
            turns.iter().enumerate().map(|(index, turn)| (turn.fiber, index)).collect();
        for (index, fiber) in self.recording.fibers.iter_mut().enumerate() {
            let last = last.get(&index).map(|turn| &mut turns[*turn]);
            match last {
                _ if self.woken.contains_key(&index) => fiber.waits = None,
                Some(Turn { outcome: Outcome::Parked(reason), end, stack, .. }) => {
                    fiber.waits = Some((*reason, *end));
                    // Each of them may have been kept.
                    *stack = stack.or(fiber.stack);
                    fiber.stack = *stack;
                }
                Some(_) => fiber.waits = None,
                None => {}
            }
            fiber.stack = fiber.stack.filter(|_| fiber.waits.is_some());
        }
    }
}
