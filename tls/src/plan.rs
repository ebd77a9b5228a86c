//! What a reset copies: the variables of a block that never runs anything, the *template*, less those that are not the fiber's.
//!
//! libc makes the template like each other block, so a copy of it is what a new thread has. Few words of it are not the fiber's, and
//! next to each other lie those of the program and of its libraries. So all is copied in one piece, and those few words are put
//! back.
#![expect(unsafe_code, reason = "compares and copies blocks")]

use core::ops::Range;

use crate::modules::{Segment, WORD};
use crate::pointer::ThreadPointer;
use crate::unsupported::Unsupported;

/// Segments that are so near to each other are copied together with what is between them, which is nobody's.
const NEAR: isize = 64;

/// The most words that are put back, and that are looked at. Lists of a fixed length need no loops; what is missing is filled up
/// with what is there already.
const WORDS: usize = 8;
const CHECKED: usize = 4;

/// A list of what is copied. Offsets are from the thread pointer.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) template: ThreadPointer,
    /// Words in which a block that needs more than this copy differs from the template.
    checked: [isize; CHECKED],
    /// Words within the ranges that keep their values.
    words: [isize; WORDS],
    first: Range<isize>,
    others: Box<[Range<isize>]>,
}

/// What a [`Plan`] is made of.
pub(crate) struct Parts<'a> {
    /// All are copied.
    pub(crate) segments: &'a [Segment],
    pub(crate) checked: &'a [isize],
    /// Keep their values. So do those in which new blocks differ: addresses within the block itself, which change for nobody.
    pub(crate) words: &'a [isize],
    /// Keep their values, too.
    pub(crate) kept: &'a [Range<isize>],
}

impl Plan {
    /// The template is the first of the blocks.
    ///
    /// # Safety
    ///
    /// Both blocks are new, and stay so as long as the plan is used.
    pub(crate) unsafe fn new(
        parts: &Parts<'_>,
        [template, other]: [ThreadPointer; 2],
    ) -> Result<Self, Unsupported> {
        let mut ranges = Self::joined(parts.segments);
        let mut words = parts.words.to_vec();
        for range in &ranges {
            let first = range.start.div_euclid(WORD) * WORD;
            for word in (first..range.end).step_by(WORD.unsigned_abs()) {
                // SAFETY: words of which both blocks have at least a part; the rest is within the same block.
                let differ = unsafe { template.at::<usize>(word).read() != other.at::<usize>(word).read() };
                if differ && !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        for kept in parts.kept {
            let without = |range: Range<isize>| {
                [range.start..range.end.min(kept.start), range.start.max(kept.end)..range.end]
            };
            ranges = ranges.into_iter().flat_map(without).filter(|range| !range.is_empty()).collect();
        }
        let mut ranges = ranges.into_iter();
        Ok(Self {
            template,
            checked: filled_up(parts.checked)?,
            words: filled_up(&words)?,
            first: ranges.next().unwrap_or(0..0),
            others: ranges.collect(),
        })
    }

    /// The segments' ranges, in order.
    fn joined(segments: &[Segment]) -> Vec<Range<isize>> {
        let mut segments: Vec<_> = segments.iter().map(|segment| segment.offset..segment.end()).collect();
        segments.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<isize>> = Vec::new();
        for segment in segments {
            match joined.last_mut() {
                Some(last) if segment.start - last.end < NEAR => last.end = last.end.max(segment.end),
                _ => joined.push(segment),
            }
        }
        joined
    }

    /// Whether any of the checked words is not as in a new block.
    ///
    /// # Safety
    ///
    /// `block` is the block of the calling code.
    #[inline(always)]
    pub(crate) unsafe fn is_changed(&self, block: ThreadPointer) -> bool {
        // SAFETY: words of libc's part of both blocks.
        let differences = self
            .checked
            .map(|word| unsafe { block.at::<usize>(word).read() ^ self.template.at::<usize>(word).read() });
        differences.into_iter().fold(0, |all, one| all | one) != 0
    }

    /// Copies.
    ///
    /// # Safety
    ///
    /// `to` is the block of the calling code, which holds no reference to its variables.
    #[inline(always)]
    pub(crate) unsafe fn copy(&self, to: ThreadPointer) {
        // SAFETY: words and bytes of segments, and of what is between them, in different blocks.
        unsafe {
            let saved = self.words.map(|word| to.at::<usize>(word).read());
            self.copy_range(&self.first, to);
            for range in &self.others {
                self.copy_range(range, to);
            }
            for (word, saved) in self.words.into_iter().zip(saved) {
                to.at::<usize>(word).write(saved);
            }
        }
    }

    /// # Safety
    ///
    /// As for [`copy`](Self::copy).
    #[inline(always)]
    unsafe fn copy_range(&self, range: &Range<isize>, to: ThreadPointer) {
        let bytes = (range.end - range.start).unsigned_abs();
        // SAFETY: the caller's promise.
        unsafe {
            core::ptr::copy_nonoverlapping(
                self.template.at::<u8>(range.start),
                to.at::<u8>(range.start),
                bytes,
            );
        }
    }
}

/// The list, in full length: its first item stands for those that are missing.
fn filled_up<const N: usize>(list: &[isize]) -> Result<[isize; N], Unsupported> {
    if list.is_empty() || list.len() > N {
        return Err(Unsupported::Trial("new threads differ in more words than expected, or in none"));
    }
    Ok(core::array::from_fn(|index| list.get(index).copied().unwrap_or(list[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(offset: isize, bytes: usize) -> Segment {
        Segment { offset, bytes, is_wanted: false }
    }

    #[test]
    fn a_copy_leaves_alone_what_is_not_the_fibers() {
        let mut memory = [[0_u64; 64], [0; 64], [0; 64]];
        memory[0].fill(1);
        memory[1].fill(1);
        // Two new blocks differ here.
        memory[1][33] = 2;
        memory[2].fill(9);
        let [template, other, block] = memory
            .each_mut()
            .map(|block| ThreadPointer::from_address(block.as_mut_ptr().expose_provenance()));
        let segments = [segment(8 * 20, 8 * 4), segment(8 * 30, 8 * 10), segment(8 * 26, 8 * 4)];
        let kept = vec![8 * 36..8 * 36 + 4; 1];
        let parts = Parts { segments: &segments, checked: &[8 * 20], words: &[8 * 22], kept: &kept };
        // SAFETY: as above.
        let plan = unsafe { Plan::new(&parts, [template, other]) }.expect("few words");
        // SAFETY: memory of ours.
        assert!(unsafe { plan.is_changed(block) });
        // SAFETY: as above.
        unsafe { plan.copy(block) };
        // SAFETY: as above.
        assert!(!unsafe { plan.is_changed(block) });
        let copied: Vec<_> = (0..64).filter(|&index| memory[2][index] == 1).collect();
        let mut expected: Vec<_> = (20..40).collect();
        expected.retain(|index| ![22, 33, 36].contains(index));
        assert_eq!(copied, expected);
        // The first half of the word was kept.
        assert_eq!(memory[2][36], 9);
    }
}
