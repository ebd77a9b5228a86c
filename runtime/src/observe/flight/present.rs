//! The fibers that are there when a recording is made: who they are, and what they wait for. A fiber that has waited since before the events
//! that are kept is in none of them, and one that started before them has no name there.
//!
//! They are read from outside (`scheduler/inspect.rs`), so that nobody is waited for. A worker that moves meanwhile is left out: its fibers
//! have events.

use std::time::Duration;

use super::model::Fiber;
use crate::cell::{FiberSnapshot, Reason};
use crate::observe::object::name_of;
use crate::os::{clock, objects};
use crate::scheduler::{Shared, Worker};

/// How many fibers a worker may have of which each is looked at.
const MOST: usize = 1 << 14;

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

/// The fibers of a runtime that has a recorder. Before its events are copied.
pub(super) fn look(shared: &Shared) -> Vec<Present> {
    let objects = objects::all();
    let is_static = |address| objects::holds(&objects, address);
    let look = |(index, worker): (usize, &Worker)| {
        (0..ATTEMPTS).find_map(|_| look_at(shared, index, worker, &is_static)).unwrap_or_default()
    };
    shared.workers.iter().enumerate().flat_map(look).collect()
}

fn look_at(
    shared: &Shared,
    index: usize,
    worker: &Worker,
    is_static: &dyn Fn(usize) -> bool,
) -> Option<Vec<Present>> {
    let ticks = shared.recorder.get()?.ticks;
    if worker.fiber_count() > MOST {
        return None;
    }
    let (position, scale) = (worker.position(), ticks.scale());
    let mut found = Vec::new();
    worker.peek_fibers(|header, snapshot| {
        let is_running = position.fiber().is_some_and(|fiber| fiber.as_ptr().cast_const() == header);
        let age = clock::duration_of(snapshot.since.ticks_until(clock::ticks()));
        let waits = snapshot.reason != Reason::None && !is_running && !snapshot.has_ended();
        let now = ticks.now();
        let since = Duration::from_nanos(ticks.ns(now, scale)).saturating_sub(age);
        let facts = Fiber {
            name: FiberSnapshot::of(header).name,
            spawn_site: snapshot.spawn_site(is_static).map(|site| format!("{}:{}", site.file(), site.line())),
            waits: waits.then(|| (name_of(snapshot.reason), since)),
            ..Fiber::default()
        };
        found.push(Present { worker: index, address: header.addr() as u64, ticks: now, facts });
    });
    (worker.position() == position).then_some(found)
}
