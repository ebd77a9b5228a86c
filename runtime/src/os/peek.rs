//! Reads memory that other threads use and may free: the kernel copies it, or returns an error if there is none.
//!
//! The result is the bytes at some moment. The caller needs another way to tell whether they are consistent.

#![expect(unsafe_code, reason = "a system call that reads addresses of this process")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// The bytes of the value at `address`. `None` if there is no such memory, or if the kernel does not let a process read
/// itself in this way, as some containers do not.
pub(crate) fn value<T>(address: *const T) -> Option<MaybeUninit<T>> {
    let mut copy = MaybeUninit::<T>::uninit();
    copy_out(address.cast(), copy.as_mut_ptr().cast(), size_of::<T>()).then_some(copy)
}

/// The `len` bytes at `address`.
pub(crate) fn bytes(address: *const u8, len: usize) -> Option<Vec<u8>> {
    let mut copy = Vec::with_capacity(len);
    if !copy_out(address, copy.as_mut_ptr(), len) {
        return None;
    }
    // SAFETY: `copy_out` has written `len` bytes.
    unsafe { copy.set_len(len) };
    Some(copy)
}

/// The word at `address`. `None` as for [`value`], and if the address is not aligned.
pub(crate) fn word(address: usize) -> Option<usize> {
    if !address.is_multiple_of(align_of::<usize>()) {
        return None;
    }
    // SAFETY: any bytes are a valid number.
    value(std::ptr::without_provenance::<usize>(address)).map(|word| unsafe { word.assume_init() })
}

/// Fills `to` with the bytes at `address`. Returns false if they cannot all be read.
pub(crate) fn copy(address: usize, to: &mut [u8]) -> bool {
    copy_out(std::ptr::without_provenance(address), to.as_mut_ptr(), to.len())
}

/// The time at `address`. `None` as for [`value`], and if that is no time.
pub(crate) fn instant(address: usize) -> Option<Instant> {
    const NANOS: i128 = 1_000_000_000;
    // Seconds and nanoseconds, as std has them on Linux. That they are where they are thought to be is seen by two known times.
    let nanos_at = |address| {
        let mut bytes = [0; size_of::<Instant>()];
        let (seconds, rest) = copy(address, &mut bytes).then_some(&bytes)?.split_first_chunk()?;
        let rest = u32::from_ne_bytes(*rest.first_chunk()?);
        (i128::from(rest) < NANOS)
            .then(|| i128::from(i64::from_ne_bytes(*seconds)) * NANOS + i128::from(rest))
    };
    let now = Instant::now();
    let later = now + Duration::from_millis(1500);
    let base = nanos_at((&raw const now).addr())?;
    let is_known = nanos_at((&raw const later).addr())? - base == NANOS * 3 / 2;
    let from_now = nanos_at(address).filter(|_| is_known)? - base;
    let distance = Duration::from_nanos(u64::try_from(from_now.unsigned_abs()).ok()?);
    if from_now < 0 { now.checked_sub(distance) } else { now.checked_add(distance) }
}

/// Words of memory that may change at any time, copied a page at a time. Two words of a page are of the same moment.
#[derive(Debug, Default)]
pub(crate) struct Pages(RefCell<HashMap<usize, Option<Vec<u8>>>>);

impl Pages {
    const BYTES: usize = 4096;

    /// The word at `address`. `None` as for [`word`].
    pub(crate) fn word(&self, address: usize) -> Option<usize> {
        if !address.is_multiple_of(align_of::<usize>()) {
            return None;
        }
        let start = address / Self::BYTES * Self::BYTES;
        let mut pages = self.0.borrow_mut();
        let page = pages
            .entry(start)
            .or_insert_with(|| bytes(std::ptr::without_provenance(start), Self::BYTES))
            .as_ref()?;
        let at = address - start;
        Some(usize::from_ne_bytes(page[at..at + size_of::<usize>()].try_into().expect("a word")))
    }
}

/// Copies `len` bytes, for which `to` must have room. Returns false if not all could be copied.
fn copy_out(from: *const u8, to: *mut u8, len: usize) -> bool {
    let ours = libc::iovec { iov_base: to.cast(), iov_len: len };
    let theirs = libc::iovec { iov_base: from.cast_mut().cast(), iov_len: len };
    // SAFETY: process_vm_readv(2) writes at most `len` bytes to `to`. It reads from any address, and fails if nothing is
    // mapped there.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &ours, 1, &theirs, 1, 0) };
    usize::try_from(copied) == Ok(len)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Pages, bytes, instant, value};

    #[test]
    fn mapped_memory_is_copied_and_other_addresses_give_none() {
        let number = 0x1234_5678_u64;
        let Some(copy) = value(&raw const number) else { return };
        // SAFETY: any bytes are a valid number.
        assert_eq!(unsafe { copy.assume_init() }, number);
        assert_eq!(bytes("green".as_ptr(), 5).unwrap(), b"green");
        assert!(value(std::ptr::without_provenance::<u64>(8)).is_none());
        let words = [1_usize, 2, 3];
        let pages = Pages::default();
        for (index, word) in words.iter().enumerate() {
            let address = (&raw const words[index]).addr();
            assert_eq!((pages.word(address), super::word(address)), (Some(*word), Some(*word)));
            assert_eq!(pages.word(address + 1), None);
        }
        assert_eq!((pages.word(8), super::word(8)), (None, None));
    }

    #[test]
    fn a_time_is_copied_and_what_is_none_gives_none() {
        let now = Instant::now();
        if value(&raw const now).is_none() {
            return; // not allowed here
        }
        for time in [now, now + Duration::from_nanos(999_999_999), now - Duration::new(3, 7)] {
            assert_eq!(instant((&raw const time).addr()), Some(time));
        }
        let no_time = [u64::MAX; 2];
        assert_eq!(instant((&raw const no_time).addr()), None);
        assert_eq!(instant(8), None);
    }
}
