//! What a worker has taken and not settled: the bound of its memory, and of what its death repeats.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The entries in flight, of which there are at most `limit`.
pub(super) struct InFlight {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ids: HashSet<String>,
    /// Room that a taker has been given, and not used yet.
    reserved: usize,
    is_draining: bool,
}

impl InFlight {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Waits for room, and returns how many entries the caller may take, at most `most`. None when the worker takes no more.
    pub(super) fn reserve(&self, most: usize) -> Option<usize> {
        let is_full =
            |state: &mut State| !state.is_draining && state.ids.len() + state.reserved >= self.limit;
        let mut state = self.changed.wait_while(self.state(), is_full).expect("nobody panics with it");
        if state.is_draining {
            return None;
        }
        let room = (self.limit - state.ids.len() - state.reserved).min(most);
        state.reserved += room;
        Some(room)
    }

    /// Takes these entries out of the room that was reserved, and gives the rest of it back. What is in flight here already is left out:
    /// it was claimed from this worker itself, which had been slow to renew it.
    pub(super) fn begin<T>(&self, reserved: usize, entries: Vec<T>, id: impl Fn(&T) -> &str) -> Vec<T> {
        let mut state = self.state();
        state.reserved -= reserved;
        let new = entries.into_iter().filter(|entry| state.ids.insert(id(entry).to_owned())).collect();
        drop(state);
        self.changed.notify_all();
        new
    }

    pub(super) fn end<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let mut state = self.state();
        for id in ids {
            state.ids.remove(id);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.state().ids.contains(id)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.state().ids.iter().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.state().ids.len()
    }

    /// From now on nothing is taken.
    pub(super) fn drain(&self) {
        self.state().is_draining = true;
        self.changed.notify_all();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state().is_draining
    }

    /// Whether the worker is done with everything, and takes no more.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.is_draining && state.ids.is_empty() && state.reserved == 0
    }

    /// Waits for so long, or until the worker takes no more. True in the latter case.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let wait = self.changed.wait_timeout_while(self.state(), time, |state| !state.is_draining);
        wait.expect("nobody panics with it").0.is_draining
    }

    /// Waits until all is settled, also what a taker was about to take, or until the deadline. Returns how much is not.
    pub(super) fn wait_until_empty(&self, deadline: Instant) -> usize {
        let is_busy = |state: &mut State| state.ids.len() + state.reserved > 0;
        let time = deadline.saturating_duration_since(Instant::now());
        let (state, _) =
            self.changed.wait_timeout_while(self.state(), time, is_busy).expect("nobody panics with it");
        state.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_counts() {
        let in_flight = InFlight::new(10);
        assert_eq!(in_flight.reserve(4), Some(4));
        assert_eq!(in_flight.reserve(100), Some(6));
        let begun = in_flight.begin(6, vec!["1-0", "2-0", "1-0"], |id| id);
        assert_eq!((begun, in_flight.count()), (vec!["1-0", "2-0"], 2));
        assert_eq!(in_flight.reserve(100), Some(4), "4 are reserved, and 2 in flight");
        in_flight.drain();
        assert!(!in_flight.is_over());
        in_flight.begin(8, Vec::<&str>::new(), |id| id);
        in_flight.end(["1-0", "2-0"].into_iter());
        assert!(in_flight.is_over() && in_flight.reserve(1).is_none());
        assert_eq!(in_flight.wait_until_empty(Instant::now()), 0);
    }
}
