//! The writable memory of the process, copied by the kernel piece by piece: for those who look for words in it.

use std::ops::Range;
use std::time::Instant;

use super::pagemap::Pagemap;
use super::peek;

/// The least size of a page.
const PAGE: usize = 4096;

/// How much is copied at a time.
const PIECE: usize = 1 << 18;

/// The mappings of the process that it can read and write.
#[derive(Debug, Default)]
pub(crate) struct Writable {
    /// All of them: its heap, its static data, the stacks of its threads.
    pub(crate) ranges: Vec<Range<usize>>,
    /// The part that the program break has, from begin to end.
    pub(crate) program_break: Option<Range<usize>>,
    /// The stack of the process's first thread.
    pub(crate) first_stack: Option<Range<usize>>,
}

/// The mappings of the process that it can read and write. `None` if the kernel does not tell.
pub(crate) fn writable() -> Option<Writable> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut found = Writable::default();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(mode)) = (words.next(), words.next()) else { continue };
        let address = |text| usize::from_str_radix(text, 16).ok();
        let ends = range.split_once('-').and_then(|(start, end)| Some((address(start)?, address(end)?)));
        let Some((start, end)) = ends.filter(|_| mode.starts_with("rw")) else { continue };
        found.ranges.push(start..end);
        match words.last() {
            Some("[heap]") => {
                let begin = found.program_break.as_ref().map_or(start, |before| before.start);
                found.program_break = Some(begin..end);
            }
            Some("[stack]") => found.first_stack = Some(start..end),
            _ => {}
        }
    }
    Some(found)
}

/// Copies memory, and tells of the words in it.
#[derive(Debug)]
pub(crate) struct Reader {
    piece: Vec<u8>,
    pagemap: Pagemap,
}

impl Drop for Reader {
    /// A later search would find the copies in what the allocator has free.
    fn drop(&mut self) {
        self.piece.fill(0);
        // The compiler must not leave out what nobody reads.
        std::hint::black_box(&self.piece);
    }
}

/// There was more memory than could be read until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfTime;

impl Reader {
    pub(crate) fn new() -> Self {
        Self { piece: vec![0; PIECE], pagemap: Pagemap::open() }
    }

    /// The memory into which this copies, which has copies of all that was found.
    pub(crate) fn own(&self) -> Range<usize> {
        let start = self.piece.as_ptr().addr();
        start..start + self.piece.len()
    }

    /// Calls `visit` with the address and the value of each aligned word of `range`. Memory that cannot be read, as it is unmapped or guarded, is left out, a page
    /// at a time; so are pages that nobody has ever touched, which take no time.
    pub(crate) fn read(
        &mut self,
        range: Range<usize>,
        until: Instant,
        mut visit: impl FnMut(usize, usize),
    ) -> Result<(), OutOfTime> {
        let mut at = range.start.next_multiple_of(size_of::<usize>());
        while at < range.end {
            let look = self.pagemap.look(at..range.end);
            for part in look.parts {
                self.read_part(part, until, &mut visit)?;
            }
            in_time(until)?;
            at = look.end;
        }
        Ok(())
    }

    /// Reads memory that is there, as far as is known.
    fn read_part(
        &mut self,
        part: Range<usize>,
        until: Instant,
        visit: &mut impl FnMut(usize, usize),
    ) -> Result<(), OutOfTime> {
        let mut at = part.start;
        while at < part.end {
            in_time(until)?;
            let end = part.end.min(at + PIECE - at % PIECE);
            if !self.copy(at..end, visit) {
                for page in (at / PAGE..end.div_ceil(PAGE)).map(|page| page * PAGE) {
                    self.copy(page.max(at)..(page + PAGE).min(end), visit);
                }
            }
            at = end;
        }
        Ok(())
    }

    /// Returns false if not all of it can be read.
    fn copy(&mut self, range: Range<usize>, visit: &mut impl FnMut(usize, usize)) -> bool {
        let piece = &mut self.piece[..range.len()];
        let is_copied = peek::copy(range.start, piece);
        if is_copied {
            words(range.start, piece, visit);
        }
        is_copied
    }

    /// Calls `visit` with each aligned word of memory of which it is known that it is there. What cannot be read is left out.
    pub(crate) fn read_present(&mut self, range: Range<usize>, mut visit: impl FnMut(usize)) {
        let mut at = range.start.next_multiple_of(size_of::<usize>());
        while at < range.end {
            let end = range.end.min(at + PIECE);
            self.copy(at..end, &mut |_, word| visit(word));
            at = end;
        }
    }

    /// The lowest address of a range whose page has been touched. `None` if none has, or if the kernel does not tell.
    pub(crate) fn first_touched(&self, range: Range<usize>) -> Option<usize> {
        let mut at = range.start;
        while self.pagemap.is_known() && at < range.end {
            let look = self.pagemap.look(at..range.end);
            if let Some(first) = look.parts.first() {
                return Some(first.start);
            }
            at = look.end;
        }
        None
    }
}

fn in_time(until: Instant) -> Result<(), OutOfTime> {
    if Instant::now() < until { Ok(()) } else { Err(OutOfTime) }
}

fn words(start: usize, piece: &[u8], visit: &mut impl FnMut(usize, usize)) {
    let addresses = (start..).step_by(size_of::<usize>());
    for (address, word) in addresses.zip(piece.chunks_exact(size_of::<usize>())) {
        visit(address, usize::from_ne_bytes(word.try_into().expect("a word")));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_word_on_the_heap_is_found_where_it_is() {
        let boxed = Box::new([1_usize, 0x1234_5678_9abc, 3]);
        let address = boxed.as_ptr().addr();
        let ranges = writable().unwrap().ranges;
        let range = ranges.into_iter().find(|range| range.contains(&address)).expect("the heap is writable");
        let (mut reader, mut found) = (Reader::new(), Vec::new());
        if !peek::copy(address, &mut [0; 8]) {
            return; // not allowed here
        }
        let until = Instant::now() + Duration::from_secs(3600);
        let note = |at, word| found.extend((word == 0x1234_5678_9abc).then_some(at));
        assert_eq!(reader.read(range.clone(), until, note), Ok(()));
        assert!(found.contains(&(address + 8)));
        found.clear();
        assert_eq!(reader.read(address..address + 8, until, |_, word| found.push(word)), Ok(()));
        assert_eq!(found, [1]);
        assert_eq!(reader.read(range, Instant::now(), |_, _| ()), Err(OutOfTime));
    }
}
