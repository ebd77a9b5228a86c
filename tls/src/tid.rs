//! The ids of blocks, which take the place of a thread's id in libc's record: a mutex keeps it of its owner.
//!
//! An id is unique among all blocks alive, and not that of a thread: the kernel's ids are below 2^22. It must be within
//! `FUTEX_TID_MASK`, 30 bits. Its low 24 bits are the number of the block; those above count the fibers that the block had, from
//! 0x10 to 0x3f. So the next fiber of a stack does not own what the last one left locked.
//!
//! ```text
//!  31 30 29       24 23                                  0
//! | 0  0 | 0x10-0x3f | number of the block                |
//! ```

use core::sync::atomic::{AtomicU32, Ordering};
use std::collections::VecDeque;

use crate::per_process::PerProcess;

const NUMBER_BITS: u32 = 24;
const FIRST: u32 = 0x10 << NUMBER_BITS;
const PAST: u32 = 0x40 << NUMBER_BITS;
const STEP: u32 = 1 << NUMBER_BITS;

const _: () = assert!(FIRST > 4_194_304, "above all ids of the kernel");
const _: () = assert!(PAST - 1 <= libc::FUTEX_TID_MASK);

/// How many were ever used, in the process and in those of which it is a copy.
static USED: AtomicU32 = AtomicU32::new(0);

/// Those that were given back, with what was counted: the oldest is used first.
static FREE: PerProcess<VecDeque<u32>> = PerProcess::new(VecDeque::new);

/// An id for a new block; none if there are 16,777,216 blocks.
pub(crate) fn take() -> Option<u32> {
    if let Some(tid) = FREE.lock().pop_front() {
        return Some(next(tid));
    }
    // Relaxed: only the numbers differ.
    let more = |used| (used < STEP).then_some(used + 1);
    USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|number| FIRST + number)
}

/// The id of a block that is gone.
pub(crate) fn give(tid: u32) {
    FREE.lock().push_back(tid);
}

/// The id of the next fiber of the same block.
#[inline(always)]
pub(crate) fn next(tid: u32) -> u32 {
    let next = tid + STEP;
    if next < PAST { next } else { next - PAST + FIRST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_id_keeps_the_number_and_stays_within_the_mask() {
        let mut tid = FIRST + 5;
        for _ in 0..100 {
            let following = next(tid);
            assert_ne!(following, tid);
            assert_eq!(following % STEP, 5);
            assert!((FIRST..PAST).contains(&following));
            tid = following;
        }
    }

    #[test]
    fn ids_of_blocks_alive_differ() {
        let mut ids: Vec<_> = (0..100).filter_map(|_| take()).collect();
        ids.drain(..50).for_each(give);
        ids.extend((0..80).filter_map(|_| take()));
        let numbers: std::collections::HashSet<_> = ids.iter().map(|id| id % STEP).collect();
        assert_eq!(numbers.len(), 130);
        ids.into_iter().for_each(give);
    }
}
