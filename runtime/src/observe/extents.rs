//! The places of what is waited for and has no handle of its own, such as a notification: whoever could end the wait has an address of
//! it, or of something larger of which it is a part.
//!
//! How far that reaches is known in two cases. What lies on the heap is a part of nothing larger than its block (`os/heap_block.rs`). What
//! lies on the stack of a fiber is a part of nothing larger than that. So each address within the place counts as a way to the object.

use std::collections::HashMap;
use std::time::Instant;

use super::collect::{Collection, Facts};
use crate::os::heap_block::{self, Block};
use crate::os::hidden::Hidden;
use crate::os::memory::{OutOfTime, Reader, Writable};

/// One place. It never overlaps another one.
pub(super) struct Extent {
    pub(super) range: Block,
    /// The fiber on whose stack it is, by its index in the collection.
    pub(super) on: Option<usize>,
    /// Whether all ways to it are handles of abaca's, which are words in memory wherever the program has put them.
    pub(super) has_handles: bool,
}

/// What somebody waits for, and whether all ways to it are handles of abaca's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bare {
    pub(super) address: Hidden,
    pub(super) has_handles: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Extents {
    /// In rising order.
    all: Vec<Extent>,
    /// The place on the stack of each fiber that has one.
    on_stacks: HashMap<usize, usize>,
    /// A bit for each page that may have an address of one: most words are none, and are passed over at once.
    pages: Vec<u64>,
}

/// The number of bits in the table of pages.
const PAGE_BITS: usize = 1 << 16;

/// The number of bits of an address within a page.
const PAGE_SHIFT: usize = 12;

impl Extents {
    /// The places of these objects. One that lies neither on the heap nor on the stack of a fiber whose extent is known has none.
    pub(super) fn of(
        mut objects: Vec<Bare>,
        collection: &Collection,
        writable: &Writable,
        reader: &mut Reader,
        until: Instant,
    ) -> Result<Self, OutOfTime> {
        if objects.is_empty() {
            return Ok(Self::default());
        }
        objects.sort_unstable_by_key(|object| object.address.address());
        objects.dedup();
        let mut stacks: Vec<Extent> = collection.fibers.iter().enumerate().filter_map(on_stack).collect();
        stacks.sort_unstable_by_key(|place| place.range.start.address());
        let stack_of = |object: &Bare| {
            let address = object.address.address();
            let after = stacks.partition_point(|place| place.range.start.address() <= address);
            stacks[..after].last().filter(|place| address < place.range.end.address())
        };
        let of_stack = |place: &Extent| Extent { range: place.range.clone(), ..*place };
        let mut all: Vec<Extent> = objects.iter().filter_map(stack_of).map(of_stack).collect();
        objects.retain(|object| stack_of(object).is_none());
        let addresses: Vec<_> = objects.iter().map(|object| object.address).collect();
        let blocks = heap_block::around(&addresses, writable, reader, until)?;
        let on_heap = |(object, block): (Bare, Option<Block>)| {
            Some(Extent { range: block?, on: None, has_handles: object.has_handles })
        };
        all.extend(objects.into_iter().zip(blocks).filter_map(on_heap));
        all.sort_unstable_by_key(|place| place.range.start.address());
        // What overlaps is one place.
        all.dedup_by(|next, before| {
            let overlaps = next.range.start.address() < before.range.end.address();
            if overlaps && next.range.end.address() > before.range.end.address() {
                before.range.end = next.range.end;
            }
            before.has_handles &= next.has_handles || !overlaps;
            overlaps
        });
        let mut pages = vec![0; PAGE_BITS / 64];
        for Extent { range, .. } in &all {
            for page in range.start.address() >> PAGE_SHIFT..=(range.end.address() - 1) >> PAGE_SHIFT {
                pages[page % PAGE_BITS / 64] |= 1 << (page % 64);
            }
        }
        let on_stacks =
            all.iter().enumerate().filter_map(|(index, place)| Some((place.on?, index))).collect();
        Ok(Self { all, on_stacks, pages })
    }

    /// The index of the place on the stack of this fiber.
    pub(super) fn on_stack_of(&self, fiber: usize) -> Option<usize> {
        self.on_stacks.get(&fiber).copied()
    }

    pub(super) fn all(&self) -> &[Extent] {
        &self.all
    }

    /// The index of the place in which this address lies.
    #[inline(always)]
    pub(super) fn at(&self, address: usize) -> Option<usize> {
        let page = address >> PAGE_SHIFT;
        let may_be = self.pages.get(page % PAGE_BITS / 64).is_some_and(|bits| bits >> (page % 64) & 1 == 1);
        if may_be { self.find(address) } else { None }
    }

    fn find(&self, address: usize) -> Option<usize> {
        let after = self.all.partition_point(|place| place.range.start.address() <= address);
        let index = after.checked_sub(1)?;
        (address < self.all[index].range.end.address()).then_some(index)
    }
}

/// What a fiber uses of its stack. None if it runs, or is inside of a coroutine, whose stack is another one.
fn on_stack((index, facts): (usize, &Facts)) -> Option<Extent> {
    let ((bottom, top), sp) = facts.stack.zip(facts.stack_pointer)?;
    let is_there = (bottom..top).contains(&sp.address());
    // Nothing begins at the very end, where the fiber's registers are.
    let begin = Hidden::new(sp.address() + size_of::<usize>());
    is_there.then(|| Extent { range: begin..Hidden::new(top), on: Some(index), has_handles: false })
}
