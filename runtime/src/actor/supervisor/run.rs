//! The life of a supervisor: it starts its children, waits for deaths and commands, restarts, and stops all at the end.
//!
//! It is linked to its children and traps exits. So a supervisor that is killed takes its children with it. The exit of a
//! child that the supervisor stops itself is expected, and is not taken for a failure when it is received.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use super::children::{Children, Place};
use super::spec::{Restart, Shutdown, Strategy};
use super::{ChildError, ChildInfo, Command, Supervisor};
use crate::actor::{ActorId, Exit, ExitReason, Mailbox, Pid};
use crate::cancel::Cancelled;

/// How often a supervisor restarts before it gives up.
#[derive(Debug)]
pub(super) struct Intensity {
    pub(super) max_restarts: usize,
    pub(super) period: Duration,
    /// When it restarted lately, oldest first.
    pub(super) restarts: VecDeque<Instant>,
}

impl Intensity {
    /// Counts a restart; false if it is one too many.
    fn allows_another(&mut self) -> bool {
        let now = Instant::now();
        while self.restarts.front().is_some_and(|first| now.duration_since(*first) >= self.period) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.max_restarts {
            return false;
        }
        self.restarts.push_back(now);
        true
    }
}

/// The supervisor ends, for this reason.
struct End(ExitReason);

pub(super) struct Running<'a> {
    mailbox: &'a mut Mailbox<Command>,
    strategy: Strategy,
    intensity: Intensity,
    children: Children,
    /// Those whose exits are still to be received, and mean nothing.
    expected: HashSet<ActorId>,
    report: super::Report,
}

/// The body of a supervisor; `started` is called when its first children have been.
pub(super) fn run(
    supervisor: Supervisor,
    mailbox: &mut Mailbox<Command>,
    started: impl FnOnce(),
) -> ExitReason {
    mailbox.trap_exits(Command::Exit);
    let Supervisor { strategy, intensity, children: first, report } = supervisor;
    let (children, expected) = Default::default();
    let mut running = Running { mailbox, strategy, intensity, children, expected, report };
    let End(reason) = running.supervise(first, started).unwrap_or_else(|end| end);
    for place in running.children.places_from(0).into_iter().rev() {
        running.stop(place);
    }
    reason
}

impl Running<'_> {
    fn supervise(&mut self, first: Vec<super::Child>, started: impl FnOnce()) -> Result<End, End> {
        for child in first {
            let place = self.children.add(child);
            let place =
                place.map_err(|child| End(ExitReason::failed(format!("two children are {:?}", child.id))))?;
            self.start(place).map_err(End)?;
        }
        started();
        loop {
            match self.mailbox.receive() {
                Command::Exit(exit) => self.exited(exit)?,
                Command::Start(child, reply) => reply.send(self.start_new(child)),
                Command::Restart(id, reply) => {
                    let place = self.idle_child(&id);
                    reply.send(place.and_then(|place| self.start(place).map_err(ChildError::NotStarted)));
                }
                Command::Stop(id, reply) => {
                    let place = self.children.place_of(&id).ok_or(ChildError::Unknown);
                    reply.send(place.map(|place| self.stop(place)));
                }
                Command::Remove(id, reply) => {
                    reply.send(self.idle_child(&id).map(|place| self.children.remove(place)));
                }
                Command::List(reply) => reply.send(self.list()),
            }
        }
    }

    fn list(&self) -> Vec<ChildInfo> {
        let info = |entry: &super::children::Entry| ChildInfo {
            id: entry.child.id.to_string(),
            pid: entry.pid.clone(),
            restart: entry.child.restart,
        };
        self.children.iter().map(info).collect()
    }

    fn start_new(&mut self, child: super::Child) -> Result<Pid, ChildError> {
        let place = self.children.add(child).map_err(|_| ChildError::IdTaken)?;
        self.start(place).map_err(|reason| {
            self.children.remove(place);
            ChildError::NotStarted(reason)
        })
    }

    /// The place of a child that has no actor.
    fn idle_child(&mut self, id: &str) -> Result<Place, ChildError> {
        let place = self.children.place_of(id).ok_or(ChildError::Unknown)?;
        let is_running = self.children.get_mut(place).is_some_and(|entry| entry.pid.is_some());
        if is_running { Err(ChildError::Running) } else { Ok(place) }
    }

    /// Somebody to whom the supervisor is linked has ended, or the supervisor is asked to end.
    fn exited(&mut self, exit: Exit) -> Result<(), End> {
        let Some(from) = exit.from else { return Err(End(exit.reason)) };
        if self.expected.remove(&from) {
            return Ok(());
        }
        match self.children.place_of_actor(from) {
            Some(place) => {
                self.children.ended(place);
                self.child_ended(place, &exit.reason)
            }
            // Its own supervisor, say. A link tells of normal ends as well, which concern nobody.
            None if exit.reason == ExitReason::Normal => Ok(()),
            None => Err(End(exit.reason.through_link(from))),
        }
    }

    fn child_ended(&mut self, place: Place, reason: &ExitReason) -> Result<(), End> {
        let Some(entry) = self.children.get_mut(place) else { return Ok(()) };
        (self.report)(&entry.child.id, reason);
        match entry.child.restart {
            Restart::Permanent => self.restart(place),
            Restart::Transient if reason.is_abnormal() => self.restart(place),
            Restart::Transient => Ok(()),
            Restart::Temporary => {
                self.children.remove(place);
                Ok(())
            }
        }
    }

    /// Starts again whoever has to be, because the child at `place` has ended.
    fn restart(&mut self, mut place: Place) -> Result<(), End> {
        loop {
            if !self.intensity.allows_another() {
                return Err(End(ExitReason::Shutdown));
            }
            let places = match self.strategy {
                Strategy::OneForOne => vec![place],
                Strategy::OneForAll => self.children.places_from(0),
                Strategy::RestForOne => self.children.places_from(place),
            };
            for other in places.iter().rev() {
                self.stop(*other);
            }
            // A temporary child that was stopped for the sake of another is gone.
            let left = places.into_iter().filter(|place| self.children.get_mut(*place).is_some());
            let left: Vec<_> = left.collect();
            let failed = left.into_iter().find_map(|place| Some((place, self.start(place).err()?)));
            let Some((failed, reason)) = failed else { return Ok(()) };
            place = failed;
            if let Some(entry) = self.children.get_mut(place) {
                (self.report)(&entry.child.id, &reason);
            }
        }
    }

    fn start(&mut self, place: Place) -> Result<Pid, ExitReason> {
        let entry = self.children.get_mut(place).expect("a child that is known");
        match catch_unwind(AssertUnwindSafe(|| (entry.child.start)())) {
            Ok(pid) => {
                self.children.started(place, pid.clone());
                self.mailbox.link(&pid);
                Ok(pid)
            }
            Err(payload) if Cancelled::is_own(&*payload) => resume_unwind(payload),
            Err(payload) => Err(ExitReason::of_panic(&*payload)),
        }
    }

    /// Stops a child if it runs, and forgets it if it is temporary.
    fn stop(&mut self, place: Place) {
        let Some(pid) = self.children.ended(place) else { return };
        let Some(entry) = self.children.get_mut(place) else { return };
        let (restart, shutdown) = (entry.child.restart, entry.child.shutdown);
        self.expected.insert(pid.id());
        match shutdown {
            Shutdown::Kill => pid.kill(),
            Shutdown::Infinity => pid.exit(ExitReason::Shutdown),
            Shutdown::After(patience) => {
                pid.exit(ExitReason::Shutdown);
                if pid.wait_timeout(patience).is_none() {
                    pid.kill();
                }
            }
        }
        pid.wait();
        if restart == Restart::Temporary {
            self.children.remove(place);
        }
    }
}
