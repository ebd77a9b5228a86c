//! Thread-local variables that stay the OS thread's, as malloc's cache does: a list that users can add to.
#![expect(unsafe_code, reason = "copies ranges between blocks")]

use core::ops::Range;
use core::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use crate::per_process::PerProcess;
use crate::pointer::{ThreadPointer, thread_pointer};
use crate::support::support;
use crate::unsupported::Unsupported;

/// The most ranges.
const MOST: usize = 16;

struct Kept {
    offset: AtomicIsize,
    bytes: AtomicUsize,
}

static KEPT: [Kept; MOST] =
    [const { Kept { offset: AtomicIsize::new(0), bytes: AtomicUsize::new(0) } }; MOST];
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ADDING: PerProcess<()> = PerProcess::new(|| ());

/// Why a range cannot [stay the OS thread's](keep_with_carrier).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepError {
    /// This process cannot have blocks at all.
    Unsupported(Unsupported),
    /// The range is not in the calling thread's storage, or not at the same place in each thread's: it belongs to a library that
    /// was loaded by `dlopen`.
    NotStatic,
    /// The range belongs to libc.
    OfLibc,
    /// There are 16 ranges already.
    TooMany,
}

impl core::fmt::Display for KeepError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unsupported(why) => why.fmt(out),
            Self::NotStatic => out.write_str(
                "the range is not among the thread-local variables of the program and of what it was started with",
            ),
            Self::OfLibc => out.write_str("the range is among libc's thread-local variables"),
            Self::TooMany => write!(out, "there are {MOST} ranges already"),
        }
    }
}

impl core::error::Error for KeepError {}

/// Leaves a thread-local variable with the OS thread: from now on each [`Carrier`](crate::Carrier) lends it to the blocks that it
/// runs, and takes it back.
///
/// It is for allocators and caches that are per thread for speed: what a fiber takes from the cache comes from that of the OS thread
/// that runs it. `start` is the variable's address in the calling thread, `bytes` its size; each switch copies so much, twice. A
/// scheduler may ask once whether there are such variables ([`must_take_back`](crate::Carrier::must_take_back)): abaca's does when
/// a worker's thread starts, so they are to be added before its runtime is built.
///
/// ```
/// use std::cell::Cell;
///
/// thread_local!(static HITS: Cell<u64> = const { Cell::new(0) });
///
/// // SAFETY: a plain number, which no code keeps a reference to while a fiber is suspended.
/// let kept = unsafe { HITS.with(|hits| abaca_tls::keep_with_carrier(hits.as_ptr().cast(), size_of::<u64>())) };
/// if abaca_tls::support().is_ok() {
///     assert_eq!(kept, Ok(()));
/// }
/// ```
///
/// # Errors
///
/// A [`KeepError`]; nothing has changed then. A range that is kept already is not an error.
///
/// # Safety
///
/// * The bytes may be copied from one thread's storage to another's and used there: they hold no address within the storage, and
///   nothing that a destructor of the thread frees.
/// * No fiber is suspended while it uses them, and no block is installed anywhere during the call.
pub unsafe fn keep_with_carrier(start: *const u8, bytes: usize) -> Result<(), KeepError> {
    let support = support().map_err(KeepError::Unsupported)?;
    let offset = start.addr().wrapping_sub(thread_pointer().address()).cast_signed();
    let range = offset..offset.saturating_add_unsigned(bytes);
    let segment = support.segment_of(&range).ok_or(KeepError::NotStatic)?;
    if segment.is_wanted {
        return Err(KeepError::OfLibc);
    }
    let _adding = ADDING.lock();
    if ranges().any(|kept| kept == range) {
        return Ok(());
    }
    // Relaxed: only the holder of the lock changes it.
    let count = COUNT.load(Ordering::Relaxed);
    let Some(kept) = KEPT.get(count) else { return Err(KeepError::TooMany) };
    kept.offset.store(offset, Ordering::Relaxed);
    kept.bytes.store(bytes, Ordering::Relaxed);
    // Release: pairs with the Acquire in `ranges`.
    COUNT.store(count + 1, Ordering::Release);
    support.plan_anew(ranges()).map_err(KeepError::Unsupported)
}

/// The ranges, as offsets from the thread pointer.
pub(crate) fn ranges() -> impl Iterator<Item = Range<isize>> {
    // Acquire: pairs with the Release in `keep_with_carrier`.
    KEPT[..COUNT.load(Ordering::Acquire)].iter().map(|kept| {
        let offset = kept.offset.load(Ordering::Relaxed);
        offset..offset + kept.bytes.load(Ordering::Relaxed).cast_signed()
    })
}

/// Whether there are ranges.
#[inline(always)]
pub(crate) fn any() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

/// Copies all ranges.
///
/// # Safety
///
/// Nobody else uses `to`, which is another block than `from`.
#[cold]
pub(crate) unsafe fn copy(from: ThreadPointer, to: ThreadPointer) {
    for range in ranges() {
        let bytes = (range.end - range.start).unsigned_abs();
        // SAFETY: a range of a segment that all blocks have; the blocks are different.
        unsafe {
            core::ptr::copy_nonoverlapping(from.at::<u8>(range.start), to.at::<u8>(range.start), bytes)
        };
    }
}
