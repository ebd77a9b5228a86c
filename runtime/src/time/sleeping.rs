//! Sleeping: a wait that only its deadline or a cancellation ends.

use std::ptr;
use std::time::{Duration, Instant};

use crate::cell::{Outcome, Reason};
use crate::park::{self, Cost};

/// Blocks the calling fiber, or plain thread, for at least `duration`. Mirrors [`std::thread::sleep`].
///
/// Timers have a resolution of some microseconds; on an idle runtime a sleep ends some tens of microseconds late. Where many timers
/// end shortly after one another, a worker with nothing else to do wakes once for several of them: if timers end in at least six of
/// the 24 ticks of 8.2 us that begin with the next one, it sleeps until the last of these, so a timer may be late by 188 us more. The same holds
/// for all deadlines, such as those of [`timeout`](fn@crate::time::timeout). A zero duration returns at once. [`Duration::MAX`] is for ever. If the fiber is [cancelled](crate::cancel), it unwinds from here.
///
/// ```
/// # use std::time::Duration;
/// # abaca::run(|| abaca::sleep(Duration::from_micros(50)));
/// ```
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        return park::spend(Cost::Wait);
    }
    match Instant::now().checked_add(duration) {
        Some(deadline) => sleep_until(deadline),
        // Beyond the clock's range: for ever, for all that this process will see.
        None => loop {
            sleep(Duration::from_secs(u64::from(u32::MAX)));
        },
    }
}

/// Like [`sleep`], with a number of milliseconds. Mirrors `std::thread::sleep_ms`, which std has deprecated.
///
/// ```
/// # abaca::run(|| {
/// # #[expect(deprecated)]
/// abaca::fiber::sleep_ms(1);
/// # });
/// ```
#[deprecated(note = "replaced by `abaca::fiber::sleep`")]
pub fn sleep_ms(ms: u32) {
    sleep(Duration::from_millis(u64::from(ms)));
}

/// Blocks the calling fiber, or plain thread, until `deadline`; returns at once if it has passed. Mirrors
/// `std::thread::sleep_until`.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # abaca::run(|| abaca::fiber::sleep_until(Instant::now() + Duration::from_millis(1)));
/// ```
pub fn sleep_until(deadline: Instant) {
    if Instant::now() >= deadline {
        return park::spend(Cost::Wait);
    }
    let waiter = park::waiter().on(ptr::from_ref(&deadline).cast());
    if park::wait(&waiter, Reason::Sleep, Some(deadline)) == Outcome::Cancelled {
        park::unwind();
    }
}
