//! The block of glibc's heap in which an address lies: where a value begins and ends of which only a part is known.
//!
//! The word before a block is its size, with some bits. To walk a heap from block to block would be to meet those that other threads change
//! meanwhile; and any word may look like a size. So neither is relied upon. Every word of the heap is looked at that could be the size of a
//! block around the address, and the result is the union of all these. The true block is among them, so the result is that or more.
//!
//! The true one is among them since this holds of each block in use, from its allocation until it is freed, whatever other threads do:
//!
//! * It begins at a multiple of 16, and the size before it covers it, with the last word of what follows. One bit tells whether the heap is the
//!   one at the program break.
//! * The size after it has the bit that says that the block before is in use, and is not 0: another block's, or that of the rest of the heap.
//!
//! A block that has a mapping of its own has nothing after it, and is not found; nor is any if the program's allocator is another one, which
//! some blocks that are allocated here tell.

use std::ops::Range;
use std::time::Instant;

use super::hidden::Hidden;
use super::memory::{OutOfTime, Reader, Writable};
use super::peek;

const WORD: usize = size_of::<usize>();

/// Blocks begin at multiples of this, and are no smaller with the two words before them than twice that.
const ALIGNMENT: usize = 2 * WORD;

/// The bits in the word before a block: the block before it is in use; it has a mapping of its own; its heap is not the one at the
/// program break.
const IN_USE_BEFORE: usize = 1;
const MAPPED: usize = 2;
const OTHER_HEAP: usize = 4;
const BITS: usize = IN_USE_BEFORE | MAPPED | OTHER_HEAP;

/// A heap that is not at the program break begins at a multiple of this, and is no larger.
const HEAP_BYTES: usize = 64 << 20;

/// The begin and the end of a block, or of more than that.
pub(crate) type Block = Range<Hidden>;

/// The blocks in which these addresses lie, which are in rising order. `None` for an address that lies in none.
pub(crate) fn around(
    addresses: &[Hidden],
    writable: &Writable,
    reader: &mut Reader,
    until: Instant,
) -> Result<Vec<Option<Block>>, OutOfTime> {
    let mut blocks = vec![None; addresses.len()];
    if addresses.is_empty() || !is_known_allocator() {
        return Ok(blocks);
    }
    let mut at = 0;
    while let Some(address) = addresses.get(at) {
        let Some(heap) = Heap::of(address.address(), writable) else {
            at += 1;
            continue;
        };
        let is_there = |one: &&Hidden| heap.range.contains(&one.address());
        let end = at + addresses[at..].iter().take_while(is_there).count();
        heap.find(&addresses[at..end], &mut blocks[at..end], reader, until)?;
        at = end;
    }
    Ok(blocks)
}

/// Whether the program's allocator has the word before a block that is expected there.
fn is_known_allocator() -> bool {
    cfg!(all(target_env = "gnu", target_pointer_width = "64"))
        && [24, 40, 1000].into_iter().all(|bytes: usize| {
            let sample = Vec::<u8>::with_capacity(bytes);
            let expected = (bytes + WORD).next_multiple_of(ALIGNMENT).max(2 * ALIGNMENT);
            let size = peek::word(sample.as_ptr().addr().wrapping_sub(WORD));
            size.is_some_and(|size| (expected..=expected + ALIGNMENT).contains(&(size & !BITS)))
        })
}

/// A heap of glibc's.
struct Heap {
    range: Range<usize>,
    /// The bits that each of its blocks has, but for the first one.
    bits: usize,
}

impl Heap {
    /// The heap in which this address lies.
    fn of(address: usize, writable: &Writable) -> Option<Self> {
        if let Some(range) = writable.program_break.clone().filter(|range| range.contains(&address)) {
            return Some(Self { range, bits: 0 });
        }
        let start = address / HEAP_BYTES * HEAP_BYTES;
        let word = |index: usize| peek::word(start + index * WORD);
        // Who has it, the heap that he had before, and how large it is by now.
        let (owner, before, bytes) = (word(0)?, word(1)?, word(2)?);
        let is_heap = match before {
            0 => (start + 2 * WORD..start + 64 * WORD).contains(&owner),
            before => before.is_multiple_of(HEAP_BYTES) && peek::word(before) == Some(owner),
        };
        let range = start..start + bytes.min(HEAP_BYTES);
        (is_heap && bytes <= HEAP_BYTES && range.contains(&address))
            .then_some(Self { range, bits: OTHER_HEAP })
    }

    fn find(
        &self,
        addresses: &[Hidden],
        blocks: &mut [Option<Block>],
        reader: &mut Reader,
        until: Instant,
    ) -> Result<(), OutOfTime> {
        let Some(last) = addresses.last() else { return Ok(()) };
        // The first address that is not before the block of the word.
        let mut first = 0;
        reader.read(self.range.start..last.address(), until, |at, word| {
            let begin = at + WORD;
            while addresses.get(first).is_some_and(|address| address.address() < begin) {
                first += 1;
            }
            let (size, bits) = (word & !BITS, word & (MAPPED | OTHER_HEAP));
            let Some(end) = at.checked_add(size).filter(|end| *end < self.range.end) else { return };
            let is_around = |address: &&Hidden| address.address() < end;
            let is_one = begin.is_multiple_of(ALIGNMENT)
                && size.is_multiple_of(ALIGNMENT)
                && size >= 2 * ALIGNMENT
                && bits == self.bits
                && addresses.get(first).is_some_and(|address| is_around(&address))
                && is_size_after_use(end);
            if !is_one {
                return;
            }
            let count = addresses[first..].iter().take_while(is_around).count();
            for block in &mut blocks[first..first + count] {
                let (begin, end) = (Hidden::new(begin), Hidden::new(end));
                *block = Some(match block.take() {
                    Some(before) if before.end.address() > end.address() => before,
                    Some(before) => before.start..end,
                    None => begin..end,
                });
            }
        })
    }
}

/// Whether the word at this address is a size after a block in use.
fn is_size_after_use(address: usize) -> bool {
    peek::word(address).is_some_and(|word| word & (IN_USE_BEFORE | MAPPED) == IN_USE_BEFORE && word > BITS)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::os::memory::writable;

    fn block_of(address: usize) -> Option<Range<usize>> {
        let until = Instant::now() + Duration::from_secs(3600);
        let blocks = around(&[Hidden::new(address)], &writable()?, &mut Reader::new(), until).unwrap();
        blocks[0].clone().map(|block| block.start.address()..block.end.address())
    }

    #[test]
    fn a_block_is_found_by_each_address_in_it_and_begins_no_later() {
        let values: Vec<Vec<u8>> = (1..40).map(|number| vec![1; number * 185]).collect();
        if !is_known_allocator() {
            println!("another allocator");
            return;
        }
        let mut exact = 0;
        for value in &values {
            let (begin, end) = (value.as_ptr().addr(), value.as_ptr().addr() + value.len());
            for address in [begin, begin + value.len() / 2, end - 1] {
                let block = block_of(address).expect("it is in a heap");
                assert!(block.start <= begin && end <= block.end, "{begin:#x}..{end:#x} in {block:#x?}");
                exact += usize::from(block.start == begin && block.end < end + 4 * ALIGNMENT);
            }
        }
        assert!(exact > values.len(), "most of them are found as they are: {exact}");
    }

    #[test]
    fn what_looks_like_a_block_within_one_does_not_hide_it() {
        // In the middle, words as before and after a block of 64 bytes with its two words.
        let bits = IN_USE_BEFORE | OTHER_HEAP;
        let mut value = vec![0_usize; 64];
        for index in (1..64).step_by(2) {
            value[index] = 64 | bits;
        }
        let (begin, end) = (value.as_ptr().addr(), value.as_ptr().addr() + size_of_val(&value[..]));
        if let Some(block) = block_of(begin + 32 * WORD) {
            assert!(block.start <= begin && end <= block.end, "{begin:#x}..{end:#x} in {block:#x?}");
        }
    }

    #[test]
    fn what_is_in_no_heap_is_in_no_block() {
        static STATIC: [usize; 8] = [33; 8];
        let on_stack = [33_usize; 8];
        assert_eq!(block_of(STATIC.as_ptr().addr() + 32), None);
        assert_eq!(block_of(on_stack.as_ptr().addr() + 32), None);
        // It has a mapping of its own.
        let large = vec![1_u8; 64 << 20];
        assert_eq!(block_of(large.as_ptr().addr() + (1 << 20)), None);
    }
}
