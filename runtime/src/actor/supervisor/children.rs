//! The children of one supervisor, in the order in which they were first started, with look-up by name and by actor.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::spec::Child;
use crate::actor::{ActorId, Pid};

/// The position of a child in the order. A restarted child keeps it.
pub(super) type Position = u64;

/// One child, and its actor while there is one.
pub(super) struct Entry {
    pub(super) child: Child,
    pub(super) pid: Option<Pid>,
    /// Whether it could not be restarted, and is to be tried again.
    pub(super) is_to_be_tried: bool,
}

#[derive(Default)]
pub(super) struct Children {
    entries: BTreeMap<Position, Entry>,
    positions: HashMap<Arc<str>, Position>,
    actors: HashMap<ActorId, Position>,
    next: Position,
}

impl Children {
    /// Adds a child that has not been started. Returns it if its name is taken.
    pub(super) fn add(&mut self, child: Child) -> Result<Position, Child> {
        if self.positions.contains_key(&child.id) {
            return Err(child);
        }
        let position = self.next;
        self.next += 1;
        self.positions.insert(Arc::clone(&child.id), position);
        self.entries.insert(position, Entry { child, pid: None, is_to_be_tried: false });
        Ok(position)
    }

    pub(super) fn remove(&mut self, position: Position) {
        self.ended(position);
        if let Some(entry) = self.entries.remove(&position) {
            self.positions.remove(&entry.child.id);
        }
    }

    pub(super) fn position_of(&self, id: &str) -> Option<Position> {
        self.positions.get(id).copied()
    }

    pub(super) fn position_of_actor(&self, actor: ActorId) -> Option<Position> {
        self.actors.get(&actor).copied()
    }

    pub(super) fn get_mut(&mut self, position: Position) -> Option<&mut Entry> {
        self.entries.get_mut(&position)
    }

    /// Notes the actor of a child that was started.
    pub(super) fn started(&mut self, position: Position, pid: Pid) {
        if let Some(entry) = self.entries.get_mut(&position) {
            self.actors.insert(pid.id(), position);
            entry.pid = Some(pid);
            entry.is_to_be_tried = false;
        }
    }

    /// Notes that the child has no actor any more. Returns the one that it had.
    pub(super) fn ended(&mut self, position: Position) -> Option<Pid> {
        let pid = self.entries.get_mut(&position)?.pid.take()?;
        self.actors.remove(&pid.id());
        Some(pid)
    }

    /// The positions from `first` on, in order.
    pub(super) fn positions_from(&self, first: Position) -> Vec<Position> {
        self.entries.range(first..).map(|(position, _)| *position).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}
