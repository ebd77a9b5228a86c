//! From a log of turns (`scheduler/turn_log.rs`) to events, as `decode.rs` takes them.
//!
//! The log has the order, and some moments. The turns between two moments are taken to have been equally long. A moment of the hub lies between
//! two turns, one of a text within a turn. What is told of a fiber at its end is told as if it had been there: see [`Present`].
//!
//! A fiber stays on its worker, so its address and the worker are its name, and no two logs need an order in time. A roaming
//! fiber's name is its address alone.

use std::collections::HashMap;

use super::decode::Track;
use super::model::Fiber;
use super::present::Present;
use super::site_at;
use crate::cell::Reason;
use crate::scheduler::{Decoded, Entry, Kind, Logged, STEP};

/// What was copied of a worker's log.
pub(super) struct Log {
    /// The worker's index.
    pub(super) worker: usize,
    pub(super) records: Vec<[u64; 2]>,
    /// The number of records before those.
    pub(super) before: u64,
    /// The turns that the monitor has seen standing, by the numbers of records before.
    pub(super) standstills: Vec<(u64, [u64; 2])>,
    /// When the runtime was built, if no record is missing.
    pub(super) since: Option<u64>,
    /// When the records were copied.
    pub(super) copied: u64,
    /// Since when the worker slept then, if it did.
    pub(super) asleep: Option<u64>,
    /// The address of the fiber that ran then; 0 if none did.
    pub(super) current: u64,
}

/// The name of a fiber that stays on this worker.
pub(super) fn name_of_fiber(worker: usize, address: u64) -> u64 {
    address ^ (worker as u64 + 1) << 48
}

/// The events of a log; the fibers that have ended are added to `known`, and texts to `names`, which are numbered from 0.
pub(super) fn events_of(log: &Log, names: &mut Vec<String>, known: &mut Vec<Present>) -> Track {
    let mut timeline = Timeline {
        log,
        names,
        events: Vec::new(),
        ended: Vec::new(),
        pending: Vec::new(),
        moment: log.since,
        began: log.since.unwrap_or(0),
        body: 0,
        text: Vec::new(),
        text_is_cut: log.since.is_none(),
        name: None,
        asleep: None,
        fibers: HashMap::new(),
    };
    let mut standstills = log.standstills.iter().skip_while(|(number, _)| *number < log.before).peekable();
    for (number, record) in (log.before..).zip(&log.records) {
        while let Some((_, during)) = standstills.next_if(|(before, _)| *before <= number) {
            during.iter().for_each(|at| _ = timeline.pass_turn(*at));
        }
        if let Some(logged) = Logged::of(*record) {
            timeline.take(logged);
        }
    }
    if log.current != 0 {
        standstills.for_each(|(_, during)| _ = timeline.pass_turn(during[0]));
    }
    timeline.finish(known)
}

/// What is known of who is at an address.
#[derive(Clone, Copy)]
enum Seen {
    /// A fiber of this name.
    Alive(u64),
    /// A fiber was, and has ended.
    Ended,
}

/// The walk over a log.
struct Timeline<'a> {
    log: &'a Log,
    names: &'a mut Vec<String>,
    events: Vec<Decoded>,
    /// Fibers that have ended, with the indices of the events.
    ended: Vec<(usize, Fiber)>,
    /// The events since the last moment, whose times are not known yet: ends of turns, and starts.
    pending: Vec<usize>,
    /// The last moment that is known.
    moment: Option<u64>,
    /// When the turn began that is under way, as far as times are known.
    began: u64,
    /// Where the events of the turn begin that is under way.
    body: usize,
    text: Vec<u8>,
    /// Whether the first part of the text may be missing.
    text_is_cut: bool,
    /// The name of the fiber that is about to end.
    name: Option<String>,
    /// When the sleep began that is under way.
    asleep: Option<u64>,
    fibers: HashMap<u64, Seen>,
}

impl Timeline<'_> {
    fn take(&mut self, logged: Logged) {
        if !matches!(logged, Logged::Entry { entry: Entry::Text, .. })
            && std::mem::take(&mut self.text_is_cut)
        {
            self.text.clear();
        }
        match logged {
            Logged::Turn { fiber, roams, reason } => self.end_turn(Kind::Turn, fiber, roams, reason),
            Logged::End { fiber, roams, site } => {
                self.end_turn(Kind::End, fiber, roams, Reason::None);
                self.fibers.insert(fiber, Seen::Ended);
                let facts = Fiber { name: self.name.take(), spawn_site: site_at(site), ..Fiber::default() };
                self.ended.push((self.events.len() - 1, facts));
            }
            Logged::Left { fiber, at } => {
                self.end_turn(Kind::Left, fiber, false, Reason::None);
                self.pass_hub(at);
            }
            Logged::Entry { entry, number, word } => self.take_entry(entry, number, word),
        }
    }

    fn take_entry(&mut self, entry: Entry, number: u64, word: u64) {
        match entry {
            Entry::Clock => {
                let at = self.pass_hub(word);
                if let Some(since) = self.asleep.take() {
                    self.add_to_hub(Kind::Sleep, at, since, 0);
                }
            }
            Entry::Sleep => self.asleep = Some(self.pass_hub(word)),
            Entry::Steal => {
                let at = self.pass_hub(word);
                self.add_to_hub(Kind::Steal, at, number & 0xffff, number >> 16);
            }
            Entry::Lap => _ = self.pass_turn(word),
            Entry::Text => {
                let bytes = word.to_le_bytes();
                self.text.extend(&bytes[..bytes.len().min(number as usize)]);
            }
            Entry::Name => {
                self.pass_turn(word);
                self.name = self.take_text();
            }
            Entry::Mark | Entry::Begin | Entry::Label | Entry::Finish => {
                let at = self.pass_turn(word);
                let number = self.take_text().map_or(0, |text| {
                    self.names.push(text);
                    self.names.len() as u64 - 1
                });
                self.events.push(event(Kind::of_text(entry), at, 0, number));
            }
        }
    }

    fn take_text(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.text);
        (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
    }

    /// The name of the fiber at this address.
    fn name(&self, address: u64, roams: bool) -> u64 {
        if roams { address } else { name_of_fiber(self.log.worker, address) }
    }

    fn end_turn(&mut self, kind: Kind, address: u64, roams: bool, reason: Reason) {
        let name = self.name(address, roams);
        let is_new = match self.fibers.insert(address, Seen::Alive(name)) {
            Some(Seen::Alive(_)) => false,
            Some(Seen::Ended) => true,
            // Before all records there was none.
            None => self.log.since.is_some(),
        };
        if is_new && !roams {
            // Before the texts of the turn.
            self.events.insert(self.body, event(Kind::Start, 0, 0, name));
            self.pending.push(self.body);
        }
        self.pending.push(self.events.len());
        self.events.push(Decoded { reason, ..event(kind, 0, 0, name) });
        self.body = self.events.len();
    }

    fn add_to_hub(&mut self, kind: Kind, at: u64, small: u64, payload: u64) {
        self.events.push(event(kind, at, small, payload));
        self.body = self.events.len();
    }

    /// The hub was at work then. Returns when the next turn begins.
    fn pass_hub(&mut self, at: u64) -> u64 {
        self.tell_times(at, 0);
        self.began = self.began.max(at);
        self.moment = Some(self.began);
        self.body = self.events.len();
        self.began
    }

    /// The turn was under way then. Returns a moment after its begin.
    fn pass_turn(&mut self, at: u64) -> u64 {
        self.tell_times(at, 1);
        let at = at.max(self.began + 1).max(self.moment.unwrap_or(0));
        self.moment = Some(at);
        at
    }

    /// The turns that have ended since the last moment, and so many more, have lasted until this one.
    fn tell_times(&mut self, until: u64, more: u64) {
        let pending = std::mem::take(&mut self.pending);
        let is_end = |index: &&usize| self.events[**index].kind != Kind::Start;
        let ends = pending.iter().filter(is_end).count() as u64;
        // Before the first moment of all: then there was another one, a step ago at the most if turns were short.
        let from = self.moment.unwrap_or_else(|| until.saturating_sub(STEP));
        if self.moment.is_none() {
            self.began = self.began.max(from);
        }
        let mut ended = 0_u64;
        for index in pending {
            let event = &mut self.events[index];
            if event.kind == Kind::Start {
                event.ticks = self.began;
                continue;
            }
            ended += 1;
            let share = u128::from(until.saturating_sub(from)) * u128::from(ended) / u128::from(ends + more);
            event.ticks = (from + share as u64).max(self.began + 1);
            event.small = self.began;
            self.began = event.ticks;
        }
    }

    fn finish(mut self, known: &mut Vec<Present>) -> Track {
        let Log { worker, copied, asleep, current, .. } = *self.log;
        let current = match self.fibers.get(&current) {
            _ if current == 0 => 0,
            Some(Seen::Alive(name)) => *name,
            _ => self.name(current, false),
        };
        if let Some(since) = asleep {
            let since = self.pass_hub(since);
            self.add_to_hub(Kind::Sleep, copied.max(since), since, 0);
        } else if current != 0 {
            self.pass_turn(copied);
        } else {
            self.pass_hub(copied);
        }
        let Self { events, ended, began, .. } = self;
        known.extend(ended.into_iter().map(|(end, facts)| {
            let Decoded { small: ticks, payload: address, .. } = events[end];
            Present { worker, address, ticks, facts }
        }));
        Track { events, current, began }
    }
}

fn event(kind: Kind, ticks: u64, small: u64, payload: u64) -> Decoded {
    Decoded { ticks, kind, reason: Reason::None, small, payload, more: 0 }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The words of entries and turns, as `turn_log.rs` writes them.
    fn entry(entry: Entry, number: u64, word: u64) -> [u64; 2] {
        [5 | (entry as u64) << 3 | number << 8, word]
    }

    fn turn(fiber: u64) -> [u64; 2] {
        [fiber, Reason::Park as u64]
    }

    fn end(fiber: u64) -> [u64; 2] {
        [fiber | 1, 0]
    }

    fn log() -> Log {
        Log {
            worker: 0,
            records: Vec::new(),
            before: 0,
            standstills: Vec::new(),
            since: None,
            copied: 1_000,
            asleep: None,
            current: 0,
        }
    }

    /// Begin and end of each turn of a worker of whose log this is a part, or all.
    fn times(records: &[[u64; 2]], since: Option<u64>, current: u64) -> (Vec<[u64; 2]>, Track) {
        let log = Log { records: records.to_vec(), since, current, ..log() };
        let track = events_of(&log, &mut vec![String::new()], &mut Vec::new());
        let ends = track.events.iter().filter(|event| matches!(event.kind, Kind::Turn | Kind::End));
        (ends.map(|event| [event.small, event.ticks]).collect(), track)
    }

    #[test]
    fn turns_between_two_moments_are_equally_long() {
        let records =
            [entry(Entry::Clock, 0, 200), turn(8), turn(16), entry(Entry::Clock, 0, 400), turn(8), turn(16)];
        let (turns, _) = times(&records, Some(0), 0);
        assert_eq!(turns, [[200, 300], [300, 400], [400, 700], [700, 1_000]]);
        // The last one is under way.
        let (turns, track) = times(&records, Some(0), 8);
        assert_eq!((turns[2..].to_vec(), track.began), (vec![[400, 600], [600, 800]], 800));
    }

    #[test]
    fn a_text_is_within_its_turn_and_a_sleep_is_between_turns() {
        let records = [
            entry(Entry::Clock, 0, 100),
            turn(8),
            entry(Entry::Text, 2, u64::from_le_bytes(*b"ab______")),
            entry(Entry::Mark, 0, 200),
            turn(16),
            entry(Entry::Sleep, 0, 300),
            entry(Entry::Clock, 0, 900),
            turn(8),
        ];
        let (turns, track) = times(&records, Some(0), 0);
        assert_eq!(turns, [[100, 150], [150, 300], [900, 1_000]]);
        let other = |kind| track.events.iter().find(|event| event.kind == kind).unwrap();
        assert_eq!((other(Kind::Mark).ticks, other(Kind::Mark).payload), (200, 1));
        assert_eq!((other(Kind::Sleep).small, other(Kind::Sleep).ticks), (300, 900));
        assert!(track.events.is_sorted_by_key(|event| event.ticks));
    }

    #[test]
    fn a_fiber_has_started_if_the_log_shows_that_it_was_not_there_before() {
        let starts = |records: &[[u64; 2]], since| {
            let (_, track) = times(records, since, 0);
            track.events.iter().filter(|event| event.kind == Kind::Start).count()
        };
        let records = [turn(8), end(8), turn(16), turn(8), end(8)];
        assert_eq!(starts(&records, Some(0)), 3, "two at one address, and a third");
        assert_eq!(starts(&records, None), 1, "the second one at its address");
    }

    #[test]
    fn more_turns_than_ticks_and_clocks_that_go_back_keep_the_order() {
        let turns: Vec<_> = (1..100).map(|fiber| turn(8 * fiber)).collect();
        let records =
            [&[entry(Entry::Clock, 0, 100)], &*turns, &[entry(Entry::Clock, 0, 90), turn(8)]].concat();
        let (turns, track) = times(&records, None, 0);
        assert!(turns.iter().all(|[begin, end]| begin < end) && turns.is_sorted());
        assert!(track.events.is_sorted_by_key(|event| event.ticks));
    }

    #[test]
    fn a_turn_that_was_seen_standing_is_as_long_as_it_was_seen() {
        let records = [entry(Entry::Clock, 0, 100), turn(8), turn(16), turn(24), entry(Entry::Clock, 0, 900)];
        let (before, standstills) = (7, vec![(2, [0, 5]), (9, [300, 800])]);
        let log = Log { records: records.to_vec(), before, standstills, ..log() };
        let track = events_of(&log, &mut vec![String::new()], &mut Vec::new());
        let turns: Vec<_> = track.events.iter().map(|event| [event.small, event.ticks]).collect();
        // The second turn, whose record is the ninth of all.
        assert_eq!(turns, [[100, 200], [200, 850], [850, 900]]);
    }

    #[test]
    fn a_text_whose_begin_is_missing_is_left_out() {
        let records = [
            entry(Entry::Text, 1, 65),
            entry(Entry::Mark, 0, 10),
            entry(Entry::Text, 1, 66),
            entry(Entry::Mark, 0, 20),
        ];
        let mut names = vec![String::new()];
        let log = Log { records: records.to_vec(), ..log() };
        events_of(&log, &mut names, &mut Vec::new());
        assert_eq!(names, ["", "B"]);
    }
}
