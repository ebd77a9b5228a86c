//! Which pages of a range of addresses have been touched, by what the kernel tells of its page table.
//!
//! PAGEMAP_SCAN (Linux 6.7) passes over what is not there, however large: a terabyte of which nobody has touched a page takes a
//! microsecond. An older kernel is read an entry of eight bytes for each page.
//!
//! Rejected: mincore(2), to which a page that was swapped out is not there, although its words are.

#![expect(unsafe_code, reason = "a system call that fills a structure")]

use std::cell::Cell;
use std::fs::File;
use std::iter;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use super::page::page_bytes;

/// The most parts that one look tells of.
const PARTS: usize = 64;

/// How much one look looks at where the kernel does not tell.
const BLIND: usize = 1 << 18;

/// `struct page_region` of `linux/fs.h`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
#[derive(Default)]
#[repr(C)]
struct ScanArguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    most_pages: u64,
    inverted: u64,
    all_of: u64,
    any_of: u64,
    returned: u64,
}

/// `PAGEMAP_SCAN`: `_IOWR('f', 16, struct pm_scan_arg)`, which is the same number on all architectures that abaca knows.
const PAGEMAP_SCAN: libc::Ioctl =
    3 << 30 | (size_of::<ScanArguments>() as libc::Ioctl) << 16 | 0x66 << 8 | 16;

/// Categories of pages: in memory, swapped out, and never written, which is the page of zeroes.
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const ZEROES: u64 = 1 << 5;

/// The parts of a range whose pages have been touched, as far as one look has looked.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) parts: Vec<Range<usize>>,
    /// Up to this address.
    pub(super) end: usize,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Pagemap {
    /// `None` if the kernel does not tell.
    file: Option<File>,
    can_scan: Cell<bool>,
    page_bytes: usize,
}

impl Pagemap {
    pub(super) fn open() -> Self {
        let file = File::open("/proc/self/pagemap").ok();
        Self { file, can_scan: Cell::new(true), page_bytes: page_bytes() }
    }

    /// Whether the kernel tells anything.
    pub(super) fn is_known(&self) -> bool {
        self.file.is_some()
    }

    /// Looks at the first part of a range, which is not empty. What the kernel does not tell of counts as touched.
    pub(super) fn look(&self, range: Range<usize>) -> Look {
        if let Some(file) = &self.file {
            if let Some(look) = self.scan(file, &range) {
                return look;
            }
            if let Some(look) = self.read_entries(file, &range) {
                return look;
            }
        }
        let end = range.end.min(range.start.saturating_add(BLIND));
        Look { parts: iter::once(range.start..end).collect(), end }
    }

    fn scan(&self, file: &File, range: &Range<usize>) -> Option<Look> {
        if !self.can_scan.get() {
            return None;
        }
        // On this stack, which is searched for nothing: an address of a page may look like an address of an object.
        let mut regions = [Region::default(); PARTS];
        let mut arguments = ScanArguments {
            size: size_of::<ScanArguments>() as u64,
            start: (range.start / self.page_bytes * self.page_bytes) as u64,
            end: range.end.next_multiple_of(self.page_bytes) as u64,
            regions: regions.as_mut_ptr().addr() as u64,
            regions_len: PARTS as u64,
            inverted: ZEROES,
            all_of: ZEROES,
            any_of: PRESENT | SWAPPED,
            returned: PRESENT,
            ..ScanArguments::default()
        };
        // SAFETY: ioctl_pagemap_scan(2) reads and writes the live structure, and writes at most `regions_len` regions.
        let count = unsafe { libc::ioctl(file.as_raw_fd(), PAGEMAP_SCAN, &raw mut arguments) };
        let Ok(count) = usize::try_from(count) else {
            self.can_scan.set(false);
            return None;
        };
        let parts =
            regions[..count].iter().map(|region| within(region.start as usize..region.end as usize, range));
        let end = (arguments.walk_end as usize).min(range.end);
        // It has looked at something, or the loop around this would not end.
        (end > range.start).then(|| Look { parts: parts.collect(), end })
    }

    fn read_entries(&self, file: &File, range: &Range<usize>) -> Option<Look> {
        const PRESENT_OR_SWAPPED: u64 = 3 << 62;
        const ENTRIES: usize = 2048;
        let page_bytes = self.page_bytes;
        let first = range.start / page_bytes;
        let pages = (range.end.div_ceil(page_bytes) - first).min(ENTRIES);
        let mut entries = [0; 8 * ENTRIES];
        let entries = &mut entries[..8 * pages];
        file.read_exact_at(entries, first as u64 * 8).ok()?;
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (page, entry) in entries.chunks_exact(8).enumerate() {
            let entry = u64::from_ne_bytes(entry.try_into().expect("8 bytes"));
            if entry & PRESENT_OR_SWAPPED == 0 {
                continue;
            }
            let start = (first + page) * page_bytes;
            let part = within(start..start + page_bytes, range);
            match parts.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
        }
        Some(Look { parts, end: ((first + pages) * page_bytes).min(range.end) })
    }
}

/// The part of `part` that is in `range`.
fn within(part: Range<usize>, range: &Range<usize>) -> Range<usize> {
    part.start.max(range.start)..part.end.min(range.end)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A mapping of which nobody has touched anything.
    struct Mapping(*mut u8, usize);

    impl Mapping {
        fn new(bytes: usize) -> Self {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a new mapping.
            let at = unsafe {
                libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
            };
            assert_ne!(at, libc::MAP_FAILED);
            Self(at.cast(), bytes)
        }

        fn range(&self) -> Range<usize> {
            self.0.addr()..self.0.addr() + self.1
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: `new` has made it, and nobody refers to it any more.
            unsafe { libc::munmap(self.0.cast(), self.1) };
        }
    }

    fn touched(pagemap: &Pagemap, range: Range<usize>) -> (Vec<usize>, usize) {
        let (mut pages, mut looks, mut at) = (Vec::new(), 0, range.start);
        while at < range.end {
            let look = pagemap.look(at..range.end);
            pages.extend(look.parts.into_iter().flat_map(|part| part.step_by(pagemap.page_bytes)));
            (at, looks) = (look.end, looks + 1);
        }
        (pages, looks)
    }

    #[test]
    fn touched_pages_are_told_by_both_ways_and_gaps_are_passed_over() {
        let pagemap = Pagemap::open();
        if !pagemap.is_known() {
            return; // not allowed here
        }
        let mapping = Mapping::new((1 << 14) * pagemap.page_bytes);
        let written = [0, 3, 4, 5000, (1 << 14) - 1];
        for page in written {
            // SAFETY: within the mapping.
            unsafe { mapping.0.add(page * pagemap.page_bytes).write(1) };
        }
        let expected: Vec<_> =
            written.iter().map(|page| mapping.range().start + page * pagemap.page_bytes).collect();
        let (pages, looks) = touched(&pagemap, mapping.range());
        let can_scan = pagemap.can_scan.get();
        assert_eq!(pages, expected);
        pagemap.can_scan.set(false);
        assert_eq!(touched(&pagemap, mapping.range()).0, expected);
        if can_scan {
            assert_eq!(looks, 1);
        }
    }

    #[test]
    fn a_terabyte_that_nobody_has_touched_is_passed_over_at_once() {
        let pagemap = Pagemap::open();
        let mapping = Mapping::new(1 << 40);
        // SAFETY: within the mapping.
        unsafe { mapping.0.add(1 << 39).write(1) };
        // A page that was only read is one of zeroes.
        // SAFETY: as above.
        assert_eq!(unsafe { mapping.0.read_volatile() }, 0);
        let look = pagemap.look(mapping.range());
        if pagemap.is_known() && pagemap.can_scan.get() {
            let page = mapping.range().start + (1 << 39);
            assert_eq!(look.parts, iter::once(page..page + pagemap.page_bytes).collect::<Vec<_>>());
            assert_eq!(look.end, mapping.range().end);
        }
    }

    #[test]
    fn where_the_kernel_does_not_tell_all_counts_as_touched() {
        let blind = Pagemap { file: None, can_scan: Cell::new(true), page_bytes: 4096 };
        let look = blind.look(4096..1 << 30);
        assert_eq!(look.parts, iter::once(4096..4096 + BLIND).collect::<Vec<_>>());
        assert_eq!(look.end, 4096 + BLIND);
    }
}
