//! The writable memory of the process, copied by the kernel piece by piece: for those who look for words in it.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::peek;

/// How much is copied at a time.
const PIECE: usize = 1 << 18;

/// The least size of a page.
const PAGE: usize = 4096;

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
    /// Tells which pages are there. `None` if the kernel does not.
    pagemap: Option<File>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { piece: vec![0; PIECE], pagemap: File::open("/proc/self/pagemap").ok() }
    }

    /// The memory into which this copies, which has copies of all that was found.
    pub(crate) fn own(&self) -> Range<usize> {
        let start = self.piece.as_ptr().addr();
        start..start + self.piece.len()
    }

    /// Calls `visit` with each aligned word of `range`. Memory that cannot be read, as it is unmapped or guarded, is left out, a page
    /// at a time; so are pages that nobody has ever touched.
    pub(crate) fn read(&mut self, range: Range<usize>, mut visit: impl FnMut(usize)) {
        let mut at = range.start.next_multiple_of(size_of::<usize>());
        while at < range.end {
            let len = (range.end - at).min(PIECE - at % PIECE);
            for part in self.touched(at..at + len) {
                let piece = &mut self.piece[..part.len()];
                if peek::copy(part.start, piece) {
                    words(piece, &mut visit);
                    continue;
                }
                for page in part.step_by(PAGE) {
                    let len = (PAGE - page % PAGE).min(range.end - page);
                    let piece = &mut self.piece[..len];
                    if peek::copy(page, piece) {
                        words(piece, &mut visit);
                    }
                }
            }
            at += len;
        }
    }

    /// The parts of a range, which is no longer than a piece, whose pages have been touched.
    fn touched(&self, range: Range<usize>) -> Vec<Range<usize>> {
        const PRESENT_OR_SWAPPED: u64 = 3 << 62;
        let first = range.start / PAGE;
        let pages = range.end.div_ceil(PAGE) - first;
        let mut entries = [0; 8 * (PIECE / PAGE + 1)];
        let entries = &mut entries[..8 * pages];
        let is_known =
            self.pagemap.as_ref().is_some_and(|file| file.read_exact_at(entries, first as u64 * 8).is_ok());
        if !is_known {
            return vec![range];
        }
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (page, entry) in entries.chunks_exact(8).enumerate() {
            let entry = u64::from_ne_bytes(entry.try_into().expect("8 bytes"));
            if entry & PRESENT_OR_SWAPPED == 0 {
                continue;
            }
            let start = (first + page) * PAGE;
            let (start, end) = (start.max(range.start), (start + PAGE).min(range.end));
            match parts.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => parts.push(start..end),
            }
        }
        parts
    }
}

fn words(piece: &[u8], visit: &mut impl FnMut(usize)) {
    for word in piece.chunks_exact(size_of::<usize>()) {
        visit(usize::from_ne_bytes(word.try_into().expect("a word")));
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
        reader.read(range, |word| found.extend((word == 0x1234_5678_9abc).then_some(word)));
        assert!(!found.is_empty());
        found.clear();
        reader.read(address..address + 8, |word| found.push(word));
        assert_eq!(found, [1]);
    }
}
