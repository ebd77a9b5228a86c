//! Orphans: children whose handles were dropped. Each is waited for when it ends, so that it leaves no zombie.
//!
//! One thread, the *reaper*, does that for the whole process. It runs only while there are orphans, and sleeps until one of
//! them ends: an epoll instance watches their pidfds. If there is no descriptor for a pidfd, the reaper looks at the orphan
//! again and again, ever more rarely. The code that drops a handle never waits here.
//!
//! A copy of the process by fork(2) has neither the reaper nor the orphans, and begins with none.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::sync::{Arc, MutexGuard, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::os;
use crate::os::epoll::{Epoll, EventBuffer, EventFd};
use crate::os::fork::PerProcess;
use crate::pool::Lease;

/// The first pause between two looks at orphans that are not watched. Each later pause is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(512);

/// The key of the eventfd; no orphan has it.
const NOTIFY: u64 = u64::MAX;

static ORPHANS: PerProcess<Orphans> = PerProcess::new(Orphans::default);

/// All orphans of the process.
#[derive(Default)]
struct Orphans {
    by_number: BTreeMap<u64, Orphan>,
    /// The number of the next orphan.
    next: u64,
    /// How many orphans are not watched.
    unwatched: usize,
    /// `None` while there is no thread.
    reaper: Option<Arc<Reaper>>,
}

/// A child that nobody else will wait for.
struct Orphan {
    child: process::Child,
    /// Kept open while the reaper watches it.
    _pidfd: Option<OwnedFd>,
    /// The reaper's epoll instance has an event when the orphan ends.
    is_watched: bool,
    /// Keeps its parent thread alive while the orphan lives.
    _lease: Option<Lease>,
}

/// The thread that waits for orphans, as others see it.
struct Reaper {
    /// `None` if there was no descriptor for it.
    watch: Option<Watch>,
    thread: OnceLock<Thread>,
}

/// The descriptors in which the reaper sleeps.
struct Watch {
    epoll: Epoll,
    eventfd: EventFd,
}

/// Lets the reaper wait for `child`, whose pidfd is `pidfd`, when it ends.
pub(super) fn reap_later(child: process::Child, pidfd: Option<OwnedFd>, lease: Option<Lease>) {
    let pidfd = pidfd.or_else(|| os::process::pidfd(child.id()).ok());
    let mut orphans = orphans();
    if orphans.reaper.is_none() {
        // If no thread can be started now, the next orphan tries again.
        orphans.reaper = Reaper::start();
    }
    let reaper = orphans.reaper.clone();
    let number = orphans.next;
    orphans.next += 1;
    let is_watched =
        reaper.as_ref().zip(pidfd.as_ref()).is_some_and(|(reaper, pidfd)| reaper.watch(pidfd, number));
    orphans.by_number.insert(number, Orphan { child, _pidfd: pidfd, is_watched, _lease: lease });
    if !is_watched {
        orphans.unwatched += 1;
        if let Some(reaper) = reaper {
            reaper.notify();
        }
    }
}

fn orphans() -> MutexGuard<'static, Orphans> {
    ORPHANS.lock()
}

impl Orphan {
    /// Whether it has ended, or other code has waited for it.
    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Orphans {
    /// Takes out the orphans that have ended: of the watched ones those that were reported, of the others all.
    fn take_ended(&mut self, reported: &[u64]) -> Vec<Orphan> {
        let mut ended = Vec::new();
        for number in reported {
            let Some(orphan) = self.by_number.get_mut(number) else { continue };
            if orphan.has_ended() {
                ended.extend(self.by_number.remove(number));
            } else if std::mem::take(&mut orphan.is_watched) {
                // A tracer has to release it first, and no event reports that.
                self.unwatched += 1;
            }
        }
        if self.unwatched > 0 {
            ended.extend(
                self.by_number
                    .extract_if(.., |_, orphan| !orphan.is_watched && orphan.has_ended())
                    .map(|(_, orphan)| orphan),
            );
            self.unwatched = self.by_number.values().filter(|orphan| !orphan.is_watched).count();
        }
        ended
    }
}

impl Watch {
    fn new() -> Option<Self> {
        let epoll = Epoll::new().ok()?;
        let eventfd = EventFd::watched_by(&epoll, NOTIFY).ok()?;
        Some(Self { epoll, eventfd })
    }
}

impl Reaper {
    /// Starts the thread. The caller holds the lock.
    fn start() -> Option<Arc<Self>> {
        let this = Arc::new(Self { watch: Watch::new(), thread: OnceLock::new() });
        let reaper = Arc::clone(&this);
        let thread = os::service::start("abaca-orphans".into(), move || reaper.run()).ok()?;
        let _ = this.thread.set(thread.thread().clone());
        Some(this)
    }

    /// Watches a pidfd. Returns whether the reaper will have an event.
    fn watch(&self, pidfd: &OwnedFd, number: u64) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.epoll.add(pidfd.as_fd(), number).is_ok())
    }

    /// Wakes the reaper, because there is an orphan that it does not watch.
    fn notify(&self) {
        match &self.watch {
            Some(watch) => watch.eventfd.notify(),
            None => self.thread.get().expect("set under the lock").unpark(),
        }
    }

    /// The body of the thread.
    fn run(&self) {
        let mut buffer = EventBuffer::new(64);
        let (mut pause, mut unwatched) = (FIRST_PAUSE, orphans().unwatched);
        loop {
            let reported = self.sleep(&mut buffer, (unwatched > 0).then_some(pause));
            let mut orphans = orphans();
            pause = if orphans.unwatched > unwatched { FIRST_PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
            let ended = orphans.take_ended(&reported);
            unwatched = orphans.unwatched;
            if orphans.by_number.is_empty() {
                orphans.reaper = None;
                return;
            }
            drop(orphans);
            drop(ended);
        }
    }

    /// Sleeps until the end of an orphan is reported or the reaper is notified, for at most `timeout`.
    fn sleep(&self, buffer: &mut EventBuffer, timeout: Option<Duration>) -> Vec<u64> {
        let mut reported = Vec::new();
        match (&self.watch, timeout) {
            (Some(watch), _) => {
                let waited = watch.epoll.wait(buffer, timeout, |event| reported.push(event.key));
                waited.expect("epoll_wait on an epoll instance of our own fails only when interrupted");
            }
            (None, Some(timeout)) => thread::park_timeout(timeout),
            (None, None) => thread::park(),
        }
        reported
    }
}
