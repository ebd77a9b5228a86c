//! From a log of turns (`scheduler/turn_log.rs`) to events, as `decode.rs` takes them.
//!
//! The log has the order, and some moments; `times.rs` tells what lies between. What is told of a fiber at its end is told as if it had been
//! there: see [`Present`].

use std::collections::{HashMap, HashSet};

use super::decode::Track;
use super::log::{Log, name_of_fiber};
use super::model::Fiber;
use super::present::Present;
use super::site_at;
use super::sums::Sums;
use super::times::{Times, event};
use crate::cell::Reason;
use crate::scheduler::{Cause, Decoded, Entry, Kind, Logged, Moved, SENT_BITS};

/// The events of a log; the fibers that have ended are added to `known`, and texts to `names`, which are numbered from 0.
pub(super) fn events_of(log: &Log, names: &mut Vec<String>, known: &mut Vec<Present>) -> Track {
    let mut timeline = Timeline {
        log,
        names,
        times: Times::new(log.since),
        ended: Vec::new(),
        exact_end: None,
        sums: Sums::new(log.has_own_sums, log.since.is_some()),
        waiting: HashSet::new(),
        from_poller: false,
        is_inbox_in_turn: false,
        spawned: HashMap::new(),
        text: Vec::new(),
        text_is_cut: log.since.is_none(),
        name: None,
        asleep: None,
        fibers: HashMap::new(),
    };
    let mut standstills = log.standstills.iter().skip_while(|(number, _)| *number < log.before).peekable();
    for (number, record) in (log.before..).zip(&log.records) {
        while let Some((_, during)) = standstills.next_if(|(before, _)| *before <= number) {
            during.iter().for_each(|at| _ = timeline.times.pass_turn(*at));
        }
        if let Some(logged) = Logged::of(*record) {
            timeline.take(logged);
        }
    }
    if log.current != 0 {
        standstills.for_each(|(_, during)| _ = timeline.times.pass_turn(during[0]));
    }
    timeline.finish(known)
}

/// What is known of who is at an address.
#[derive(Clone, Copy)]
enum Seen {
    /// A fiber of this name.
    Alive(u64),
    /// A fiber that has not run.
    Spawned,
    /// A fiber was, and has ended.
    Ended,
}

/// The walk over a log.
struct Timeline<'a> {
    log: &'a Log,
    names: &'a mut Vec<String>,
    times: Times,
    /// Fibers that have ended, with the indices of the events.
    ended: Vec<(usize, Fiber)>,
    /// When the turn ends whose record is next.
    exact_end: Option<u64>,
    sums: Sums,
    /// The fibers that wait, of which no record tells that they were woken.
    waiting: HashSet<u64>,
    /// Whether the poller woke the fiber of the last turn.
    from_poller: bool,
    is_inbox_in_turn: bool,
    /// The indices of the spawns of fibers that have not run.
    spawned: HashMap<u64, usize>,
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
            Logged::Turn { fiber, roams, reason, moved } => {
                self.end_turn(Kind::Turn, fiber, roams, reason, Some(moved));
            }
            Logged::End { fiber, roams, site } => {
                self.end_turn(Kind::End, fiber, roams, Reason::None, None);
                self.fibers.insert(fiber, Seen::Ended);
                let facts = Fiber { name: self.name.take(), spawn_site: site_at(site), ..Fiber::default() };
                self.ended.push((self.times.events.len() - 1, facts));
            }
            Logged::Left { fiber, at } => {
                self.end_turn(Kind::Left, fiber, false, Reason::None, None);
                self.times.pass_hub(at);
            }
            Logged::Wake { fiber, roams, cause } => {
                self.waiting.remove(&fiber);
                let name = self.name(fiber, roams);
                let wake = event(Kind::Wake, cause as u64, name);
                if cause == Cause::Fiber || cause == Cause::Elsewhere && self.is_inbox_in_turn {
                    self.times.within(wake);
                } else {
                    self.times.between(wake);
                }
            }
            Logged::Send { fiber, cause, at } => {
                // The upper bits are those of a moment before the copy.
                let ago = self.log.copied.wrapping_sub(at) & (u64::MAX >> (u64::BITS - SENT_BITS));
                let at = self.log.copied.saturating_sub(ago);
                let send = |ticks| Decoded { ticks, ..event(Kind::Send, cause as u64, fiber) };
                if cause == Cause::Fiber {
                    let at = self.times.pass_turn(at);
                    self.times.events.push(send(at));
                } else {
                    let at = self.times.pass_hub(at);
                    self.times.at_hub(send(at));
                }
            }
            Logged::Entry { entry, number, word } => self.take_entry(entry, number, word),
        }
    }

    fn take_entry(&mut self, entry: Entry, number: u64, word: u64) {
        match entry {
            Entry::Clock => {
                let at = self.times.pass_hub(word);
                if let Some(since) = self.asleep.take() {
                    self.times.at_hub(Decoded { ticks: at, ..event(Kind::Sleep, since, 0) });
                }
            }
            Entry::Sleep => self.asleep = Some(self.times.pass_hub(word)),
            Entry::Steal => {
                let ticks = self.times.pass_hub(word);
                self.times.at_hub(Decoded { ticks, ..event(Kind::Steal, number & 0xffff, number >> 16) });
            }
            Entry::TurnEnds => self.exact_end = Some(self.times.pass_turn(word)),
            Entry::Inbox => {
                self.is_inbox_in_turn = number != 0;
                let pass = if self.is_inbox_in_turn { Times::pass_turn } else { Times::pass_hub };
                pass(&mut self.times, word);
            }
            Entry::Spawn => {
                self.forget_spawn(word);
                self.spawned.insert(word, self.times.events.len());
                self.times.within(event(Kind::Spawn, 0, self.name(word, false)));
                self.fibers.insert(word, Seen::Spawned);
            }
            Entry::Moved => self.sums.set_at_end(word),
            Entry::Base => self.sums.come_to_thread(word),
            Entry::Text => {
                let bytes = word.to_le_bytes();
                self.text.extend(&bytes[..bytes.len().min(number as usize)]);
            }
            Entry::Name => {
                self.times.pass_turn(word);
                self.name = self.take_text();
            }
            Entry::Mark | Entry::Begin | Entry::Label | Entry::Finish => {
                let ticks = self.times.pass_turn(word);
                let number = self.take_text().map_or(0, |text| {
                    self.names.push(text);
                    self.names.len() as u64 - 1
                });
                self.times.events.push(Decoded { ticks, ..event(Kind::of_text(entry), 0, number) });
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

    /// A fiber that was spawned here, and then was not seen to run: another worker has taken it, or nobody yet.
    fn forget_spawn(&mut self, address: u64) {
        if let Some(index) = self.spawned.remove(&address) {
            self.times.events[index].payload = 0;
        }
    }

    fn end_turn(&mut self, kind: Kind, address: u64, roams: bool, reason: Reason, sum: Option<u64>) {
        let name = self.name(address, roams);
        let is_new = match self.fibers.insert(address, Seen::Alive(name)) {
            Some(Seen::Alive(_)) => false,
            Some(Seen::Ended | Seen::Spawned) => true,
            // Before all records there was none.
            None => self.log.since.is_some(),
        };
        if roams {
            self.forget_spawn(address);
        }
        self.spawned.remove(&address);
        if is_new && !roams {
            let place = self.times.start(event(Kind::Start, 0, name));
            self.spawned.values_mut().filter(|spawn| **spawn >= place).for_each(|spawn| *spawn += 1);
        }
        let moved = match kind {
            // Its own sum may have gone on elsewhere.
            _ if roams && self.log.has_own_sums => Moved::default(),
            Kind::End => self.sums.of_end(address, is_new),
            _ => sum.map_or_else(Moved::default, |sum| self.sums.of_turn(address, is_new, sum)),
        };
        let was_waiting = self.waiting.remove(&address);
        // What several have waited for may have come at once.
        let from_hub = moved.polls > 0 || self.log.has_own_sums && was_waiting && !self.from_poller;
        self.from_poller = was_waiting;
        if reason != Reason::None && !roams {
            self.waiting.insert(address);
        }
        let end = Decoded { reason, more: moved.sum(), ..event(kind, 0, name) };
        self.times.end_turn(end, from_hub, self.exact_end.take());
        self.is_inbox_in_turn = false;
    }

    fn finish(mut self, known: &mut Vec<Present>) -> Track {
        let Log { worker, copied, asleep, current, .. } = *self.log;
        let current = match self.fibers.get(&current) {
            _ if current == 0 => 0,
            Some(Seen::Alive(name)) => *name,
            _ => self.name(current, false),
        };
        self.spawned.remove(&self.log.current);
        self.spawned.keys().copied().collect::<Vec<_>>().into_iter().for_each(|it| self.forget_spawn(it));
        if let Some(since) = asleep {
            let since = self.times.pass_hub(since);
            self.times.at_hub(Decoded { ticks: copied.max(since), ..event(Kind::Sleep, since, 0) });
        } else if current != 0 {
            self.times.pass_turn(copied);
        } else {
            self.times.pass_hub(copied);
        }
        let Times { mut events, began, .. } = self.times;
        known.extend(self.ended.into_iter().map(|(end, facts)| {
            let Decoded { small: ticks, payload: address, .. } = events[end];
            Present { worker, address, ticks, facts }
        }));
        events.retain(|event| event.kind != Kind::Spawn || event.payload != 0);
        Track { events, current, began }
    }
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
            has_own_sums: false,
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
