//! Fairness of locks: those who sleep for one, and are overtaken.
//!
//! Locks of std's and of libc's do not queue: who releases one may take it again before those run whom it has woken. On threads of the kernel
//! they win now and then, since a wake-up there is a system call, and another processor may be free. A fiber that goes on at once,
//! takes the lock, and waits for something else while it has it, would keep them out for ever.
//!
//! So who is woken, and sleeps again for the same, is *overtaken*. If that lasts for [`LIMIT`], its next sleep says so, and who wakes it waits
//! until it has gone on: then it finds the lock free. parking_lot's locks are handed over as often. What succeeds at once never pays.
//!
//! Rejected: to let those run whom every wake-up wakes. std's channels wake a receiver while they have a lock that it wants next, for which std spins before it
//! sleeps: a message there and back took five times as long.

use std::time::{Duration, Instant};

use super::sleepers::TABLE;
use crate::park;
use crate::park::key::Found;
use crate::park::overtaken::GoneOn;

/// For how long one is overtaken before others wait for it.
const LIMIT: Duration = Duration::from_micros(500);

/// How long they wait at most: its worker may be busy.
const MOST: Duration = Duration::from_millis(1);

/// By address.
static GONE_ON: [GoneOn; 64] = [const { GoneOn::new() }; 64];

fn at(address: usize) -> &'static GoneOn {
    &GONE_ON[(address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) % GONE_ON.len()]
}

/// Since when the caller, who waits for a lock, is overtaken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overtaken(Option<Instant>);

impl Overtaken {
    /// Not at all.
    pub const NOT: Self = Self(None);

    /// The caller was woken, and is to sleep again. Whether its next sleep is to say that it is overtaken.
    #[must_use]
    pub fn again(&mut self) -> bool {
        let now = Instant::now();
        now.duration_since(*self.0.get_or_insert(now)) >= LIMIT
    }
}

/// A sleeper that has said that it is overtaken goes on.
#[cold]
pub(super) fn go_on(address: usize) {
    at(address).go_on(&TABLE);
}

/// Calls `wake`, which wakes sleepers at `address`. If one of them is overtaken, waits until it has gone on. The caller must be in a hook, and
/// where it may be parked.
#[inline]
pub fn wake_fairly(address: usize, wake: impl FnOnce() -> Found) -> Found {
    let noted = at(address).note();
    let found = wake();
    if found.is_overtaken {
        let_go_on(address, noted);
    }
    found
}

#[cold]
fn let_go_on(address: usize, noted: u32) {
    let deadline = Some(Instant::now() + MOST);
    at(address).await_next(&TABLE, noted, deadline, park::wait_shielded);
}
