//! Where cold stacks may be: for each 64 KiB of addresses a count of those whose frames lie there, which anybody may read.
//!
//! A wrong count does no harm. Who takes a cold stack for a usual one touches it, and the thread brings it back; who takes a usual one
//! for a cold one asks the store, which knows. So a look orders nothing, and two addresses that are far apart may share a count.

#![expect(unsafe_code, reason = "counts lie in memory that is mapped for good")]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use crate::os::page_faults;

/// The bytes of addresses for which there is one count.
const BLOCK: usize = 64 * 1024;

/// How many counts there are: of half a tebibyte. Only what is written takes memory.
const COUNTS: usize = 1 << 23;

/// A count that stays.
const MANY: u8 = u8::MAX;

/// The counts; null before there may be a cold stack.
static TABLE: AtomicPtr<AtomicU8> = AtomicPtr::new(ptr::null_mut());

/// Makes the counts, if they were not made yet. For one thread at a time.
pub(super) fn prepare() -> io::Result<()> {
    if are_there() {
        return Ok(());
    }
    let table: *mut AtomicU8 = ptr::with_exposed_provenance_mut(page_faults::map_places(COUNTS)?);
    // Release: pairs with the Acquire in `count_at`; the memory is zeros.
    TABLE.store(table, Ordering::Release);
    Ok(())
}

/// Whether there may be a cold stack anywhere.
#[inline(always)]
pub(super) fn are_there() -> bool {
    !TABLE.load(Ordering::Relaxed).is_null()
}

/// Whether the address may be in the frames of a cold stack.
pub(super) fn may_be_cold(address: usize) -> bool {
    count_at(address).is_some_and(|count| count.load(Ordering::Relaxed) != 0)
}

/// Counts one more cold stack whose frames are at these addresses. The caller holds the store's lock.
pub(super) fn add(frames: &Range<usize>) {
    change(frames, |count| count.saturating_add(1));
}

/// Counts one less. The caller holds the store's lock.
pub(super) fn remove(frames: &Range<usize>) {
    change(frames, |count| if count == MANY { MANY } else { count.saturating_sub(1) });
}

fn change(frames: &Range<usize>, by: impl Fn(u8) -> u8) {
    for address in (frames.start / BLOCK * BLOCK..frames.end).step_by(BLOCK) {
        if let Some(count) = count_at(address) {
            // Relaxed: one thread at a time writes, under the lock.
            count.store(by(count.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }
}

fn count_at(address: usize) -> Option<&'static AtomicU8> {
    // Acquire: pairs with the Release in `prepare`.
    let table = TABLE.load(Ordering::Acquire);
    // SAFETY: so many counts are mapped for good, all of them zeros at first, and the index is below.
    (!table.is_null()).then(|| unsafe { &*table.add(address / BLOCK % COUNTS) })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn frames_may_be_cold_until_they_are_counted_no_more() {
        prepare().unwrap();
        prepare().unwrap();
        // In two blocks, beside those of another.
        let (one, other) = (17 * BLOCK - 4096..17 * BLOCK + 4096, 17 * BLOCK + 8192..17 * BLOCK + 12_288);
        let seen = || [16, 17, 18].map(|block| may_be_cold(block * BLOCK + 5));
        assert_eq!(seen(), [false; 3]);
        add(&one);
        add(&other);
        assert_eq!(seen(), [true, true, false]);
        remove(&one);
        assert_eq!(seen(), [false, true, false]);
        remove(&other);
        assert_eq!(seen(), [false; 3]);
        (0..300).for_each(|_| add(&other));
        (0..300).for_each(|_| remove(&other));
        assert_eq!(seen(), [false, true, false], "a count that was full stays");
    }
}
