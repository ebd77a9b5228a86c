//! The events of a log, and their times: of some the moment is known. The turns between two moments are taken to have been equally long.

use crate::scheduler::{Decoded, Kind, STEP};

/// An event whose time is not known yet.
enum Pending {
    /// The end of a turn, before which the worker was in its hub or not.
    End { from_hub: bool },
    /// It happened where the next turn begins.
    Between,
    /// It happened within a turn.
    Within,
}

/// See the module's documentation.
pub(super) struct Times {
    pub(super) events: Vec<Decoded>,
    /// Those since the last moment.
    pending: Vec<(usize, Pending)>,
    /// The last moment that is known.
    moment: Option<u64>,
    /// When the turn began that is under way, as far as times are known.
    pub(super) began: u64,
    /// Where the events of that turn begin.
    body: usize,
}

impl Times {
    /// Of a log that begins at this moment, if that is known.
    pub(super) fn new(since: Option<u64>) -> Self {
        Self { events: Vec::new(), pending: Vec::new(), moment: since, began: since.unwrap_or(0), body: 0 }
    }

    /// Adds the end of the turn that is under way. Before it the worker was in its hub, if that is so; and it ended at this moment, if
    /// that is known.
    pub(super) fn end_turn(&mut self, event: Decoded, from_hub: bool, at: Option<u64>) {
        self.pending.push((self.events.len(), Pending::End { from_hub }));
        self.events.push(event);
        if let Some(at) = at {
            self.tell_times(at, 0);
            self.moment = Some(self.began);
        }
        self.body = self.events.len();
    }

    /// Adds the start of the fiber whose turn is under way, before all else that happened in it. Returns its index, from which on the others
    /// have moved up.
    pub(super) fn start(&mut self, event: Decoded) -> usize {
        for (index, _) in self.pending.iter_mut().filter(|(index, _)| *index >= self.body) {
            *index += 1;
        }
        let at = self.pending.partition_point(|(index, _)| *index < self.body);
        self.events.insert(self.body, Decoded { ticks: self.began, ..event });
        self.pending.insert(at, (self.body, Pending::Between));
        self.body
    }

    /// Adds what happened between two turns.
    pub(super) fn between(&mut self, event: Decoded) {
        self.pending.push((self.events.len(), Pending::Between));
        self.events.push(event);
    }

    /// Adds what happened within the turn that is under way.
    pub(super) fn within(&mut self, event: Decoded) {
        self.pending.push((self.events.len(), Pending::Within));
        self.events.push(event);
    }

    /// Adds an event with its time, between two turns.
    pub(super) fn at_hub(&mut self, event: Decoded) {
        self.events.push(event);
        self.body = self.events.len();
    }

    /// The hub was at work then. Returns when the next turn begins.
    pub(super) fn pass_hub(&mut self, at: u64) -> u64 {
        self.tell_times(at, 0);
        self.began = self.began.max(at);
        self.moment = Some(self.began);
        self.body = self.events.len();
        self.began
    }

    /// The turn was under way then. Returns a moment after its begin.
    pub(super) fn pass_turn(&mut self, at: u64) -> u64 {
        self.tell_times(at, 1);
        let at = at.max(self.began + 1).max(self.moment.unwrap_or(0));
        self.moment = Some(at);
        at
    }

    /// The turns that have ended since the last moment, and so many more, have lasted until this one.
    fn tell_times(&mut self, until: u64, more: u64) {
        let pending = std::mem::take(&mut self.pending);
        let is_end = |it: &&(usize, Pending)| matches!(it.1, Pending::End { .. });
        let ends = pending.iter().filter(is_end).count() as u64;
        // Before the first moment of all: then there was another one, a step ago at the most if turns were short.
        let from = self.moment.unwrap_or_else(|| until.saturating_sub(STEP));
        if self.moment.is_none() {
            self.began = self.began.max(from);
        }
        let mut ended = 0_u64;
        let mut within = Vec::new();
        for (index, what) in pending {
            match what {
                Pending::Between => self.events[index].ticks = self.began,
                Pending::Within => within.push(index),
                Pending::End { from_hub } => {
                    ended += 1;
                    let share =
                        u128::from(until.saturating_sub(from)) * u128::from(ended) / u128::from(ends + more);
                    // A turn that begins later than the one before has ended shows that the hub was in between.
                    let began = self.began + u64::from(from_hub);
                    let end = (from + share as u64).max(began + 1);
                    self.tell_within(&mut within, [began, began.max(from), end]);
                    let event = &mut self.events[index];
                    (event.ticks, event.small, self.began) = (end, began, end);
                }
            }
        }
        self.tell_within(&mut within, [self.began, self.began.max(from), until]);
    }

    /// What happened within a turn that began then may have happened at any time from one moment to another one.
    fn tell_within(&mut self, indices: &mut Vec<usize>, [began, from, until]: [u64; 3]) {
        for index in indices.drain(..) {
            self.events[index].ticks = (from + until.saturating_sub(from) / 2).max(began + 1);
        }
    }
}

/// An event whose time is told later.
pub(super) fn event(kind: Kind, small: u64, payload: u64) -> Decoded {
    Decoded { ticks: 0, kind, reason: crate::cell::Reason::None, small, payload, more: 0 }
}
