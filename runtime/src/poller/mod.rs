//! The poller turns what the kernel reports about descriptors into wake-ups.
//!
//! A [`Poller`] is one epoll instance with the registrations made with it. [`Poller::wait`] passes each claimed
//! wake-up to its caller; it never calls up. Descriptors are registered once, edge-triggered, for both directions,
//! at their first block. `README.md` tells the protocol of readiness.

#[cfg(all(test, loom))]
mod model;
mod node;
mod registry;
mod ring;
mod slot;
mod source;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use node::Node;
use registry::Registry;
use slot::Edge;
pub(crate) use slot::{Place, Seen, Way};
pub(crate) use source::{Bell, Source};

use crate::cell::Woken;
use crate::os::epoll::{
    BROKEN, Epoll, EventBuffer, EventFd, READ_ENDED, READABLE, URGENT, WRITABLE, wait_one,
};
use crate::os::fork::Generation;

/// The key of the eventfd; no registration has it.
const POKE: u64 = u64::MAX;

/// How many events one wait takes from the kernel.
const BATCH: usize = 256;

/// See the module's documentation.
pub(crate) struct Poller {
    epoll: Epoll,
    eventfd: EventFd,
    registry: Registry,
    /// Taken by whoever waits, which is always the same thread.
    buffer: Mutex<EventBuffer>,
    /// Held from the look for a registration to the publication of a new one.
    registering: Mutex<()>,
    is_shut_down: AtomicBool,
    /// The process that polls: its epoll instance is not for copies to change.
    generation: Generation,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let epoll = Epoll::new()?;
        let eventfd = EventFd::watched_by(&epoll, POKE)?;
        Ok(Arc::new(Self {
            epoll,
            eventfd,
            registry: Registry::new(),
            buffer: Mutex::new(EventBuffer::new(BATCH)),
            registering: Mutex::new(()),
            is_shut_down: AtomicBool::new(false),
            generation: Generation::current(),
        }))
    }

    /// Waits for events (`None`: until there is one) and passes on whom they wake. Returns early after a poke.
    pub(crate) fn wait(&self, timeout: Option<Duration>, mut wake: impl FnMut(Woken)) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.epoll.wait(&mut buffer, timeout, |event| {
            if event.key == POKE {
                return;
            }
            let Some(slot) = self.registry.find(event.key) else { return };
            let edge = |ready: u32, without_hints: u32| match event.bits {
                bits if bits & (without_hints | BROKEN) != 0 => Edge::WithoutHints,
                bits if bits & ready != 0 => Edge::Ready,
                _ => Edge::None,
            };
            slot.event([edge(READABLE, READ_ENDED | URGENT), edge(WRITABLE, 0)], &mut wake);
        });
        result.expect("epoll_wait on an epoll instance of our own fails only when interrupted");
    }

    /// Ends the current [`wait`](Self::wait), or the next one.
    pub(crate) fn poke(&self) {
        self.eventfd.poke();
    }

    /// Whether an event waits to be taken. From any thread.
    pub(crate) fn has_events(&self) -> bool {
        wait_one(self.epoll.as_fd(), true, Some(Duration::ZERO)).unwrap_or(false)
    }

    /// How many descriptors are registered: none need no polling.
    pub(crate) fn registered(&self) -> usize {
        self.registry.len()
    }

    /// Nobody will [`wait`](Self::wait) any more. Whoever blocks on a descriptor that is registered here, now or
    /// later, registers it elsewhere: a fiber of another runtime may.
    pub(crate) fn shut_down(&self, mut wake: impl FnMut(Woken)) {
        // Release: pairs with the Acquire in `is_shut_down`.
        self.is_shut_down.store(true, Ordering::Release);
        // All of them, whether in line or not.
        self.registry.for_each(|slot| slot.event([Edge::WithoutHints; 2], &mut wake));
    }

    fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Acquire)
    }

    /// Returns the index of the slot.
    fn register(&self, fd: BorrowedFd<'_>) -> io::Result<u32> {
        let (index, key) = self.registry.occupy();
        self.epoll.add(fd, key).inspect_err(|_| self.registry.vacate(index))?;
        Ok(index)
    }

    fn deregister(&self, fd: BorrowedFd<'_>, index: u32) {
        if !self.generation.is_current() {
            // The parent waits with it.
            return;
        }
        // It fails if the descriptor was closed behind our back, and then it is no longer watched either.
        let _ = self.epoll.remove(fd);
        self.registry.vacate(index);
    }
}
