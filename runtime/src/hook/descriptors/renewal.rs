//! Watches the numbers of long waits anew, in case that one became another file's behind the runtime's back. A thread of its own does it, so
//! that a wait needs no timer for it. The thread ends when nobody has waited for a while.

use std::thread;
use std::time::Duration;

use super::table::{Watched, for_each_watched};
use crate::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::os;

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// After how many rounds in which nobody waits the thread ends.
const IDLE_ROUNDS: u32 = 10;

static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// The waits for a descriptor.
pub(super) struct Waits {
    /// How many are under way.
    count: AtomicU32,
    /// How many rounds have passed since the last began.
    rounds: AtomicU32,
    /// How often the number was watched anew.
    renewals: AtomicU32,
}

/// A wait under way.
pub(super) struct Waiting<'a>(&'a Waits);

impl Waits {
    pub(super) fn new() -> Self {
        let [count, rounds, renewals] = [0; 3].map(AtomicU32::new);
        Self { count, rounds, renewals }
    }

    /// Notes a wait, until the result is dropped.
    #[inline]
    pub(super) fn begin(&self) -> Waiting<'_> {
        // Relaxed: a guess is enough.
        self.rounds.store(0, Ordering::Relaxed);
        // SeqCst, as below: either the thread sees the wait before it ends, or this sees that it has ended.
        self.count.fetch_add(1, Ordering::SeqCst);
        if !IS_RUNNING.load(Ordering::SeqCst) {
            start();
        }
        Waiting(self)
    }

    /// How often the number was watched anew so far.
    #[inline]
    pub(super) fn renewals(&self) -> u32 {
        self.renewals.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cold]
fn start() {
    if IS_RUNNING.swap(true, Ordering::SeqCst) {
        return;
    }
    // Without a thread, numbers that are closed behind the runtime's back are noticed when somebody else's wait finds one.
    if os::thread::start("abaca-renewal".into(), run).is_err() {
        IS_RUNNING.store(false, Ordering::SeqCst);
    }
}

fn run() {
    let mut idle_rounds = 0;
    loop {
        thread::sleep(ROUND);
        idle_rounds = if look() { 0 } else { idle_rounds + 1 };
        if idle_rounds >= IDLE_ROUNDS {
            IS_RUNNING.store(false, Ordering::SeqCst);
            // Somebody may have begun to wait before that.
            if !is_anybody_waiting() || IS_RUNNING.swap(true, Ordering::SeqCst) {
                return;
            }
            idle_rounds = 0;
        }
    }
}

fn is_anybody_waiting() -> bool {
    let mut found = false;
    for_each_watched(|watched| found |= watched.waits.count.load(Ordering::SeqCst) > 0);
    found
}

/// One round. Whether anybody waits.
fn look() -> bool {
    let mut found = false;
    for_each_watched(|watched| {
        if watched.waits.count.load(Ordering::SeqCst) > 0 {
            found = true;
            let rounds = watched.waits.rounds.fetch_add(1, Ordering::Relaxed);
            // The second round comes after a second at the earliest. Then after twice as many each time.
            if rounds > 0 && rounds.is_power_of_two() {
                renew(watched);
            }
        }
    });
    found
}

/// Watches a number anew, and makes those who wait look again.
fn renew(watched: &Watched) {
    watched.timeouts.forget();
    watched.waits.renewals.fetch_add(1, Ordering::Relaxed);
    if watched.renew().is_err() {
        watched.lose();
    }
    watched.source.wake_all(crate::park::wake);
}
