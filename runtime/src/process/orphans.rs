//! Children whose handles were dropped: each is waited for when it ends, so that it leaves no zombie.
//!
//! One thread, the *sitter*, does that for the whole process. It is there only while there are orphans, and sleeps until one of
//! them ends: an epoll instance watches their pidfds. Where no descriptors are left, it looks again and again, ever more
//! rarely. Whoever drops a handle never waits here.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::os;
use crate::os::epoll::{Epoll, EventBuffer, EventFd};
use crate::pool::Lease;

/// How long the sitter sleeps between two looks at orphans that nothing tells of: this, and then twice as long each time up
/// to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(512);

/// The key of the eventfd; no orphan has it.
const POKE: u64 = u64::MAX;

static NURSERY: Mutex<Nursery> =
    Mutex::new(Nursery { orphans: BTreeMap::new(), next: 0, unseen: 0, sitter: None });

/// All orphans of the process.
struct Nursery {
    orphans: BTreeMap<u64, Orphan>,
    next: u64,
    /// How many of them no event will tell of.
    unseen: usize,
    /// `None` while there is no thread.
    sitter: Option<Arc<Sitter>>,
}

/// A child that nobody else will wait for.
struct Orphan {
    child: process::Child,
    /// Watched, if there is one and the orphan is seen.
    _pidfd: Option<OwnedFd>,
    is_seen: bool,
    /// The thread that is its parent goes on while it lives.
    _lease: Option<Lease>,
}

/// How the thread is reached.
struct Sitter {
    watch: Option<Watch>,
    thread: OnceLock<Thread>,
}

/// What tells of ends.
struct Watch {
    epoll: Epoll,
    eventfd: EventFd,
}

/// Sees to it that `child` is waited for when it ends. `pidfd` is the child's.
pub(super) fn adopt(child: process::Child, pidfd: Option<OwnedFd>, lease: Option<Lease>) {
    let pidfd = pidfd.or_else(|| os::process::pidfd(child.id()).ok());
    let mut nursery = nursery();
    if nursery.sitter.is_none() {
        // If there can be no thread now, the next orphan tries again.
        nursery.sitter = Sitter::start();
    }
    let sitter = nursery.sitter.clone();
    let number = nursery.next;
    nursery.next += 1;
    let is_seen =
        sitter.as_ref().zip(pidfd.as_ref()).is_some_and(|(sitter, pidfd)| sitter.watches(pidfd, number));
    nursery.orphans.insert(number, Orphan { child, _pidfd: pidfd, is_seen, _lease: lease });
    if !is_seen {
        nursery.unseen += 1;
        if let Some(sitter) = sitter {
            sitter.poke();
        }
    }
}

fn nursery() -> MutexGuard<'static, Nursery> {
    NURSERY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Orphan {
    /// Also if somebody else has waited for it.
    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Nursery {
    /// Takes out those that have ended: of the seen ones those that were reported, of the others all.
    fn take_ended(&mut self, reported: &[u64]) -> Vec<Orphan> {
        let mut ended = Vec::new();
        for number in reported {
            let Some(orphan) = self.orphans.get_mut(number) else { continue };
            if orphan.has_ended() {
                ended.extend(self.orphans.remove(number));
            } else if std::mem::take(&mut orphan.is_seen) {
                // A tracer has to let it go first, of which no event tells.
                self.unseen += 1;
            }
        }
        if self.unseen > 0 {
            ended.extend(
                self.orphans
                    .extract_if(.., |_, orphan| !orphan.is_seen && orphan.has_ended())
                    .map(|(_, orphan)| orphan),
            );
            self.unseen = self.orphans.values().filter(|orphan| !orphan.is_seen).count();
        }
        ended
    }
}

impl Watch {
    fn new() -> Option<Self> {
        let epoll = Epoll::new().ok()?;
        let eventfd = EventFd::watched_by(&epoll, POKE).ok()?;
        Some(Self { epoll, eventfd })
    }
}

impl Sitter {
    /// Starts the thread; the caller holds the lock.
    fn start() -> Option<Arc<Self>> {
        let this = Arc::new(Self { watch: Watch::new(), thread: OnceLock::new() });
        let sitter = Arc::clone(&this);
        let thread = os::thread::start("abaca-orphans".into(), move || sitter.sit()).ok()?;
        let _ = this.thread.set(thread.thread().clone());
        Some(this)
    }

    /// Whether it will be told of the end.
    fn watches(&self, pidfd: &OwnedFd, number: u64) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.epoll.add(pidfd.as_fd(), number).is_ok())
    }

    /// There is an orphan that it does not see.
    fn poke(&self) {
        match &self.watch {
            Some(watch) => watch.eventfd.poke(),
            None => self.thread.get().expect("set under the lock").unpark(),
        }
    }

    /// The thread's life.
    fn sit(&self) {
        let mut buffer = EventBuffer::new(64);
        let (mut pause, mut unseen) = (FIRST_PAUSE, nursery().unseen);
        loop {
            let reported = self.sleep(&mut buffer, (unseen > 0).then_some(pause));
            let mut nursery = nursery();
            pause = if nursery.unseen > unseen { FIRST_PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
            let ended = nursery.take_ended(&reported);
            unseen = nursery.unseen;
            if nursery.orphans.is_empty() {
                nursery.sitter = None;
                return;
            }
            drop(nursery);
            drop(ended);
        }
    }

    /// Sleeps until something is reported, or it is poked, at most for `timeout`.
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
