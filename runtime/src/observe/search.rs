//! The search of all writable memory for what leads to the things that fibers wait for.
//!
//! A thing is one of two kinds. One with handles of its own, as a channel, is found by the word that they consist of. For another one each
//! word that is an address within its place counts (`extents.rs`).
//!
//! What is found on the stack of a fiber is that fiber's; what is found within a place on the heap and leads to another place is that
//! place's; and all else is outside of both. Not searched are what the runtime itself knows of the fibers (their cells, the logs of their
//! turns, the notes of whoever looks), stacks that nobody uses, and the parts of the workers' own stacks that are below their frames, where calls that are over have
//! left something.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::collect::Collection;
use super::extents::{Extent, Extents};
use super::leak::NotSearched;
use crate::os::hidden::Hidden;
use crate::os::memory::{Reader, Writable};
use crate::os::{peek, thread_state};
use crate::scheduler::{Shared, registry};

/// What is searched for. Things are known by numbers: first the places, then the others.
pub(super) struct Search {
    places: Extents,
    /// The complements of the words that are looked for, each with the number of its thing.
    keys: HashMap<usize, usize>,
    /// The least and the greatest of the complements: the words themselves must not be found where this was.
    bounds: (usize, usize),
}

impl Default for Search {
    fn default() -> Self {
        Self::new(Extents::default())
    }
}

impl Search {
    pub(super) fn new(places: Extents) -> Self {
        Self { places, keys: HashMap::new(), bounds: (usize::MAX, 0) }
    }

    /// Looks for the word with this complement. Returns the number of the thing.
    pub(super) fn add(&mut self, key: usize) -> usize {
        let number = self.places.all().len() + self.keys.len();
        self.bounds = (self.bounds.0.min(key), self.bounds.1.max(key));
        *self.keys.entry(key).or_insert(number)
    }

    /// The number of the place on the stack of this fiber, if there is one.
    pub(super) fn place_on_stack_of(&self, fiber: usize) -> Option<usize> {
        self.places.on_stack_of(fiber)
    }

    /// The number of the place in which this object lies.
    pub(super) fn place_of(&self, object: Hidden) -> Option<usize> {
        self.places.at(object.address())
    }

    fn key(&self, word: usize) -> Option<usize> {
        let key = !word;
        if key < self.bounds.0 || key > self.bounds.1 {
            return None;
        }
        self.keys.get(&key).copied()
    }

    /// Searches the memory.
    pub(super) fn run(
        &self,
        collection: &Collection,
        writable: &Writable,
        reader: &mut Reader,
        until: Instant,
    ) -> Result<Found, NotSearched> {
        let mut found = Found::new(self.places.all().len(), self.keys.len(), collection.fibers.len());
        let here = 0_u8;
        let here = (&raw const here).addr();
        let dead = dead_parts(writable);
        // What is left out of the search at large, in order.
        let mut left_out: Vec<Range<usize>> = vec![reader.own()];
        left_out.extend(dead.iter().cloned());
        // Recorders have addresses of what is something else by now, and copies of stacks.
        let logs = |shared: &Arc<Shared>| {
            shared.workers.iter().flat_map(|worker| worker.recorded_addresses()).collect::<Vec<_>>()
        };
        left_out.extend(registry::all().iter().flat_map(logs).filter(|log| !log.is_empty()));
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
                    let sp = facts.stack_pointer.map(Hidden::address);
                    let bottom = sp.filter(|sp| (place.bottom..place.end).contains(sp));
                    let stack = bottom.unwrap_or(place.bottom)..place.end;
                    reader.read(stack, until, |_, word| self.note_on_stack(&mut found, *index, word))?;
                }
                // Of a coroutine, or of nobody yet. The others were a fiber's that has ended.
                None if place.owner == 0 => others.push(place.bottom..place.end),
                None => {}
            }
        }
        left_out.sort_unstable_by_key(|range| range.start);
        let mut note = |at, word| self.note(&mut found, collection, at, word);
        for range in &writable.ranges {
            // This thread's stack: nobody waits for what is here.
            if range.contains(&here) {
                continue;
            }
            let mut at = range.start;
            let begin = left_out.partition_point(|left_out| left_out.end <= range.start);
            for left_out in left_out[begin..].iter().take_while(|left_out| left_out.start < range.end) {
                if left_out.start > at {
                    reader.read(at..left_out.start, until, &mut note)?;
                }
                at = at.max(left_out.end);
            }
            if at < range.end {
                reader.read(at..range.end, until, &mut note)?;
            }
        }
        let still_dead = dead_parts(writable);
        for range in others.into_iter().chain(dead.into_iter().filter(|part| !still_dead.contains(part))) {
            reader.read(range, until, &mut note)?;
        }
        self.count_handles(&mut found);
        (0..found.outside.len())
            .filter(|thing| found.outside[*thing])
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|it| found.expose(it));
        Ok(found)
    }

    /// Notes a word on the stack of this fiber.
    #[inline(always)]
    fn note_on_stack(&self, found: &mut Found, fiber: usize, word: usize) {
        if let Some(key) = self.key(word) {
            found.of_fibers[fiber].push(key);
        }
        if let Some(place) = self.places.at(word) {
            // A place on its own stack is its own in any case.
            if self.places.all()[place].on != Some(fiber) {
                found.of_fibers[fiber].push(place);
            }
            if self.is_whole(place, word) && found.counted[place] != Some(fiber) {
                found.counted[place] = Some(fiber);
                found.handles[place] += 1;
            }
        }
    }

    /// Notes a word at an address that is on no fiber's stack.
    #[inline(always)]
    fn note(&self, found: &mut Found, collection: &Collection, at: usize, word: usize) {
        if let Some(key) = self.key(word) {
            found.outside[key] = true;
        }
        if let Some(place) = self.places.at(word) {
            self.note_place(found, collection, at, place, word);
        }
    }

    #[cold]
    fn note_place(&self, found: &mut Found, collection: &Collection, at: usize, place: usize, word: usize) {
        let on = self.places.all()[place].on;
        if on.is_some_and(|fiber| collection.fibers[fiber].waiter.address() == word) {
            // By this the fiber itself is woken.
            return;
        }
        match self.places.at(at) {
            Some(around) => {
                found.handles[place] += u64::from(self.is_whole(place, word));
                if around != place {
                    found.of_places[around].push(place);
                }
            }
            None => found.outside[place] = true,
        }
    }

    /// Whether this word is the address of all that is in the place, as an `Arc`, or of what lies behind an `Arc`'s two counts.
    fn is_whole(&self, place: usize, word: usize) -> bool {
        let start = self.places.all()[place].range.start.address();
        word == start || word == start + COUNTS
    }

    /// Takes a place for one that others have, if it begins with two counts as those of an `Arc` or `Rc`, and fewer handles were found. They
    /// may be anywhere: in a register of a thread, in the kernel.
    fn count_handles(&self, found: &mut Found) {
        let is_counted = |place: &Extent| place.on.is_none() && !place.has_handles;
        for (index, place) in self.places.all().iter().enumerate().filter(|(_, place)| is_counted(place)) {
            let start = place.range.start.address();
            let count = |at| peek::word(at).map(|count| count as u64).filter(|count| *count <= MOST_HANDLES);
            if let (Some(strong @ 1..), Some(weak @ 1..)) = (count(start), count(start + COUNTS / 2)) {
                found.outside[index] |= strong + (weak - 1) > found.handles[index];
            }
        }
    }
}

/// The bytes of the two counts at the begin of what an `Arc` points to.
const COUNTS: usize = 2 * size_of::<usize>();

/// What is no count of handles: more than that.
const MOST_HANDLES: u64 = 1 << 32;

/// Where things were found, by their numbers.
pub(super) struct Found {
    /// By thing: whether there is a way to it outside of all fibers and places.
    outside: Vec<bool>,
    /// By fiber: the things to which there is one on its stack.
    pub(super) of_fibers: Vec<Vec<usize>>,
    /// By place: the places to which there is one in it.
    of_places: Vec<Vec<usize>>,
    /// By place: how many fibers have the address of all of it, and how many words in places are it.
    handles: Vec<u64>,
    /// By place: the fiber that was counted last.
    counted: Vec<Option<usize>>,
}

impl Found {
    fn new(places: usize, keys: usize, fibers: usize) -> Self {
        Self {
            outside: vec![false; places + keys],
            of_fibers: vec![Vec::new(); fibers],
            of_places: vec![Vec::new(); places],
            handles: vec![0; places],
            counted: vec![None; places],
        }
    }

    /// Whether somebody has this thing who may be any.
    pub(super) fn is_outside(&self, thing: usize) -> bool {
        self.outside[thing]
    }

    /// Notes that somebody outside has this thing, and so what is in it.
    pub(super) fn expose(&mut self, thing: usize) {
        let mut exposed = vec![thing];
        while let Some(thing) = exposed.pop() {
            self.outside[thing] = true;
            if let Some(within) = self.of_places.get_mut(thing) {
                exposed.append(within);
            }
        }
    }
}

/// What the kernel leaves alone below the stack pointer, as functions may use it.
const RED_ZONE: usize = 128;

/// The parts below the frames of workers' threads, and of the first one, as far as these sleep in the kernel.
fn dead_parts(writable: &Writable) -> Vec<Range<usize>> {
    let below = |sp: usize| sp.saturating_sub(RED_ZONE);
    let mut parts = Vec::new();
    for shared in registry::all() {
        for (_, sp) in shared.workers.iter().filter_map(|worker| worker.thread_place()) {
            // A fiber may be in a system call.
            if abaca_asm::stack::bounds_at(sp).is_none() {
                parts.extend(readable_below(below(sp), writable));
            }
        }
    }
    let first = i32::try_from(std::process::id()).ok().and_then(thread_state::place_of);
    parts.extend(
        first
            .zip(writable.first_stack.clone())
            .and_then(|((_, sp), stack)| stack.contains(&sp).then(|| stack.start..below(sp))),
    );
    parts
}

/// The memory from a thread's guard up to this address of its stack: a guard lies below each worker's, and something else below that.
fn readable_below(end: usize, writable: &Writable) -> Option<Range<usize>> {
    const PAGE: usize = 4096;
    let range = writable.ranges.iter().find(|range| range.contains(&end))?;
    let first = end / PAGE * PAGE;
    let pages = (range.start..first).rev().step_by(PAGE).map(|last| last / PAGE * PAGE);
    let start = pages.take_while(|page| peek::word(*page).is_some()).last().unwrap_or(first);
    Some(start..end)
}
