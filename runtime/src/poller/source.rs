//! A descriptor's registrations: made at its first block, undone when it is closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock, PoisonError};

use super::Poller;
use super::node::Node;
use super::slot::{Attempt, Edge, Place, Seen, Slot, Way};
use crate::cell::Woken;

/// What a descriptor is to pollers. Its owner calls [`deregister`](Source::deregister) before it closes the
/// descriptor.
#[derive(Default)]
pub(crate) struct Source(OnceLock<Registration>);

/// One registration. In nearly all programs a descriptor has one, with the poller of the fiber that blocked
/// first. A runtime that is shut down no longer polls, so whoever blocks after that registers with the next
/// poller; older registrations stay until the end, since others may be looking at them.
struct Registration {
    poller: Arc<Poller>,
    /// The index of its slot.
    index: u32,
    /// A duplicate that is watched in place of the descriptor, which something else registered already: two
    /// `Pollable`s may borrow one descriptor.
    duplicate: Option<OwnedFd>,
    next: OnceLock<Box<Registration>>,
}

/// A registration by its name: whoever waits to read there can be called as if something had arrived, whatever has become of
/// the descriptor meanwhile.
#[derive(Clone)]
pub(crate) struct Bell {
    poller: Arc<Poller>,
    key: u64,
}

impl PartialEq for Bell {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && Arc::ptr_eq(&self.poller, &other.poller)
    }
}

impl Bell {
    /// Calls those who wait, and those who are about to, whose look was before.
    pub(crate) fn ring(&self, mut wake: impl FnMut(Woken)) {
        if let Some(slot) = self.poller.registry.find(self.key) {
            slot.event([Edge::Ready, Edge::None], &mut wake);
        }
    }

    /// Whether the descriptor is still registered there.
    pub(crate) fn is_in_use(&self) -> bool {
        self.poller.registry.find(self.key).is_some()
    }
}

impl Source {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// To be called before the system call that acts on what is seen.
    #[inline]
    pub(crate) fn seen(&self, way: Way) -> Seen<'_> {
        match self.latest() {
            Some(registration) => registration.slot().seen(way),
            None => Seen::unregistered(way),
        }
    }

    /// Links a wait for an event after `seen`, registering the descriptor first if need be; returns where. `None`:
    /// there was an event, so try again instead of waiting.
    ///
    /// # Errors
    ///
    /// What epoll says of a descriptor that it cannot watch.
    pub(crate) fn link<'a>(
        &'a self,
        fd: BorrowedFd<'_>,
        way: Way,
        node: &Node,
        seen: Seen<'a>,
        poller: impl Fn() -> Arc<Poller>,
    ) -> io::Result<Option<Place<'a>>> {
        loop {
            let registration = self.registered(fd, &poller)?;
            let slot = registration.slot();
            match slot.link(node, seen, || registration.poller.is_shut_down()) {
                Attempt::Linked => return Ok(Some(Place { slot, way })),
                Attempt::Ready => return Ok(None),
                Attempt::Closed => {}
            }
        }
    }

    /// Whoever rings it calls those who wait to read. Registers the descriptor first if need be.
    ///
    /// # Errors
    ///
    /// As [`link`](Self::link).
    pub(crate) fn bell(&self, fd: BorrowedFd<'_>, poller: impl Fn() -> Arc<Poller>) -> io::Result<Bell> {
        let registration = self.registered(fd, &poller)?;
        let poller = Arc::clone(&registration.poller);
        let key = poller.registry.key_of(registration.index);
        Ok(Bell { poller, key })
    }

    /// The registration with which to wait.
    #[inline]
    fn registered(&self, fd: BorrowedFd<'_>, poller: &impl Fn() -> Arc<Poller>) -> io::Result<&Registration> {
        match self.latest() {
            Some(latest) if !latest.poller.is_shut_down() => Ok(latest),
            _ => self.register(fd, poller()),
        }
    }

    /// Whether it is registered with a poller of which `is_ours` holds.
    #[inline]
    pub(crate) fn is_polled_by(&self, is_ours: impl FnOnce(&Poller) -> bool) -> bool {
        self.latest().is_some_and(|registration| is_ours(&registration.poller))
    }

    /// Undoes the link of a task's node, unless an event has done so: that one then delivers its wake-up.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn unlink(&self, way: Way, node: &Node) {
        let mut next = self.0.get();
        while let Some(registration) = next {
            if registration.slot().unlink(way, node) {
                return node.forget();
            }
            next = registration.next.get().map(|boxed| &**boxed);
        }
    }

    #[inline]
    fn latest(&self) -> Option<&Registration> {
        let mut latest = self.0.get()?;
        while let Some(next) = latest.next.get() {
            latest = next;
        }
        Some(latest)
    }

    /// The latest registration if its poller still polls, else a new one with `poller`.
    #[cold]
    fn register(&self, fd: BorrowedFd<'_>, poller: Arc<Poller>) -> io::Result<&Registration> {
        let _one_at_a_time = poller.registering.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let last = self.latest();
            if let Some(last) = last
                && !last.poller.is_shut_down()
            {
                return Ok(last);
            }
            let made = Registration::new(fd, Arc::clone(&poller))?;
            let lost = match last {
                None => self.0.set(made).err(),
                Some(last) => last.next.set(Box::new(made)).err().map(|made| *made),
            };
            if let Some(lost) = lost {
                // Another thread registered with another poller meanwhile: that one will do.
                lost.undo(fd);
            }
        }
    }

    /// Undoes all registrations.
    pub(crate) fn deregister(&mut self, fd: BorrowedFd<'_>) {
        let mut next = self.0.take();
        while let Some(mut registration) = next {
            next = registration.next.take().map(|boxed| *boxed);
            registration.undo(fd);
        }
    }
}

impl Registration {
    fn new(fd: BorrowedFd<'_>, poller: Arc<Poller>) -> io::Result<Self> {
        let (index, duplicate) = match poller.register(fd) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let duplicate = fd.try_clone_to_owned()?;
                (poller.register(duplicate.as_fd())?, Some(duplicate))
            }
            result => (result?, None),
        };
        Ok(Self { poller, index, duplicate, next: OnceLock::new() })
    }

    fn undo(self, fd: BorrowedFd<'_>) {
        let fd = self.duplicate.as_ref().map_or(fd, AsFd::as_fd);
        self.poller.deregister(fd, self.index);
    }

    #[inline]
    fn slot(&self) -> &Slot {
        self.poller.registry.occupied(self.index)
    }
}
