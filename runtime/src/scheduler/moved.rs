//! What is summed up for each thread whether anybody records it or not, since to ask takes as long: the bytes that its fibers read and
//! wrote, and how often it looked at the poller. A turn's record has the sum of that moment, and what happened in between is the
//! difference of two.
//!
//! A fiber with storage of its own has a sum of its own, in which there are no looks at the poller.

#![expect(unsafe_code, reason = "reads an atomic value as a plain one")]

#[cfg(not(feature = "own-tls"))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

#[cfg(feature = "own-tls")]
use super::own_line::with_sum;

/// The lowest bits of a sum are free, for the reason of a wait.
const POLLS: u32 = 8;
const READ: u32 = POLLS + 4;
const WRITTEN: u32 = READ + BITS;

/// Of how many bits the sums of bytes are: of more than 64 MiB in one turn the rest is known.
const BITS: u32 = 26;

const _: () = assert!(WRITTEN + BITS == u64::BITS, "the sums fill the word");

#[cfg(not(feature = "own-tls"))]
thread_local! {
    /// Atomic as the thread's budget is (`budget.rs`), for the sake of roaming fibers.
    static MOVED: AtomicU64 = const { AtomicU64::new(0) };
}

#[cfg(not(feature = "own-tls"))]
#[inline(always)]
fn with_sum<R>(f: impl FnOnce(&AtomicU64) -> R) -> R {
    MOVED.with(f)
}

#[inline(always)]
fn add(units: u64) {
    // Relaxed: the thread's own.
    with_sum(|moved| moved.store(moved.load(Ordering::Relaxed).wrapping_add(units), Ordering::Relaxed));
}

/// Notes that the calling fiber has read so many bytes, or written them.
#[inline(always)]
pub(crate) fn record_bytes(is_read: bool, bytes: usize) {
    add((bytes as u64) << if is_read { READ } else { WRITTEN });
}

/// Notes that the calling thread has looked at its poller.
#[inline(always)]
pub(super) fn count_poll() {
    add(1 << POLLS);
}

/// The calling fiber's sum, or its thread's.
#[inline(always)]
pub(super) fn moved() -> u64 {
    with_sum(|moved| moved.load(Ordering::Relaxed))
}

/// `number`, which is in the lowest bits, and above it the sum of the calling fiber, which does not roam, or of its thread.
#[inline(always)]
pub(super) fn with_moved(number: u8) -> u64 {
    // Not by an atomic operation, which the compiler would not add to the number in one instruction.
    // SAFETY: nobody else writes to the sum of this thread, and a fiber that does not roam has no address of another one's.
    u64::from(number).wrapping_add(with_sum(|moved| unsafe { *moved.as_ptr() }))
}

/// The sum, which begins anew.
#[inline(always)]
pub(super) fn take_moved() -> u64 {
    with_sum(|moved| {
        let sum = moved.load(Ordering::Relaxed);
        moved.store(0, Ordering::Relaxed);
        sum
    })
}

/// What has happened between two sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) read: u64,
    pub(crate) written: u64,
    /// How often the poller was looked at; of sixteen times and more the rest.
    pub(crate) polls: u64,
}

impl Moved {
    /// The sum of which this is the difference to 0.
    pub(crate) fn sum(self) -> u64 {
        self.polls << POLLS | self.read << READ | self.written << WRITTEN
    }

    /// From one sum to a later one, whose lowest bits do not matter.
    pub(crate) fn between(before: u64, after: u64) -> Self {
        const LOWEST: u64 = (1 << POLLS) - 1;
        let passed = (after & !LOWEST).wrapping_sub(before & !LOWEST);
        let part = |first: u32, bits: u32| passed >> first & ((1 << bits) - 1);
        Self { polls: part(POLLS, READ - POLLS), read: part(READ, BITS), written: part(WRITTEN, BITS) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_what_was_added_though_parts_of_the_sum_have_overflowed() {
        let _ = take_moved();
        for _ in 0..100 {
            let before = moved() | 7;
            (0..3).for_each(|_| count_poll());
            record_bytes(true, 40_000_000);
            record_bytes(false, 67_000_000);
            record_bytes(true, 1);
            let expected = Moved { read: 40_000_001, written: 67_000_000, polls: 3 };
            assert_eq!(Moved::between(before, moved()), expected);
            assert_eq!(Moved::between(0, expected.sum()), expected);
        }
        assert_eq!(Moved::between(moved(), moved() + 29), Moved::default());
    }
}
