//! The fibers of a worker that does not come to its hub, read from outside: the kernel copies the memory, and the worker's
//! position tells whether it moved meanwhile. What was read while it moved does not count.

#![expect(unsafe_code, reason = "asks snapshots what holds of fibers that live")]

use super::collect::thread_number;
use super::collect::{Activity, Facts, Found};
use super::object::Object;
use crate::cell::{CoarseTime, FiberSnapshot, Header, HeaderSnapshot, Reason};
use crate::os::hidden::Hidden;
use crate::os::objects;
use crate::scheduler::Shared;

/// Adds the fibers of this worker that are not there yet. Returns false if the worker moved, or not all could be read.
pub(super) fn read(shared: &Shared, runtime: usize, index: usize, found: &mut Found) -> bool {
    let worker = &shared.workers[index];
    let position = worker.position();
    let objects = objects::all();
    let is_static = |address| objects::holds(&objects, address);
    let known: std::collections::HashSet<usize> = found.fibers.iter().map(|facts| facts.header).collect();
    let mut is_complete = true;
    let mut add = |header: *const Header, snapshot: &HeaderSnapshot, is_running: bool| {
        if known.contains(&header.addr()) {
            return;
        }
        let identity = FiberSnapshot::of(header);
        let mut facts = Facts::of(header.addr(), runtime, index);
        (facts.id, facts.name) = (identity.id, identity.name);
        facts.labels = FiberSnapshot::labels_of(header);
        if is_running {
            facts.activity = Activity::Running;
            match worker.thread_place() {
                Some((pc, sp)) => found.walker.walk_thread(pc, sp),
                None => {
                    let trace = worker.trace(header.addr());
                    // What it has in registers is not known then.
                    is_complete &= trace.is_some();
                    found.walker.set(trace.unwrap_or_default());
                }
            }
        } else {
            let is_parked = snapshot.reason != Reason::None;
            facts.activity = if is_parked { Activity::Parked } else { Activity::Ready };
            (facts.reason, facts.since) = (snapshot.reason, snapshot.since);
            facts.waiter = Hidden::new(snapshot.waiter.addr());
            facts.has_ended = snapshot.has_ended();
            facts.object = Object::from_outside(snapshot.reason, snapshot.object());
            facts.has_deadline = snapshot.may_have_deadline;
            let saved = snapshot.context.and_then(abaca_asm::Context::saved);
            let sp = saved.map(|(address, _)| address.get());
            facts.stack_pointer = sp.map(Hidden::new);
            facts.stack = sp.and_then(abaca_asm::stack::bounds_at);
            match snapshot.context {
                Some(context) => found.walker.walk_from_outside(context),
                None => found.walker.clear(),
            }
        }
        if worker.position() == position {
            // SAFETY: as the condition says.
            facts.cell_bytes = unsafe { snapshot.cell_bytes() };
            facts.spawn_site = snapshot.spawn_site(is_static);
            facts.thread_number = thread_number(snapshot.thread_pointer);
            facts.frames = found.stacks.index(found.walker.frames());
            found.fibers.push(facts);
        } else {
            is_complete = false;
        }
    };
    worker.peek_fibers(|header, snapshot| {
        let is_running = position.fiber().is_some_and(|fiber| fiber.as_ptr().cast_const() == header);
        add(header, snapshot, is_running);
    });
    is_complete && found.fibers.len() >= worker.fiber_count()
}

impl Facts {
    /// Of a fiber about which nothing else is known.
    pub(super) fn of(header: usize, runtime: usize, worker: usize) -> Self {
        Self {
            header,
            id: None,
            name: None,
            labels: Vec::new(),
            runtime,
            worker,
            activity: Activity::Running,
            reason: Reason::None,
            since: CoarseTime::default(),
            waiter: Hidden::new(0),
            object: Object::None,
            has_deadline: false,
            has_token: false,
            has_ended: false,
            cell_bytes: 0,
            spawn_site: None,
            thread_number: None,
            stack: None,
            stack_pointer: None,
            frames: 0,
        }
    }
}
