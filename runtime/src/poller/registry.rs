//! The registrations of one poller: slots that never move, found by the key that epoll returns.
//!
//! A key is a slot's index and the slot's generation. Vacating a slot increments its generation, so an event that was
//! on its way for the old descriptor finds no slot. An event that slips through between the comparison and a reuse
//! counts as one for the new descriptor, which costs a system call or two and is otherwise harmless.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::slot::Slot;
use crate::queue::SpinLock;

/// The number of slots in the first bucket. Each later bucket has twice as many as the one before.
const FIRST_BUCKET: u32 = 64;

/// The number of buckets: enough for 2^30 descriptors.
const BUCKETS: usize = 24;

/// See the module's documentation.
pub(super) struct Registry {
    buckets: [OnceLock<Box<[Slot]>>; BUCKETS],
    vacant: SpinLock<Vacant>,
    len: AtomicUsize,
}

struct Vacant {
    indices: Vec<u32>,
    /// Indices begin with [`FIRST_BUCKET`]; see [`locate`]. Slots from this index on were never used.
    fresh: u32,
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            buckets: [const { OnceLock::new() }; BUCKETS],
            vacant: SpinLock::new(Vacant { indices: Vec::new(), fresh: FIRST_BUCKET }),
            len: AtomicUsize::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        // Relaxed: a hint.
        self.len.load(Ordering::Relaxed)
    }

    /// Takes a vacant slot and returns its index and its key.
    pub(super) fn occupy(&self) -> (u32, u64) {
        let index = {
            let mut vacant = self.vacant.lock();
            vacant.indices.pop().unwrap_or_else(|| {
                vacant.fresh += 1;
                vacant.fresh - 1
            })
        };
        let (bucket, offset) = locate(index);
        let slot =
            &self.buckets[bucket].get_or_init(|| Slot::many((FIRST_BUCKET << bucket) as usize))[offset];
        slot.reset();
        self.len.fetch_add(1, Ordering::Relaxed);
        (index, self.key_of(index))
    }

    /// The key of the slot with this index, which the caller occupies.
    pub(super) fn key_of(&self, index: u32) -> u64 {
        u64::from(self.occupied(index).generation.load(Ordering::Relaxed)) << 32 | u64::from(index)
    }

    /// Gives back the slot with this index.
    pub(super) fn vacate(&self, index: u32) {
        // Release: pairs with the Acquire in `find`.
        self.occupied(index).generation.fetch_add(1, Ordering::Release);
        self.len.fetch_sub(1, Ordering::Relaxed);
        self.vacant.lock().indices.push(index);
    }

    /// The slot with this key, unless it has been vacated.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<&Slot> {
        let (bucket, offset) = locate(key as u32);
        let slot = self.buckets.get(bucket)?.get()?.get(offset)?;
        (slot.generation.load(Ordering::Acquire) == (key >> 32) as u32).then_some(slot)
    }

    /// The slot that [`occupy`](Self::occupy) gave to the caller.
    #[inline]
    pub(super) fn occupied(&self, index: u32) -> &Slot {
        let (bucket, offset) = locate(index);
        &self.buckets[bucket].get().expect("the bucket was made when the slot was first taken")[offset]
    }

    /// All slots that were ever taken.
    pub(super) fn for_each(&self, f: impl FnMut(&Slot)) {
        let taken = self.vacant.lock().fresh;
        (FIRST_BUCKET..taken).map(|index| self.slot_or_grow(index)).for_each(f);
    }

    /// Whether `f` is true of one of the first `count` slots that were ever taken.
    pub(super) fn any(&self, count: usize, f: impl FnMut(&Slot) -> bool) -> bool {
        let taken = self.vacant.lock().fresh;
        (FIRST_BUCKET..taken).take(count).map(|index| self.slot_or_grow(index)).any(f)
    }

    fn slot_or_grow(&self, index: u32) -> &Slot {
        let (bucket, offset) = locate(index);
        let slots = self.buckets[bucket].get_or_init(|| Slot::many((FIRST_BUCKET << bucket) as usize));
        &slots[offset]
    }
}

/// The bucket of an index, and the offset in the bucket.
#[inline(always)]
fn locate(index: u32) -> (usize, usize) {
    // Indices begin with the length of the first bucket, so the highest bit is the bucket's, and the others are the offset.
    let highest = (index | 1).ilog2();
    (highest.wrapping_sub(FIRST_BUCKET.ilog2()) as usize, (index ^ 1 << highest) as usize)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn locations_are_dense_and_unique() {
        let mut expected = (0, 0);
        for index in FIRST_BUCKET..100_000 {
            assert_eq!(locate(index), expected);
            expected.1 += 1;
            if expected.1 == (FIRST_BUCKET as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn a_stale_key_finds_no_slot_after_reuse() {
        let registry = Registry::new();
        let (index, old) = registry.occupy();
        assert!(registry.find(old).is_some());
        registry.vacate(index);
        assert!(registry.find(old).is_none());
        let (again, new) = registry.occupy();
        assert_eq!(index, again, "the slot is used again");
        assert!(registry.find(old).is_none());
        assert!(registry.find(new).is_some());
        assert_eq!(registry.len(), 1);
    }
}
