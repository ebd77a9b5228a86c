//! The children of one supervisor, in the order in which they were first started; found by name and by identity.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::spec::Child;
use crate::actor::{ActorId, Pid};

/// A child's place in the order. A restarted child keeps it.
pub(super) type Place = u64;

/// One child, and its actor while there is one.
pub(super) struct Entry {
    pub(super) child: Child,
    pub(super) pid: Option<Pid>,
}

#[derive(Default)]
pub(super) struct Children {
    entries: BTreeMap<Place, Entry>,
    places: HashMap<Arc<str>, Place>,
    actors: HashMap<ActorId, Place>,
    next: Place,
}

impl Children {
    /// Adds a child that has not been started; hands it back if its name is taken.
    pub(super) fn add(&mut self, child: Child) -> Result<Place, Child> {
        if self.places.contains_key(&child.id) {
            return Err(child);
        }
        let place = self.next;
        self.next += 1;
        self.places.insert(Arc::clone(&child.id), place);
        self.entries.insert(place, Entry { child, pid: None });
        Ok(place)
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.ended(place);
        if let Some(entry) = self.entries.remove(&place) {
            self.places.remove(&entry.child.id);
        }
    }

    pub(super) fn place_of(&self, id: &str) -> Option<Place> {
        self.places.get(id).copied()
    }

    pub(super) fn place_of_actor(&self, actor: ActorId) -> Option<Place> {
        self.actors.get(&actor).copied()
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.entries.get_mut(&place)
    }

    /// The child's actor has been spawned.
    pub(super) fn started(&mut self, place: Place, pid: Pid) {
        if let Some(entry) = self.entries.get_mut(&place) {
            self.actors.insert(pid.id(), place);
            entry.pid = Some(pid);
        }
    }

    /// The child has no actor any more; the one that it had.
    pub(super) fn ended(&mut self, place: Place) -> Option<Pid> {
        let pid = self.entries.get_mut(&place)?.pid.take()?;
        self.actors.remove(&pid.id());
        Some(pid)
    }

    /// The places from `first` on, in order.
    pub(super) fn places_from(&self, first: Place) -> Vec<Place> {
        self.entries.range(first..).map(|(place, _)| *place).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}
