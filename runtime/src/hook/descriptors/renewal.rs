//! Watches the numbers of long waits anew, in case that one became another file's behind the runtime's back, and asks anew what their users
//! want. A thread of its own does it, so that a wait needs no timer for it. The thread ends when nobody has waited for a while
//! (`park/attendant.rs`).

use std::os::fd::RawFd;
use std::thread;
use std::time::Duration;

use super::table::{Watched, for_each_of_file, for_each_watched};
use super::wish::modes_changed;
use crate::atomic::{AtomicU32, Ordering};
use crate::os;
use crate::park::attendant::Attendant;

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// After how many rounds in which nobody waits the thread ends.
const IDLE_ROUNDS: u32 = 10;

static THREAD: Attendant = Attendant::new();

/// How many rounds have ended.
static ROUNDS: AtomicU32 = AtomicU32::new(0);

/// How often the numbers of long waits were looked at so far. For tests.
#[must_use]
pub fn rounds_of_renewal() -> u32 {
    ROUNDS.load(Ordering::SeqCst)
}

/// The waits for a descriptor. Whether there are any at this moment its [`Source`](crate::poller::Source) knows.
pub(super) struct Waits {
    /// How many rounds have passed since the last began.
    rounds: AtomicU32,
    /// How often the number was watched anew.
    renewals: AtomicU32,
}

impl Waits {
    pub(super) fn new() -> Self {
        let [rounds, renewals] = [0; 2].map(AtomicU32::new);
        Self { rounds, renewals }
    }

    /// Notes a wait, whose node is linked.
    #[inline]
    pub(super) fn begin(&self) {
        // Relaxed: a guess is enough.
        self.rounds.store(0, Ordering::Relaxed);
        if THREAD.must_start() {
            start();
        }
    }

    /// How often the number was watched anew so far.
    #[inline]
    pub(super) fn renewals(&self) -> u32 {
        self.renewals.load(Ordering::Relaxed)
    }
}

/// The thread is not in a copy of the process.
pub(super) fn begin_anew() {
    THREAD.is_not_started();
}

#[cold]
fn start() {
    // Without a thread, numbers that are closed behind the runtime's back are noticed when somebody else's wait finds one, and no answer
    // is kept.
    // It wakes who waits for a descriptor, which is watched meanwhile.
    if os::service::start("abaca-renewal".into(), run).is_err() {
        THREAD.is_not_started();
        modes_changed();
    }
}

fn run() {
    let mut idle_rounds = 0;
    loop {
        thread::sleep(ROUND);
        idle_rounds = if look() { 0 } else { idle_rounds + 1 };
        ROUNDS.fetch_add(1, Ordering::SeqCst);
        if idle_rounds >= IDLE_ROUNDS {
            if THREAD.may_end(is_anybody_waiting) {
                return;
            }
            idle_rounds = 0;
        }
    }
}

fn is_anybody_waiting() -> bool {
    let mut found = false;
    for_each_watched(|watched| found |= watched.source.is_waited_for());
    found
}

/// One round. Whether anybody waits.
fn look() -> bool {
    let mut found = false;
    // Waits that begin from now on ask; those that have begun are asked about below.
    modes_changed();
    for_each_watched(|watched| {
        if watched.source.is_waited_for() {
            found = true;
            let rounds = watched.waits.rounds.fetch_add(1, Ordering::Relaxed);
            // The second round comes after a second at the earliest. Those who wait then look, and a wait that goes on begins anew; only those
            // who have not run since are asked again after twice as many rounds each time.
            if rounds > 0 && rounds.is_power_of_two() {
                renew(watched);
            } else if watched.number().is_some_and(|fd| watched.wish.was_wrong(fd)) {
                look_again(watched);
            }
        }
    });
    found
}

/// Makes those who wait for the file of this number look again, after a change of which the kernel wakes its own waiters, but that is no event
/// for the poller: `shutdown(SHUT_WR)` of a Unix socket without room.
pub fn look_again_at(fd: RawFd) {
    for_each_of_file(fd, wake_waiting);
}

/// Makes all who wait for a descriptor look again, after such a change of a file whose numbers are not known: `shutdown(SHUT_RD)` of the other end of
/// a Unix socket without room.
pub fn look_again_everywhere() {
    for_each_watched(wake_waiting);
}

fn wake_waiting(watched: &Watched) {
    if watched.source.is_waited_for() {
        watched.source.wake_all(crate::park::wake);
    }
}

/// Watches a number anew, and makes those who wait look again.
fn renew(watched: &Watched) {
    watched.timeouts.forget();
    if watched.renew().is_err() {
        watched.lose();
    }
    look_again(watched);
}

/// Makes those who wait look again, and ask what their users want.
fn look_again(watched: &Watched) {
    watched.wish.forget();
    watched.waits.renewals.fetch_add(1, Ordering::Relaxed);
    watched.source.wake_all(crate::park::wake);
}
