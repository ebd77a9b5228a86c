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

use std::collections::VecDeque;
use std::sync::Mutex;

const NUMBER_BITS: u32 = 24;
const FIRST: u32 = 0x10 << NUMBER_BITS;
const PAST: u32 = 0x40 << NUMBER_BITS;
const STEP: u32 = 1 << NUMBER_BITS;

const _: () = assert!(FIRST > 4_194_304, "above all ids of the kernel");
const _: () = assert!(PAST - 1 <= libc::FUTEX_TID_MASK);

struct Numbers {
    /// How many were ever used.
    used: u32,
    /// Those that were given back, with what was counted: the oldest is used first.
    free: VecDeque<u32>,
}

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { used: 0, free: VecDeque::new() });

/// An id for a new block; none if there are 16,777,216 blocks.
pub(crate) fn take() -> Option<u32> {
    let mut numbers = NUMBERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(tid) = numbers.free.pop_front() {
        return Some(next(tid));
    }
    if numbers.used == STEP {
        return None;
    }
    numbers.used += 1;
    Some(FIRST + numbers.used - 1)
}

/// The id of a block that is gone.
pub(crate) fn give(tid: u32) {
    NUMBERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).free.push_back(tid);
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
