//! Leaks: fibers that wait for what nobody can give them any more.
//!
//! The greatest set of parked fibers is looked for that wait only for each other: for a message on a channel whose other ends are all
//! on stacks of fibers of the set, for a lock that one of them holds, for the end of one of them. It begins with all fibers that wait
//! so. The members of a wait group, and the two halves of a oneshot, count as ends of a channel; of a `select` each channel counts.
//! Whoever waits for a channel of which an end is found elsewhere (on the heap, in static data, on the stack of a thread, of a
//! coroutine or of a fiber that is not in the set) is taken out, and the ends on its own stack then are found elsewhere, too; and so on
//! until nobody is taken out any more.
//!
//! An end is found by the word that it consists of, the address of the channel's `Arc`. All writable memory is searched for it, so an
//! end cannot be missed; a word that is left over from one that is gone may hide a leak. Memory is not looked at in one moment: what
//! was found is looked for again. Memory that nobody has touched takes no time (`os/pagemap.rs`), and what does not fit into the time
//! that there is gives the verdict [`NotSearched`].

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use super::collect::{self, Activity, Collection, Facts};
use super::dump::Holder;
use super::object::Object;
use super::owners::Owners;
use crate::cell::{CoarseTime, FiberId, Reason};
use crate::os::memory::{self, OutOfTime, Reader};

/// A wait, by which it is told from a later one of the same fiber.
type Key = (usize, usize, CoarseTime);

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSearched {
    /// There is more memory than could be searched in the time.
    Time,
    /// The kernel does not tell what memory there is.
    Memory,
    /// A worker moved all the time: what its fibers have is not known.
    Worker,
    /// There is no thread to be had for the search.
    Thread,
}

impl NotSearched {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Time => "the process has more memory than could be searched in the time",
            Self::Memory => "the kernel does not tell what memory the process has",
            Self::Worker => "the fibers of a worker could not be looked at",
            Self::Thread => "no thread could be started for it",
        }
    }
}

/// The fibers of a collection that are leaked, as they are in it.
pub(super) fn confirmed(collection: &Collection, until: Instant) -> Result<Vec<usize>, NotSearched> {
    let first = find(collection, until)?;
    if first.is_empty() {
        return Ok(first);
    }
    let key = |facts: &Facts| -> Key { (facts.header, facts.waiter, facts.since) };
    let again = collect::collect();
    let still: Vec<Key> = find(&again, until)?.into_iter().map(|index| key(&again.fibers[index])).collect();
    Ok(first.into_iter().filter(|index| still.contains(&key(&collection.fibers[*index]))).collect())
}

/// What a fiber of the set waits for.
enum Source {
    /// One of the channels, or of the like, with these indices. None: a channel that never has a message.
    Channels(Vec<usize>),
    /// All of these fibers: one that holds what it waits for, or that it joins, or those of its scope.
    Fibers(Vec<FiberId>),
}

/// The search for the ends of channels.
struct Search {
    /// The complements of the words that are looked for, each with its index.
    keys: HashMap<usize, usize>,
    /// The least and the greatest of the words.
    bounds: (usize, usize),
}

impl Search {
    /// Looks for the word with this complement. Returns its index.
    fn add(&mut self, key: usize) -> usize {
        let count = self.keys.len();
        self.bounds = (self.bounds.0.min(!key), self.bounds.1.max(!key));
        *self.keys.entry(key).or_insert(count)
    }

    fn index(&self, word: usize) -> Option<usize> {
        if word < self.bounds.0 || word > self.bounds.1 {
            return None;
        }
        self.keys.get(&!word).copied()
    }
}

fn find(collection: &Collection, until: Instant) -> Result<Vec<usize>, NotSearched> {
    // A fiber whose stack nobody could look at may have anything.
    if collection.away.iter().any(|(.., could)| !could) {
        return Err(NotSearched::Worker);
    }
    let owners = Owners::of(&collection.fibers);
    let mut search = Search { keys: HashMap::new(), bounds: (usize::MAX, 0) };
    let mut sources: Vec<Option<Source>> = Vec::new();
    for facts in &collection.fibers {
        let source = source_of(facts, &owners, &mut search);
        sources.push(source);
    }
    if sources.iter().all(Option::is_none) {
        return Ok(Vec::new());
    }
    let found = found_in_memory(collection, &search, until)?;
    // By channel, whether an end of it is outside of the set.
    let mut outside = found.outside;
    for (index, ends) in found.of_fibers.iter().enumerate() {
        if sources[index].is_none() {
            ends.iter().for_each(|channel| outside[*channel] = true);
        }
    }
    let index_of: HashMap<FiberId, usize> =
        collection.fibers.iter().enumerate().filter_map(|(index, facts)| Some((facts.id?, index))).collect();
    loop {
        let is_alive = |source: &Source| match source {
            Source::Channels(channels) => channels.iter().any(|channel| outside[*channel]),
            Source::Fibers(ids) => {
                ids.iter().all(|id| index_of.get(id).is_none_or(|index| sources[*index].is_none()))
            }
        };
        let Some(saved) = sources.iter().position(|source| source.as_ref().is_some_and(is_alive)) else {
            break;
        };
        sources[saved] = None;
        found.of_fibers[saved].iter().for_each(|channel| outside[*channel] = true);
    }
    Ok((0..sources.len()).filter(|index| sources[*index].is_some()).collect())
}

/// What the fiber waits for, if only another fiber can give it.
fn source_of(facts: &Facts, owners: &Owners, search: &mut Search) -> Option<Source> {
    if facts.activity != Activity::Parked || facts.has_deadline {
        return None;
    }
    match (&facts.object, facts.reason) {
        (Object::Channel { key, .. } | Object::Handles { key, .. }, _) => {
            Some(Source::Channels(vec![search.add(*key)]))
        }
        // A clock among them has a deadline.
        (Object::Channels(channels), _) => {
            Some(Source::Channels(channels.iter().map(|[.., key]| search.add(*key)).collect()))
        }
        // The channel that never has a message.
        (Object::None, Reason::ChannelReceive) if facts.waiter != 0 => Some(Source::Channels(Vec::new())),
        (Object::Fibers { .. }, _) => {
            let needed = owners.needed(&facts.object);
            (!needed.is_empty()).then_some(Source::Fibers(needed))
        }
        (object, _) => match owners.holder(object)? {
            Holder::Fiber(id) => Some(Source::Fibers(vec![id])),
            Holder::Other => None,
        },
    }
}

/// Where the ends of channels were found.
struct Found {
    /// By channel: whether there is one outside of all fibers.
    outside: Vec<bool>,
    /// By fiber: the channels of which there is one on its stack, or in its cell.
    of_fibers: Vec<Vec<usize>>,
}

impl From<OutOfTime> for NotSearched {
    fn from(_: OutOfTime) -> Self {
        Self::Time
    }
}

fn found_in_memory(collection: &Collection, search: &Search, until: Instant) -> Result<Found, NotSearched> {
    let mut reader = Reader::new();
    let here = 0_u8;
    let here = (&raw const here).addr();
    let mut found = Found {
        outside: vec![false; search.keys.len()],
        of_fibers: vec![Vec::new(); collection.fibers.len()],
    };
    // What is left out of the search at large, in order.
    let mut left_out: Vec<Range<usize>> = vec![reader.own()];
    let mut fiber_at = HashMap::new();
    for (index, facts) in collection.fibers.iter().enumerate() {
        fiber_at.insert(facts.header, index);
        // The closure has left the cell when the fiber began, and its copy is still there.
        left_out.push(facts.header..facts.header + facts.cell_bytes);
    }
    let mut others = Vec::new();
    for place in abaca_asm::stack::places() {
        left_out.push(place.bottom..place.end);
        match fiber_at.get(&place.owner) {
            Some(index) => {
                let facts = &collection.fibers[*index];
                let bottom = facts.stack_pointer.filter(|sp| (place.bottom..place.end).contains(sp));
                let ends = &mut found.of_fibers[*index];
                let stack = bottom.unwrap_or(place.bottom)..place.end;
                reader.read(stack, until, |word| ends.extend(search.index(word)))?;
            }
            // Of a coroutine, or of nobody yet. The others were a fiber's that has ended.
            None if place.owner == 0 => others.push(place.bottom..place.end),
            None => {}
        }
    }
    left_out.sort_unstable_by_key(|range| range.start);
    for range in memory::writable().ok_or(NotSearched::Memory)? {
        // This thread's stack: nobody waits for what is here.
        if range.contains(&here) {
            continue;
        }
        let outside = &mut found.outside;
        let mut at = range.start;
        let begin = left_out.partition_point(|left_out| left_out.end <= range.start);
        for left_out in left_out[begin..].iter().take_while(|left_out| left_out.start < range.end) {
            if left_out.start > at {
                reader.read(at..left_out.start, until, |word| note(outside, search, word))?;
            }
            at = at.max(left_out.end);
        }
        if at < range.end {
            reader.read(at..range.end, until, |word| note(outside, search, word))?;
        }
    }
    for range in others {
        reader.read(range, until, |word| note(&mut found.outside, search, word))?;
    }
    Ok(found)
}

fn note(outside: &mut [bool], search: &Search, word: usize) {
    if let Some(channel) = search.index(word) {
        outside[channel] = true;
    }
}
