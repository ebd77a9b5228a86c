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

/// The most rounds between two looks at a wait that goes on.
const MOST_ROUNDS: u32 = 60;

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
    /// How many rounds have passed since the last began, or had to look.
    rounds: AtomicU32,
    /// After how many rounds those who wait are to look: more each time, as long as they find nothing.
    due: AtomicU32,
    /// How often the number was watched anew.
    renewals: AtomicU32,
}

impl Waits {
    pub(super) fn new() -> Self {
        let [rounds, due, renewals] = [0, 1, 0].map(AtomicU32::new);
        Self { rounds, due, renewals }
    }

    /// Notes a wait, whose node is linked. `goes_on` is of one whose caller has only looked, since its number was watched anew, and to whom events
    /// tell all that changes the file.
    #[inline]
    pub(super) fn begin(&self, goes_on: bool) {
        if !goes_on {
            // Relaxed, here and below: a guess is enough.
            self.rounds.store(0, Ordering::Relaxed);
            self.due.store(1, Ordering::Relaxed);
        }
        if THREAD.must_start() {
            start();
        }
    }

    /// A round has found somebody waiting. Whether they are to look now.
    fn is_due(&self) -> bool {
        let due = self.due.load(Ordering::Relaxed);
        if self.rounds.fetch_add(1, Ordering::Relaxed) < due {
            return false;
        }
        // Those who have not run since are not asked again any sooner.
        self.rounds.store(0, Ordering::Relaxed);
        self.due.store((due * 2).min(MOST_ROUNDS), Ordering::Relaxed);
        true
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
            // The second round comes after a second at the earliest. A wait that goes on has its next look after twice as many rounds each time.
            if watched.waits.is_due() {
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::super::retry::{Attempt, retry};
    use super::super::several::{Interest, Numbers, wait_any};
    use super::super::table::{close_under, find};
    use super::super::{Direction, Ended, WaitLimit};
    use super::*;
    use crate::fiber;
    use crate::os::nowait::WOULD_BLOCK;
    use crate::os::socket;
    use crate::runtime::Runtime;

    /// A round at a time, until whoever waits for the number waits again.
    fn round(watched: &Watched) {
        while !watched.source.is_waited_for() {
            fiber::yield_now();
        }
        look();
    }

    /// Waits for a stream by `wait`, which counts its looks, for so many rounds. Returns how often it has looked
    /// then, and how often after an event and as many rounds again.
    fn looks_in(rounds: usize, wait: fn(&UnixStream, &AtomicUsize)) -> Option<[usize; 2]> {
        let runtime = Runtime::builder().workers(1).own_tls(true).build().ok()?;
        runtime.run(|| {
            let (here, mut there) = UnixStream::pair().unwrap();
            let (here, looks) = (Arc::new(here), Arc::new(AtomicUsize::new(0)));
            let waiting = fiber::spawn({
                let (here, looks) = (here.clone(), looks.clone());
                move || (0..2).for_each(|_| wait(&here, &looks))
            });
            let watched = loop {
                match find(here.as_raw_fd()) {
                    Some(watched) => break watched,
                    None => fiber::yield_now(),
                }
            };
            let count = |many: usize| {
                (0..many).for_each(|_| round(&watched));
                round(&watched);
                looks.swap(0, Ordering::SeqCst)
            };
            let before = count(rounds);
            std::io::Write::write_all(&mut there, b"x").unwrap();
            // The second wait begins.
            while looks.load(Ordering::SeqCst) < 2 {
                fiber::yield_now();
            }
            let after = count(rounds);
            std::io::Write::write_all(&mut there, b"x").unwrap();
            waiting.join().unwrap();
            close_under(here.as_raw_fd());
            Some([before, after])
        })
    }

    /// At most the first one, those after 2, 4, 8, 16, 32 and 60 rounds, which the thread may have made a few of, and the one that ends the wait before.
    fn are_few(looks: [usize; 2]) -> bool {
        looks.iter().all(|looks| (5..=10).contains(looks))
    }

    /// Takes a byte, if there is one, and counts the look. `none` is the result if there is none.
    fn take(stream: &UnixStream, looks: &AtomicUsize, none: isize) -> isize {
        looks.fetch_add(1, Ordering::SeqCst);
        socket::receive(stream.as_fd(), &mut [0], socket::RecvFlags::empty())
            .map_or(none, |moved| moved as isize)
    }

    fn read(stream: &UnixStream, looks: &AtomicUsize) {
        let (fd, direction, mut limit) = (stream.as_raw_fd(), Direction::Read, WaitLimit::of_descriptor());
        let call = |_| take(stream, looks, WOULD_BLOCK);
        let ended = retry(Attempt { fd, direction, wanted: 0, limit: &mut limit, call });
        assert_eq!(ended, Ended::Done(1));
    }

    fn poll(stream: &UnixStream, looks: &AtomicUsize) {
        let interest = Interest { fd: stream.as_raw_fd(), direction: Direction::Read };
        let look = |_: Option<Numbers<'_>>| take(stream, looks, 0);
        assert_eq!(wait_any(&[interest], None, look), Ended::Done(1));
    }

    #[test]
    fn a_wait_that_goes_on_is_looked_at_ever_less_often() {
        for wait in [read, poll] {
            if let Some(looks) = looks_in(120, wait) {
                assert!(are_few(looks), "{looks:?}");
            }
        }
    }
}
