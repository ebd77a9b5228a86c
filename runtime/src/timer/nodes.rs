//! The nodes of a wheel: for each timer what the wheel has to know of it, apart from the timer itself.
//!
//! A timer lies on the stack of its fiber, and each stack has a page of its own. If timers are many, to touch one is to wait for
//! memory, mostly for the page's translation as well; and a wheel touches its timers' neighbours at each insert, and each timer
//! again at each cascade. Nodes lie side by side instead, 128 to a page, so a wheel of a hundred thousand timers fits into a cache.
//!
//! While timers are few, each uses the node in its own [`Entry`]: then nothing is allocated, and so it is where there is no memory.

#![expect(unsafe_code, reason = "allocates nodes, and links those that are free by pointers")]

use std::alloc::{Layout, alloc, dealloc};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use super::Entry;
use crate::queue::{Linked, Links};

/// One timer's place in a wheel. Only the wheel's thread uses it.
pub(super) struct Node {
    /// Between nodes of the same slot; `next` alone between free nodes.
    pub(super) links: Links<Node>,
    /// The tick at which the timer is due. Its level and slot follow from this and the wheel's time, so they are not stored.
    pub(super) tick: Cell<u64>,
    /// The timer; of a free node whatever it was last.
    pub(super) entry: Cell<*const Entry>,
}

const _: () = assert!(size_of::<Node>() == 32);

// SAFETY: `links` always returns the same field, which only the slots of wheels write, and `Nodes` while the node is in no slot.
unsafe impl Linked for Node {
    #[inline(always)]
    fn links(&self) -> &Links<Self> {
        &self.links
    }
}

impl Node {
    /// A node in no slot.
    #[inline]
    pub(super) const fn new() -> Self {
        Self { links: Links::new(), tick: Cell::new(0), entry: Cell::new(ptr::null()) }
    }
}

/// How many timers use the nodes of their entries.
const FEW: u32 = if cfg!(test) { 4 } else { 64 };

/// Nodes that are allocated at once: with the address of another such chunk, just below two pages.
const CHUNK: usize = 255;

struct Chunk {
    next: *mut Chunk,
    nodes: [Node; CHUNK],
}

/// See the module's documentation.
pub(super) struct Nodes {
    /// The first free node; null if there is none.
    free: Cell<*const Node>,
    /// How many more timers may use the nodes of their entries.
    own_left: Cell<u32>,
    /// Each came from `alloc`, and is freed by `free_all` alone.
    chunks: Cell<*mut Chunk>,
}

impl Nodes {
    pub(super) const fn new() -> Self {
        Self { free: Cell::new(ptr::null()), own_left: Cell::new(FEW), chunks: Cell::new(ptr::null_mut()) }
    }

    /// A node for `entry`, which is in no slot: valid until it is given back, as long as the entry is.
    #[inline]
    pub(super) fn take(&self, entry: &Entry) -> NonNull<Node> {
        let own_left = self.own_left.get();
        if own_left > 0 {
            self.own_left.set(own_left - 1);
            return NonNull::from(&entry.own);
        }
        match NonNull::new(self.free.get().cast_mut()) {
            Some(node) => {
                // SAFETY: a free node lies in a chunk, which is freed only when no node is in use.
                self.free.set(unsafe { node.as_ref() }.links.next());
                node
            }
            None => self.allocate(entry),
        }
    }

    /// Takes the node of `entry` back, which is in no slot any more.
    ///
    /// # Safety
    /// `node` came from [`take`](Self::take) of this value for this entry, and was not given back since.
    #[inline]
    pub(super) unsafe fn give(&self, node: NonNull<Node>, entry: &Entry) {
        if ptr::eq(node.as_ptr(), &raw const entry.own) {
            // Beyond `FEW` where there was no memory: such a wheel goes on without it for a while.
            self.own_left.set(self.own_left.get() + 1);
            return;
        }
        // SAFETY: the node lies in a chunk, since it is not the entry's.
        unsafe { node.as_ref() }.links.set_next(self.free.get());
        self.free.set(node.as_ptr());
    }

    /// Allocates nodes. If there is no memory, the timer uses its own.
    #[cold]
    #[inline(never)]
    fn allocate(&self, entry: &Entry) -> NonNull<Node> {
        // SAFETY: a chunk has a size.
        let chunk = unsafe { alloc(Layout::new::<Chunk>()) }.cast::<Chunk>();
        if chunk.is_null() {
            return NonNull::from(&entry.own);
        }
        // SAFETY: `chunk` is memory for one chunk, which nobody else knows. Nodes need no initialisation beyond `new`.
        let nodes = unsafe {
            (&raw mut (*chunk).next).write(self.chunks.get());
            (&raw mut (*chunk).nodes).cast::<Node>()
        };
        self.chunks.set(chunk);
        for index in (0..CHUNK).rev() {
            // SAFETY: the chunk has room for so many nodes.
            let node = unsafe { nodes.add(index) };
            let new = Node::new();
            new.links.set_next(self.free.get());
            // SAFETY: as above.
            unsafe { node.write(new) };
            self.free.set(node);
        }
        self.take(entry)
    }

    /// Frees all memory.
    ///
    /// # Safety
    /// No node is in use, or will be used again.
    pub(super) unsafe fn free_all(&self) {
        self.free.set(ptr::null());
        let mut chunk = self.chunks.replace(ptr::null_mut());
        while !chunk.is_null() {
            // SAFETY: it came from `alloc` with this layout, and by this function's contract nobody uses its nodes.
            unsafe {
                let next = (*chunk).next;
                dealloc(chunk.cast(), Layout::new::<Chunk>());
                chunk = next;
            }
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // SAFETY: nobody can give a node back any more, or follow an address of one: timers look at their nodes only with the wheel.
        unsafe { self.free_all() };
    }
}
