//! Sleepers by address: the fibers that wait for what happens to a word in memory, as in futex(2).
//!
//! A bucket is a short lock around a wait list, and a count of those who are in the list or are about to be. Who sleeps counts itself,
//! and looks at the word; who wakes has changed the word, and looks at the count. A full fence stands between the two steps on both
//! sides. So one of them sees the other: the sleeper the new word, and then it does not sleep, or the waker the count, and then it
//! takes the lock and finds the sleeper, who looked at the word under it.

use std::time::Instant;

use super::{Slept, end_in_error};
use crate::atomic::{AtomicUsize, Ordering, const_fn, fence};
use crate::cell::Reason;
use crate::park::primitive::{self as park, SpinLock, Wakeup};
use crate::park::wait_list::{self, End, WaitList};

/// How many buckets there are. Addresses that share one share its lock.
const BUCKETS: usize = if cfg!(loom) { 1 } else { 1024 };

/// How many sleepers are claimed each time that the lock is held.
const BATCH: usize = 16;

/// Where a sleeper sleeps, and for what.
#[derive(Clone, Copy, Debug)]
struct Place {
    address: usize,
    bits: u32,
}

#[repr(align(64))]
struct Bucket {
    sleepers: SpinLock<WaitList<Place>>,
    /// How many are in the list, or are about to join it.
    count: AtomicUsize,
}

impl Bucket {
    const_fn! {
        const fn new() -> Self {
            Self { sleepers: SpinLock::new(WaitList::new()), count: AtomicUsize::new(0) }
        }
    }
}

static TABLE: [Bucket; BUCKETS] = [const { Bucket::new() }; BUCKETS];

/// The bucket of an address. Words that lie side by side are in different ones.
#[inline(always)]
fn bucket(address: usize) -> &'static Bucket {
    &TABLE[(address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) % BUCKETS]
}

/// A sleep at an address.
#[derive(Clone, Copy, Debug)]
pub struct Sleep {
    /// The word's address, which is only compared.
    pub address: usize,
    /// Who wakes must have one of these bits.
    pub bits: u32,
    /// `None` is for ever.
    pub deadline: Option<Instant>,
    /// Whether a cancellation ends the sleep. A caller that would only look at its word and sleep again must not be ended.
    pub is_cancellable: bool,
}

/// Sleeps until [`wake_at`] is called for the address, if `stay` says so once all who wake can see the caller. Calls `then` when the
/// caller can be woken: for a lock that it holds so far.
///
/// `stay` runs under a lock: it only looks at memory.
pub fn sleep_at(sleep: Sleep, stay: impl FnOnce() -> bool, then: impl FnOnce()) -> Slept {
    let Sleep { address, bits, deadline, is_cancellable } = sleep;
    let bucket = bucket(address);
    let sleepers = bucket.sleepers.lock();
    // SeqCst, and the fence: see the module's documentation.
    bucket.count.fetch_add(1, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    if !stay() {
        bucket.count.fetch_sub(1, Ordering::SeqCst);
        return Slept::Not;
    }
    let place = Place { address, bits };
    let wait = || wait_list::wait(sleepers, |list| list, End::Back, place, Reason::Address, deadline, then).0;
    let outcome = if is_cancellable { end_in_error(wait) } else { park::shield(wait) };
    bucket.count.fetch_sub(1, Ordering::SeqCst);
    outcome.into()
}

/// Whether somebody may sleep at `address`. Without a fence: it sees those sleepers whose look at the word is ordered before the
/// caller's change of it. On x86_64 that is so if the change was a locked operation; elsewhere a full fence must stand between.
#[inline(always)]
#[must_use]
pub fn has_sleepers(address: usize) -> bool {
    bucket(address).count.load(Ordering::SeqCst) != 0
}

/// Wakes up to `most` of those who sleep at `address` for one of `bits`, the longest first, and returns how many it were. The caller
/// has changed the word.
#[inline]
pub fn wake_at(address: usize, bits: u32, most: usize) -> usize {
    // See the module's documentation.
    fence(Ordering::SeqCst);
    let bucket = bucket(address);
    if bucket.count.load(Ordering::SeqCst) == 0 {
        0
    } else {
        wake_some(bucket, Place { address, bits }, most)
    }
}

#[cold]
fn wake_some(bucket: &Bucket, place: Place, most: usize) -> usize {
    let is_there = |there: &Place| there.address == place.address && there.bits & place.bits != 0;
    let mut count = 0;
    while count < most {
        let mut batch: [Option<Wakeup>; BATCH] = [const { None }; BATCH];
        let mut sleepers = bucket.sleepers.lock();
        let mut claimed = 0;
        while claimed < BATCH.min(most - count) {
            let Some(wakeup) = sleepers.pop_first(is_there) else { break };
            batch[claimed] = Some(wakeup);
            claimed += 1;
        }
        drop(sleepers);
        batch.iter_mut().filter_map(Option::take).for_each(park::wake);
        count += claimed;
        if claimed < BATCH {
            break;
        }
    }
    count
}
