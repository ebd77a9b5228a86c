//! The writable memory of the process, copied by the kernel piece by piece: for those who look for words in it.

use std::ops::Range;

use super::peek;

/// How much is copied at a time.
const PIECE: usize = 1 << 18;

/// The mappings of the process that it can read and write: its heap, its static data, the stacks of its threads. `None` if the
/// kernel does not tell.
pub(crate) fn writable() -> Option<Vec<Range<usize>>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let range = |line: &str| {
        let mut words = line.split_whitespace();
        let (range, mode) = (words.next()?, words.next()?);
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        mode.starts_with("rw").then_some(address(start)?..address(end)?)
    };
    Some(maps.lines().filter_map(range).collect())
}

/// Copies memory, and tells of the words in it.
#[derive(Debug)]
pub(crate) struct Reader {
    piece: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { piece: vec![0; PIECE] }
    }

    /// The memory into which this copies, which has copies of all that was found.
    pub(crate) fn own(&self) -> Range<usize> {
        let start = self.piece.as_ptr().addr();
        start..start + self.piece.len()
    }

    /// Calls `visit` with the address and the value of each aligned word of `range`. Memory that cannot be read, as it is unmapped or
    /// guarded, is left out, a page at a time.
    pub(crate) fn read(&mut self, range: Range<usize>, mut visit: impl FnMut(usize, usize)) {
        let mut at = range.start.next_multiple_of(size_of::<usize>());
        while at < range.end {
            let len = (range.end - at).min(PIECE);
            let step = if peek::copy(at, &mut self.piece[..len]) {
                len
            } else {
                // To the end of the page, by itself.
                let len = (at / 4096 * 4096 + 4096 - at).min(len);
                if !peek::copy(at, &mut self.piece[..len]) {
                    at += len;
                    continue;
                }
                len
            };
            for (index, word) in self.piece[..step].chunks_exact(size_of::<usize>()).enumerate() {
                let word = usize::from_ne_bytes(word.try_into().expect("a word"));
                visit(at + index * size_of::<usize>(), word);
            }
            at += step;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_on_the_heap_is_found_where_it_is() {
        let boxed = Box::new([1_usize, 0x1234_5678_9abc, 3]);
        let address = boxed.as_ptr().addr();
        let ranges = writable().unwrap();
        let range = ranges.into_iter().find(|range| range.contains(&address)).expect("the heap is writable");
        let (mut reader, mut found) = (Reader::new(), Vec::new());
        if !peek::copy(address, &mut [0; 8]) {
            return; // not allowed here
        }
        reader.read(range, |at, word| found.extend((word == 0x1234_5678_9abc).then_some(at)));
        assert!(found.contains(&(address + size_of::<usize>())), "{found:?}");
    }
}
