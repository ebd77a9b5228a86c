//! The fibers that are there when a recording is made: who they are, and what they wait for. A fiber that has waited since before the events
//! that are kept is in none of them, and one that started before them has no name there.
//!
//! They are read from outside (`scheduler/inspect.rs`), so that nobody is waited for. A worker that moves meanwhile is left out: its fibers
//! have events. In a log of turns they have no names. So those that are in the log are looked at one by one, each of
//! which was a fiber if no end of it is in the log after that.

use std::collections::HashSet;
use std::ptr;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use abaca_asm::Context;

use super::log::{Log, name_of_fiber};
use super::model::Fiber;
use super::stacks::Sampled;
use crate::cell::{FiberSnapshot, Header, HeaderSnapshot, Reason};
use crate::observe::frames::Walker;
use crate::observe::object::name_of;
use crate::os::ticks::Ticks;
use crate::os::{clock, objects};
use crate::scheduler::{Logged, Recorder, Shared, Standstill, Worker};

/// How many fibers a worker may have of which each is looked at.
const MOST: usize = 1 << 14;

/// Of how many fibers of a worker that wait the stacks are walked.
const MOST_STACKS: usize = 1 << 12;

/// How often a worker is looked at that moves.
const ATTEMPTS: usize = 3;

/// A fiber that is there.
pub(super) struct Present {
    pub(super) worker: usize,
    pub(super) address: u64,
    /// When it was seen, on the recorder's clock.
    pub(super) ticks: u64,
    /// Its name, its spawn site, and what it waits for since when, a few milliseconds more or less; the others as if nothing were known.
    pub(super) facts: Fiber,
}

/// What was seen where a fiber may be.
struct Seen {
    address: *const Header,
    /// The frames of its stack, if it waits and they were asked for.
    frames: Option<Vec<usize>>,
    snapshot: HeaderSnapshot,
    name: Option<String>,
    waits: bool,
    ticks: u64,
    since: Duration,
}

impl Seen {
    fn of(
        address: *const Header,
        snapshot: &HeaderSnapshot,
        is_running: bool,
        ticks: &Ticks,
        walker: Option<&mut Walker>,
    ) -> Self {
        let waits = snapshot.reason != Reason::None && !is_running && !snapshot.has_ended();
        let walk = |(walker, context): (&mut Walker, Context)| {
            walker.walk_from_outside(context);
            walker.frames().to_vec()
        };
        let frames = walker.zip(snapshot.context).filter(|_| waits).map(walk);
        let age = clock::duration_of(snapshot.since.ticks_until(clock::ticks()));
        let now = ticks.now();
        Self {
            address,
            frames,
            snapshot: *snapshot,
            name: FiberSnapshot::of(address).name,
            waits,
            ticks: now,
            since: Duration::from_nanos(ticks.ns(now, ticks.scale())).saturating_sub(age),
        }
    }

    /// What it says, if it was a fiber.
    fn into_present(self, worker: usize, is_static: &dyn Fn(usize) -> bool) -> Present {
        let site = self.snapshot.spawn_site(is_static);
        let facts = Fiber {
            name: self.name,
            spawn_site: site.map(|site| format!("{}:{}", site.file(), site.line())),
            waits: self.waits.then(|| (name_of(self.snapshot.reason), self.since)),
            ..Fiber::default()
        };
        Present { worker, address: self.address.addr() as u64, ticks: self.ticks, facts }
    }
}

/// The fibers of a runtime that has a recorder. Before its events are copied.
pub(super) fn look(shared: &Shared, ticks: &Ticks) -> Vec<Present> {
    let objects = objects::all();
    let is_static = |address| objects::holds(&objects, address);
    let look = |(index, worker): (usize, &Worker)| {
        let seen = look_at(worker, ticks, &mut None).unwrap_or_default();
        seen.into_iter().map(move |seen| (index, seen))
    };
    let seen = shared.workers.iter().enumerate().flat_map(look);
    seen.map(|(index, seen)| seen.into_present(index, &is_static)).collect()
}

/// The fibers of a worker, if it stands still.
fn look_at(worker: &Worker, ticks: &Ticks, walker: &mut Option<Walker>) -> Option<Vec<Seen>> {
    let look = |_| {
        if worker.fiber_count() > MOST {
            return None;
        }
        let position = worker.position();
        let mut found = Vec::new();
        worker.peek_fibers(|header, snapshot| {
            let is_running = position.fiber().is_some_and(|fiber| fiber.as_ptr().cast_const() == header);
            let walker = walker.as_mut().filter(|_| found.len() < MOST_STACKS);
            found.push(Seen::of(header, snapshot, is_running, ticks, walker));
        });
        (worker.position() == position).then_some(found)
    };
    (0..ATTEMPTS).find_map(look)
}

/// Copies a runtime's logs of turns, and looks at the fibers that are there. Adds the stacks of those that wait.
pub(super) fn copy_logs(
    shared: &Shared,
    recorder: &Recorder,
    sampled: &mut Sampled,
) -> (Vec<Log>, Vec<Present>) {
    let ticks = &recorder.ticks;
    let objects = objects::all();
    let is_static = |address| objects::holds(&objects, address);
    let mut present = Vec::new();
    let mut walker = Some(Walker::new());
    let copy = |(index, worker): (usize, &Worker)| {
        let (log, seen) = copy_log(index, worker, ticks, &mut walker);
        present.extend(seen.into_iter().map(|mut seen| {
            let stack = seen.frames.take().filter(|frames| !frames.is_empty());
            let present = seen.into_present(index, &is_static);
            let facts = Fiber { stack: stack.map(|frames| sampled.add(&frames)), ..present.facts };
            // All of them are there at the end of the log.
            let address = name_of_fiber(index, present.address);
            Present { address, ticks: log.copied, facts, ..present }
        }));
        log
    };
    let mut logs: Vec<_> = shared.workers.iter().enumerate().map(copy).collect();
    for Standstill { worker, records, during } in recorder.standstills.all() {
        logs[worker].standstills.push((records, during));
    }
    (logs, present)
}

fn copy_log(index: usize, worker: &Worker, ticks: &Ticks, walker: &mut Option<Walker>) -> (Log, Vec<Seen>) {
    let ring = &worker.log.ring;
    let (before, records) = ring.snapshot();
    let looked = before + records.len() as u64;
    let seen = look_at(worker, ticks, walker);
    let mut seen = seen.unwrap_or_else(|| look_at_logged(&records, ticks, walker));
    // Acquire: what is in the log from here on was there when the fibers were looked at, or is seen.
    fence(Ordering::Acquire);
    let current = worker.current().map_or(0, |fiber| fiber.addr().get() as u64);
    let (before, records) = ring.snapshot();
    let copied = ticks.now();
    let end = before + records.len() as u64;
    match looked.checked_sub(before) {
        Some(old) => {
            let end_of = |record: &[u64; 2]| match Logged::of(*record) {
                Some(Logged::End { fiber, .. }) => Some(fiber),
                _ => None,
            };
            let ended: HashSet<_> = records.iter().skip(old as usize).filter_map(end_of).collect();
            seen.retain(|seen| !ended.contains(&(seen.address.addr() as u64)));
            // Nor is a stack one if its fiber has run meanwhile, or runs.
            let ran: HashSet<_> = records.iter().skip(old as usize).filter_map(turn_of).collect();
            let stays = |address| address != current && !ran.contains(&address);
            for seen in &mut seen {
                seen.frames = seen.frames.take().filter(|_| stays(seen.address.addr() as u64));
            }
        }
        // Ends may be missing.
        None => seen.clear(),
    }
    let asleep = worker.is_sleeping().then(|| {
        let ns = worker.shared().now_ns().saturating_sub(worker.log.slept_ns());
        ticks.now().saturating_sub(ticks.count_of(ns, ticks.scale()))
    });
    let log = Log {
        worker: index,
        records,
        before,
        standstills: Vec::new(),
        since: (before == 0).then(|| ticks.first()),
        copied,
        asleep: asleep.filter(|_| ring.count() == Some(end)),
        current: worker.current().map_or(0, |fiber| fiber.addr().get() as u64),
        has_own_sums: worker.shared().has_own_tls(),
    };
    (log, seen)
}

/// The fiber whose turn ends with this record, other than by its end.
fn turn_of(record: &[u64; 2]) -> Option<u64> {
    match Logged::of(*record)? {
        Logged::Turn { fiber, .. } | Logged::Left { fiber, .. } => Some(fiber),
        _ => None,
    }
}

/// The fibers of a log that have not ended there, and do not roam: who roams may have ended elsewhere.
fn look_at_logged(records: &[[u64; 2]], ticks: &Ticks, walker: &mut Option<Walker>) -> Vec<Seen> {
    let mut known = HashSet::new();
    let latest = records.iter().rev().filter_map(|record| match Logged::of(*record)? {
        Logged::Turn { fiber, roams, .. } => Some((fiber, !roams)),
        Logged::End { fiber, .. } => Some((fiber, false)),
        _ => None,
    });
    let alive: Vec<_> = latest
        .filter(|(fiber, _)| known.insert(*fiber))
        .filter_map(|(fiber, is)| is.then_some(fiber))
        .collect();
    let look = |(number, fiber): (usize, u64)| {
        let header = ptr::without_provenance::<Header>(usize::try_from(fiber).ok()?);
        let walker = walker.as_mut().filter(|_| number < MOST_STACKS);
        Some(Seen::of(header, &HeaderSnapshot::of(header)?, false, ticks, walker))
    };
    alive.into_iter().enumerate().filter_map(look).collect()
}
