//! The body of a supervisor: it starts its children, waits for deaths and commands, restarts, and stops all at the end.
//!
//! It is linked to its children and traps exits. So if a supervisor is killed, its children end as well. When it stops a child
//! itself, it expects the exit, and ignores it when it arrives. A restart that fails is tried again by a message to itself, so that
//! requests come in between, that to end above all.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use super::children::{Children, Position};
use super::spec::{Restart, Shutdown, Strategy};
use super::{ChildError, ChildInfo, Command, Supervisor};
use crate::actor::contained::contained;
use crate::actor::{ActorId, Exit, ExitReason, Mailbox, Pid};
use crate::cancel::Cancelled;

/// How often a supervisor restarts before it gives up.
#[derive(Debug)]
pub(super) struct Intensity {
    pub(super) max_restarts: usize,
    pub(super) period: Duration,
    /// The times of recent restarts, oldest first.
    pub(super) restarts: VecDeque<Instant>,
}

impl Intensity {
    /// Counts a restart. False if it is one too many.
    fn allows_another(&mut self) -> bool {
        if self.max_restarts == usize::MAX {
            // No number is too many, and none is remembered: the period may be long.
            return true;
        }
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

/// The supervisor's end, and its reason.
struct End(ExitReason);

pub(super) struct Running<'a> {
    mailbox: &'a mut Mailbox<Command>,
    strategy: Strategy,
    intensity: Intensity,
    children: Children,
    /// The actors whose exits are still to come, and are ignored.
    expected: HashSet<ActorId>,
    report: super::Report,
}

/// The body of a supervisor. Calls `started` when its first children have been started.
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
    for position in running.children.positions_from(0).into_iter().rev() {
        running.stop(position);
    }
    reason
}

impl Running<'_> {
    fn supervise(&mut self, first: Vec<super::Child>, started: impl FnOnce()) -> Result<End, End> {
        for child in first {
            let position = self.children.add(child);
            let position = position
                .map_err(|child| End(ExitReason::failed(format!("two children are {:?}", child.id))))?;
            self.start(position).map_err(End)?;
        }
        started();
        loop {
            match self.mailbox.receive() {
                Command::Exit(exit) => self.exited(exit)?,
                Command::TryAgain(position) => self.try_again(position)?,
                Command::Start(child, reply) => reply.send(self.start_new(child)),
                Command::Restart(id, reply) => {
                    let position = self.idle_child(&id);
                    reply.send(
                        position.and_then(|position| self.start(position).map_err(ChildError::NotStarted)),
                    );
                }
                Command::Stop(id, reply) => {
                    let position = self.children.position_of(&id).ok_or(ChildError::Unknown);
                    reply.send(position.map(|position| self.stop(position)));
                }
                Command::Remove(id, reply) => {
                    reply.send(self.idle_child(&id).map(|position| self.children.remove(position)));
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
        let position = self.children.add(child).map_err(|_| ChildError::IdTaken)?;
        self.start(position).map_err(|reason| {
            self.children.remove(position);
            ChildError::NotStarted(reason)
        })
    }

    /// The position of a child that has no actor.
    fn idle_child(&mut self, id: &str) -> Result<Position, ChildError> {
        let position = self.children.position_of(id).ok_or(ChildError::Unknown)?;
        let is_running = self.children.get_mut(position).is_some_and(|entry| entry.pid.is_some());
        if is_running { Err(ChildError::Running) } else { Ok(position) }
    }

    /// Handles the end of a linked actor, or the request to end.
    fn exited(&mut self, exit: Exit) -> Result<(), End> {
        let Some(from) = exit.from else { return Err(End(exit.reason)) };
        if self.expected.remove(&from) {
            return Ok(());
        }
        match self.children.position_of_actor(from) {
            Some(position) => {
                self.children.ended(position);
                self.child_ended(position, &exit.reason)
            }
            // A link that is no child's, such as that of its own supervisor. It reports normal ends as well: ignored.
            None if exit.reason == ExitReason::Normal => Ok(()),
            None => Err(End(exit.reason.through_link(from))),
        }
    }

    fn child_ended(&mut self, position: Position, reason: &ExitReason) -> Result<(), End> {
        let Some(entry) = self.children.get_mut(position) else { return Ok(()) };
        (self.report)(&entry.child.id, reason);
        match entry.child.restart {
            Restart::Permanent => self.restart(position),
            Restart::Transient if reason.is_abnormal() => self.restart(position),
            Restart::Transient => Ok(()),
            Restart::Temporary => {
                self.children.remove(position);
                Ok(())
            }
        }
    }

    /// Restarts the child at `position`, which has ended, and those that the strategy restarts with it.
    fn restart(&mut self, position: Position) -> Result<(), End> {
        if !self.intensity.allows_another() {
            return Err(End(ExitReason::Shutdown));
        }
        let positions = match self.strategy {
            Strategy::OneForOne => vec![position],
            Strategy::OneForAll => self.children.positions_from(0),
            Strategy::RestForOne => self.children.positions_from(position),
        };
        for other in positions.iter().rev() {
            self.stop(*other);
        }
        // A temporary child that was stopped because of another has been removed.
        let left = positions.into_iter().filter(|position| self.children.get_mut(*position).is_some());
        let left: Vec<_> = left.collect();
        let failed = left.into_iter().find_map(|position| Some((position, self.start(position).err()?)));
        if let Some((position, reason)) = failed
            && let Some(entry) = self.children.get_mut(position)
        {
            entry.is_to_be_tried = true;
            (self.report)(&entry.child.id, &reason);
            self.mailbox.me().cast(Command::TryAgain(position));
        }
        Ok(())
    }

    /// Restarts the child again that could not be restarted, unless it was started, stopped or removed meanwhile.
    fn try_again(&mut self, position: Position) -> Result<(), End> {
        match self.children.get_mut(position) {
            Some(entry) if entry.is_to_be_tried => self.restart(position),
            _ => Ok(()),
        }
    }

    fn start(&mut self, position: Position) -> Result<Pid, ExitReason> {
        let entry = self.children.get_mut(position).expect("a child that is known");
        match catch_unwind(AssertUnwindSafe(|| (entry.child.start)())) {
            Ok(pid) => {
                self.children.started(position, pid.clone());
                self.mailbox.link(&pid);
                Ok(pid)
            }
            Err(payload) if Cancelled::is_own(&*payload) => resume_unwind(payload),
            Err(payload) => {
                let reason = ExitReason::of_panic(&*payload);
                contained(|| drop(payload));
                Err(reason)
            }
        }
    }

    /// Stops a child if it runs, and removes it if it is temporary.
    fn stop(&mut self, position: Position) {
        let pid = self.children.ended(position);
        let Some(entry) = self.children.get_mut(position) else { return };
        entry.is_to_be_tried = false;
        let Some(pid) = pid else { return };
        let (restart, shutdown) = (entry.child.restart, entry.child.shutdown);
        self.expected.insert(pid.id());
        match shutdown {
            Shutdown::Kill => pid.kill(),
            Shutdown::Infinity => pid.exit(ExitReason::Shutdown),
            Shutdown::After(timeout) => {
                pid.exit(ExitReason::Shutdown);
                if pid.wait_timeout(timeout).is_none() {
                    pid.kill();
                }
            }
        }
        pid.wait();
        if restart == Restart::Temporary {
            self.children.remove(position);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn restarts_without_a_limit_are_not_remembered() {
        let mut intensity =
            Intensity { max_restarts: usize::MAX, period: Duration::MAX, restarts: VecDeque::new() };
        assert!((0..1000).all(|_| intensity.allows_another()));
        assert!(intensity.restarts.is_empty());
    }
}
