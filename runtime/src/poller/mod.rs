//! The poller turns the kernel's readiness events into wake-ups.
//!
//! A [`Poller`] is one epoll instance with its registrations. [`Poller::wait`] passes each claimed wake-up to its caller; it
//! never calls up. Descriptors are registered once, edge-triggered, for both directions, at their first block. `README.md`
//! tells the protocol of readiness.

#[cfg(all(test, loom))]
mod model;
mod node;
mod registry;
mod side;
mod slot;
mod source;
mod waiting;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use node::Node;
#[cfg_attr(not(feature = "hyper"), allow(unused_imports, reason = "the feature has the only tasks"))]
pub(crate) use node::TaskNode;
use registry::Registry;
pub(crate) use side::Snapshot;
pub(crate) use slot::{Direction, Entry};
use slot::{Event, Slot};
pub(crate) use source::{Notifier, Source};

use crate::cell::Wakeup;
use crate::os::epoll::{
    BROKEN, Epoll, EventBuffer, EventFd, READ_ENDED, READABLE, URGENT, WRITABLE, wait_one,
};
#[cfg(feature = "own-tls")]
use crate::os::epoll::{Ready, wait_any};
use crate::os::fork::Generation;
use crate::queue::Count;

/// The key of the eventfd, which no registration has.
const NOTIFY: u64 = u64::MAX;

/// How many events one wait takes from the kernel.
const BATCH: usize = 256;

/// See the module's documentation.
pub(crate) struct Poller {
    epoll: Epoll,
    eventfd: EventFd,
    registry: Registry,
    /// Locked by the thread that waits, which is always the same one, or takes what is there in its place.
    buffer: Mutex<EventBuffer>,
    /// Held from the lookup of a registration to the publication of a new one.
    registering: Mutex<()>,
    is_shut_down: AtomicBool,
    /// How often the poller's thread has asked the kernel, and for how many descriptors there was an event.
    rounds: Count,
    events: Count,
    /// The process that polls. A forked copy of it must not change the epoll instance.
    generation: Generation,
}

/// Handles an event after which an operation may be short although there is more.
#[cold]
#[inline(never)]
fn rare_event(slot: &Slot, bits: u32, wake: &mut impl FnMut(Wakeup)) {
    let event_of = |ready: u32, hints_off: u32| match bits {
        bits if bits & (hints_off | BROKEN) != 0 => Event::HintsOff,
        bits if bits & ready != 0 => Event::Ready,
        _ => Event::None,
    };
    slot.event([event_of(READABLE, READ_ENDED | URGENT), event_of(WRITABLE, 0)], wake);
}

/// A poller can itself be watched: it is readable while it has events.
#[cfg(feature = "own-tls")]
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let epoll = Epoll::new()?;
        let eventfd = EventFd::watched_by(&epoll, NOTIFY)?;
        Ok(Arc::new(Self {
            epoll,
            eventfd,
            registry: Registry::new(),
            buffer: Mutex::new(EventBuffer::new(BATCH)),
            registering: Mutex::new(()),
            is_shut_down: AtomicBool::new(false),
            rounds: Count::default(),
            events: Count::default(),
            generation: Generation::current(),
        }))
    }

    /// Waits for events (`None`: without a timeout) and passes their wake-ups to `wake`. Returns early after a notification. Returns
    /// the number of events.
    pub(crate) fn wait(&self, timeout: Option<Duration>, wake: impl FnMut(Wakeup)) -> u64 {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        self.collect(&mut buffer, timeout, wake, || {})
    }

    /// Passes the wake-ups of the events that are there to `wake`, in the place of the thread that waits here and is busy. From any
    /// thread.
    pub(crate) fn collect_from_outside(&self, wake: impl FnMut(Wakeup)) {
        // If it is locked, that thread waits.
        if let Ok(mut buffer) = self.buffer.try_lock()
            && !self.is_shut_down()
        {
            // A notification is for that thread.
            self.collect(&mut buffer, Some(Duration::ZERO), wake, || self.notify());
        }
    }

    #[inline]
    fn collect(
        &self,
        buffer: &mut EventBuffer,
        timeout: Option<Duration>,
        mut wake: impl FnMut(Wakeup),
        notified: impl Fn(),
    ) -> u64 {
        let mut events = 0;
        let result = self.epoll.wait(buffer, timeout, |event| {
            if event.key == NOTIFY {
                return notified();
            }
            events += 1;
            let Some(slot) = self.registry.find(event.key) else { return };
            if event.bits & (READ_ENDED | URGENT | BROKEN) == 0 {
                let ready = |bits: u32| if event.bits & bits != 0 { Event::Ready } else { Event::None };
                slot.event([ready(READABLE), ready(WRITABLE)], &mut wake);
            } else {
                rare_event(slot, event.bits, &mut wake);
            }
        });
        self.rounds.add(1);
        self.events.add(events);
        result.expect("epoll_wait on an epoll instance of our own fails only when interrupted");
        events
    }

    /// Ends the current [`wait`](Self::wait), or the next one.
    pub(crate) fn notify(&self) {
        self.eventfd.notify();
    }

    /// Whether there is an event to take. From any thread.
    pub(crate) fn has_events(&self) -> bool {
        wait_one(self.epoll.as_fd(), true, Some(Duration::ZERO)).unwrap_or(false)
    }

    /// How often [`wait`](Self::wait) was called, and how many events it got. From any thread.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.rounds.get(), self.events.get())
    }

    /// Waits until there is an event to take, here or in the `other` poller, or `summons` is readable. Takes nothing.
    #[cfg(feature = "own-tls")]
    pub(crate) fn await_event(
        &self,
        summons: &EventFd,
        other: Option<&Self>,
        timeout: Option<Duration>,
    ) -> Ready {
        wait_any(&self.epoll, summons, other.map(|other| &other.epoll), timeout)
    }

    /// The number of registered descriptors. If it is 0, there is no need to poll.
    pub(crate) fn registered(&self) -> usize {
        self.registry.len()
    }

    /// Whether anybody waits for one of the `count` descriptors that were registered first. From any thread.
    pub(crate) fn is_waited_for(&self, count: usize) -> bool {
        self.registered() != 0 && self.registry.any(count, Slot::is_waited_for)
    }

    /// Shuts the poller down: [`wait`](Self::wait) must not be called any more. A fiber that waits for a descriptor that is
    /// registered here, now or later, registers it elsewhere; the fiber may be of another runtime.
    pub(crate) fn shut_down(&self, mut wake: impl FnMut(Wakeup)) {
        // Release: pairs with the Acquire in `is_shut_down`.
        self.is_shut_down.store(true, Ordering::Release);
        // `HintsOff` wakes all waiters, whether in line or not.
        self.registry.for_each(|slot| slot.event([Event::HintsOff; 2], &mut wake));
    }

    fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    /// Registers `fd`, and returns the index of its slot.
    fn register(&self, fd: BorrowedFd<'_>) -> io::Result<u32> {
        let (index, key) = self.registry.occupy();
        self.epoll.add(fd, key).inspect_err(|_| self.registry.vacate(index))?;
        Ok(index)
    }

    /// Watches `fd` again for the registration with this index.
    #[cfg(feature = "own-tls")]
    fn renew(&self, fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
        self.epoll.renew(fd, self.registry.key_of(index))
    }

    /// Gives a registration's slot back, whose descriptor was closed, or has another number.
    #[cfg(feature = "own-tls")]
    fn abandon(&self, index: u32) {
        self.registry.vacate(index);
    }

    fn deregister(&self, fd: BorrowedFd<'_>, index: u32) {
        if !self.generation.is_current() {
            // The parent process waits with this epoll instance.
            return;
        }
        // This fails if the descriptor was closed behind our back, and then it is no longer watched either.
        let _ = self.epoll.remove(fd);
        self.registry.vacate(index);
    }
}
