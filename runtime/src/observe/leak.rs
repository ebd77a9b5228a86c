//! Leaks: fibers that wait for what nobody can give them any more.
//!
//! The greatest set of parked fibers is looked for that wait only for each other: for a message on a channel whose other ends are all
//! on stacks of fibers of the set, for a lock that one of them holds, for the end of one of them. It begins with all fibers that wait
//! so. The members of a wait group, and the two halves of a oneshot, count as ends of a channel; of a `select` each channel counts.
//! Whoever waits for a channel of which an end is found elsewhere (on the heap, in static data, on the stack of a thread, of a
//! coroutine or of a fiber that is not in the set) is taken out, and the ends on its own stack then are found elsewhere, too; and so on
//! until nobody is taken out any more.
//!
//! An end is found by the word that it consists of, the address of the channel's `Arc`. A notification, a condition variable and their kin have
//! no such ends: of these any address within the place in which they lie counts (`extents.rs`). All writable memory is searched
//! (`search.rs`), so an
//! end cannot be missed; a word that is left over from one that is gone may hide a leak. Memory is not looked at in one moment: what
//! was found is looked for again. Memory that nobody has touched takes no time (`os/pagemap.rs`), and what does not fit into the time
//! that there is gives the verdict [`NotSearched`].

use std::collections::HashMap;
use std::time::Instant;

use super::collect::{self, Activity, Collection, Facts};
use super::dump::Holder;
use super::extents::{Bare, Extents};
use super::object::Object;
use super::owners::Owners;
use super::search::{Found, Search};
use crate::cell::{CoarseTime, FiberId, Reason};
use crate::os::hidden::Hidden;
use crate::os::memory::{self, OutOfTime, Reader};

/// A wait, by which it is told from a later one of the same fiber.
type Key = (usize, Hidden, CoarseTime);

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
    /// One of the things with these numbers. None: a channel that never has a message.
    Things(Vec<usize>),
    /// All of these fibers: one that holds what it waits for, or that it joins, or those of its scope.
    Fibers(Vec<FiberId>),
}

impl From<OutOfTime> for NotSearched {
    fn from(_: OutOfTime) -> Self {
        Self::Time
    }
}

fn find(collection: &Collection, until: Instant) -> Result<Vec<usize>, NotSearched> {
    // A fiber whose stack nobody could look at may have anything.
    if collection.away.iter().any(|(.., could)| !could) {
        return Err(NotSearched::Worker);
    }
    let owners = Owners::of(&collection.fibers);
    let fibers = || collection.fibers.iter().filter(|facts| waits_for_ever(facts));
    let bare = |facts| bare_object(facts, &owners);
    let may_be_leaked =
        |facts| bare(facts).is_some() || source_of(facts, &owners, &mut Search::default()).is_some();
    if !fibers().any(may_be_leaked) {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new();
    let writable = memory::writable().ok_or(NotSearched::Memory)?;
    let places = Extents::of(fibers().filter_map(bare).collect(), collection, &writable, &mut reader, until)?;
    let mut search = Search::new(places);
    let mut sources: Vec<Option<Source>> = Vec::new();
    for facts in &collection.fibers {
        let waits = waits_for_ever(facts).then_some(facts);
        sources.push(waits.and_then(|facts| source_of(facts, &owners, &mut search)));
    }
    let mut found = search.run(collection, &writable, &mut reader, until)?;
    let save = |fiber: usize, found: &mut Found| {
        let own = search.place_on_stack_of(fiber);
        let has = std::mem::take(&mut found.of_fibers[fiber]);
        has.into_iter().chain(own).for_each(|thing| found.expose(thing));
    };
    for fiber in (0..sources.len()).filter(|fiber| sources[*fiber].is_none()) {
        save(fiber, &mut found);
    }
    let index_of: HashMap<FiberId, usize> =
        collection.fibers.iter().enumerate().filter_map(|(index, facts)| Some((facts.id?, index))).collect();
    let mut has_changed = true;
    while std::mem::take(&mut has_changed) {
        for fiber in 0..sources.len() {
            let is_alive = match &sources[fiber] {
                None => false,
                Some(Source::Things(things)) => things.iter().any(|thing| found.is_outside(*thing)),
                Some(Source::Fibers(ids)) => {
                    ids.iter().all(|id| index_of.get(id).is_none_or(|index| sources[*index].is_none()))
                }
            };
            if is_alive {
                sources[fiber] = None;
                save(fiber, &mut found);
                has_changed = true;
            }
        }
    }
    Ok((0..sources.len()).filter(|index| sources[*index].is_some()).collect())
}

/// Whether nothing but a waker ends the wait of this fiber, and none has. Whoever has the fiber's handle may cancel it: that does not count.
fn waits_for_ever(facts: &Facts) -> bool {
    facts.activity == Activity::Parked && !facts.has_deadline && !facts.has_token && !facts.has_ended
}

/// What the fiber waits for, if only another fiber can give it.
fn source_of(facts: &Facts, owners: &Owners, search: &mut Search) -> Option<Source> {
    match (&facts.object, facts.reason) {
        (Object::Channel { key, .. } | Object::Handles { key, .. }, _) => {
            Some(Source::Things(vec![search.add(*key)]))
        }
        // A clock among them has a deadline.
        (Object::Channels(channels), _) => {
            Some(Source::Things(channels.iter().map(|[.., key]| search.add(*key)).collect()))
        }
        // The channel that never has a message.
        (Object::None, Reason::ChannelReceive) if facts.waiter.address() != 0 => {
            Some(Source::Things(Vec::new()))
        }
        (Object::Fibers { .. }, _) => {
            let needed = owners.needed(&facts.object);
            (!needed.is_empty()).then_some(Source::Fibers(needed))
        }
        (object, _) => match owners.holder(object) {
            Some(Holder::Fiber(id)) => Some(Source::Fibers(vec![id])),
            _ => bare_object(facts, owners)
                .and_then(|object| search.place_of(object.address))
                .map(|place| Source::Things(vec![place])),
        },
    }
}

/// What the fiber waits for, if that has no ends that are known, and no holder that is a fiber: who has a way to it may end the wait.
fn bare_object(facts: &Facts, owners: &Owners) -> Option<Bare> {
    match (&facts.object, facts.reason) {
        (
            Object::Address(address),
            Reason::Condvar
            | Reason::Notify
            | Reason::Semaphore
            | Reason::Barrier
            | Reason::RwLock
            | Reason::Once
            | Reason::Queue,
        ) => Some(Bare { address: *address, has_handles: false }),
        (Object::Address(address), Reason::Broadcast | Reason::Watch | Reason::Oneshot) => {
            Some(Bare { address: *address, has_handles: true })
        }
        (Object::RwLock { address, .. }, _) => match owners.holder(&facts.object) {
            Some(Holder::Fiber(_)) => None,
            _ => Some(Bare { address: *address, has_handles: false }),
        },
        _ => None,
    }
}
