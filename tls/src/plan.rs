//! What a reset copies: the variables of a block that never runs anything, the *template*, less those that are not the fiber's.
//!
//! libc makes the template like each other block, and keeps it up to date: a library with variables of fixed places that is
//! loaded later has them initialised in the template, too. So a copy of it is what a new thread has.
#![expect(unsafe_code, reason = "compares and copies blocks")]

use core::ops::Range;

use crate::modules::{Segment, WORD};
use crate::pointer::ThreadPointer;

/// Ranges that are shorter are copied by words.
const SHORT: isize = 8 * WORD;

/// A list of what is copied. Offsets are from the thread pointer.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    words: Box<[isize]>,
    ranges: Box<[Range<isize>]>,
}

impl Plan {
    /// All bytes of the segments that are not `excluded` and in which two new blocks do not differ. (What differs are addresses
    /// within the block itself, which nothing changes.)
    ///
    /// # Safety
    ///
    /// Both blocks are new, and stay while this is called.
    pub(crate) unsafe fn new(
        segments: &[Segment],
        excluded: &[Range<isize>],
        [one, other]: [ThreadPointer; 2],
    ) -> Self {
        let (mut words, mut ranges) = (Vec::new(), Vec::new());
        let mut push = |range: Range<isize>| {
            let is_short = range.end - range.start < SHORT;
            let is_aligned = range.start % WORD == 0 && range.end % WORD == 0;
            if is_short && is_aligned {
                words.extend((range.start..range.end).step_by(WORD.unsigned_abs()));
            } else if !range.is_empty() {
                ranges.push(range);
            }
        };
        for segment in segments {
            let mut copied: Range<isize> = segment.offset..segment.offset;
            while copied.end < segment.end() {
                let at = copied.end;
                // To the end of the word, or of the segment.
                let next = (at.div_euclid(WORD) * WORD + WORD).min(segment.end());
                let is_excluded = excluded.iter().any(|range| range.start < next && at < range.end);
                let differs = |byte: isize| {
                    // SAFETY: a byte of a segment that both blocks have.
                    unsafe { one.at::<u8>(byte).read() != other.at::<u8>(byte).read() }
                };
                if is_excluded || (at..next).any(differs) {
                    push(core::mem::replace(&mut copied, next..next));
                } else {
                    copied.end = next;
                }
            }
            push(copied);
        }
        Self { words: words.into(), ranges: ranges.into() }
    }

    /// Copies.
    ///
    /// # Safety
    ///
    /// Both blocks have the segments that the plan was made of, and nobody else uses `to`.
    #[inline(always)]
    pub(crate) unsafe fn copy(&self, from: ThreadPointer, to: ThreadPointer) {
        for &offset in &self.words {
            // SAFETY: a word of a segment. Volatile: libc may write the template, and what this copies then is copied again.
            unsafe { to.at::<usize>(offset).write_volatile(from.at::<usize>(offset).read_volatile()) };
        }
        for range in &self.ranges {
            // SAFETY: bytes of a segment, in different blocks.
            unsafe {
                core::ptr::copy_nonoverlapping(
                    from.at::<u8>(range.start),
                    to.at::<u8>(range.start),
                    (range.end - range.start).unsigned_abs(),
                );
            }
        }
    }
}
