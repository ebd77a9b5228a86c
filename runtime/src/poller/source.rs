//! A descriptor's registrations: made at its first block, undone when it is closed.

#![expect(unsafe_code, reason = "registrations keep the addresses of their slots")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, PoisonError};

use super::Poller;
use super::node::Node;
use super::side::Snapshot;
use super::slot::{Direction, Entry, Event, LinkResult, Slot};
use crate::cell::Wakeup;

/// The registrations of a descriptor. The owner must call [`deregister`](Source::deregister) before it closes the
/// descriptor.
///
/// It has the address of the latest registration, which owns the earlier ones; null if there is none.
#[derive(Default)]
pub(crate) struct Source(AtomicPtr<Registration>);

/// One registration. In nearly all programs a descriptor has one, with the poller of the fiber that blocked
/// first. A runtime that is shut down no longer polls, so a fiber that blocks after that registers the descriptor with
/// its own poller. Older registrations stay until the end, since other threads may be using them.
struct Registration {
    poller: Arc<Poller>,
    /// The registration's slot, and its index. The slot is the poller's.
    slot: NonNull<Slot>,
    index: u32,
    /// A duplicate that is watched in place of the descriptor, if the descriptor was registered already: two
    /// `Pollable`s may borrow one descriptor.
    duplicate: Option<OwnedFd>,
    earlier: Option<NonNull<Registration>>,
}

// SAFETY: slots are shared between threads, and live as long as the poller, which is `Send` and `Sync`.
unsafe impl Send for Registration {}
// SAFETY: as above.
unsafe impl Sync for Registration {}

/// Names a registration, to wake those who wait as if an event had come. It stays valid after the descriptor was closed; then it
/// does nothing.
#[derive(Clone)]
pub(crate) struct Notifier {
    poller: Arc<Poller>,
    key: u64,
}

impl PartialEq for Notifier {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && Arc::ptr_eq(&self.poller, &other.poller)
    }
}

impl Notifier {
    /// Wakes the readers that wait, and keeps those from waiting that took their snapshot before.
    pub(crate) fn notify_readers(&self, wake: impl FnMut(Wakeup)) {
        self.notify([Event::Ready, Event::None], wake);
    }

    /// The same for writers.
    pub(crate) fn notify_writers(&self, wake: impl FnMut(Wakeup)) {
        self.notify([Event::None, Event::Ready], wake);
    }

    fn notify(&self, events: [Event; 2], mut wake: impl FnMut(Wakeup)) {
        if let Some(slot) = self.poller.registry.find(self.key) {
            slot.event(events, &mut wake);
        }
    }

    /// Whether the registration still exists.
    pub(crate) fn is_in_use(&self) -> bool {
        self.poller.registry.find(self.key).is_some()
    }
}

impl Source {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The current state of a direction. Must be called before the system call that acts on it.
    #[inline]
    pub(crate) fn snapshot(&self, direction: Direction) -> Snapshot<'_> {
        match self.latest() {
            Some(registration) => registration.slot().snapshot(direction),
            None => Snapshot::UNREGISTERED,
        }
    }

    /// Links a node that waits for an event after the snapshot, and returns where. Registers the descriptor first if
    /// necessary. `None` if there was an event: the caller must try again instead of waiting.
    ///
    /// # Errors
    ///
    /// The error of `epoll_ctl` if epoll cannot watch the descriptor.
    #[inline(always)]
    pub(crate) fn link<'a>(
        &'a self,
        fd: BorrowedFd<'_>,
        direction: Direction,
        node: &Node,
        snapshot: Snapshot<'a>,
        poller: impl Fn() -> Arc<Poller>,
    ) -> io::Result<Option<Entry<'a>>> {
        let mut registration = match self.latest() {
            Some(latest) => latest,
            None => self.register(fd, poller())?,
        };
        loop {
            let slot = registration.slot();
            match slot.link(direction, node, snapshot, || registration.poller.is_shut_down()) {
                LinkResult::Linked => return Ok(Some(Entry { slot, direction })),
                LinkResult::Ready => return Ok(None),
                LinkResult::Closed => registration = self.register(fd, poller())?,
            }
        }
    }

    /// Registers the descriptor if it has never been, as [`link`](Self::link) would, which also says what was wrong. A caller with a deep
    /// frame does it before: to register takes more stack than to wait.
    #[cfg(feature = "own-tls")]
    #[inline(always)]
    pub(crate) fn prepare<'a>(&self, with: impl FnOnce() -> (BorrowedFd<'a>, Arc<Poller>)) {
        if self.latest().is_none() {
            let (fd, poller) = with();
            // An error comes again in `link`.
            let _ = self.register(fd, poller);
        }
    }

    /// A notifier for those who wait for the descriptor. Registers the descriptor first if necessary.
    ///
    /// # Errors
    ///
    /// As [`link`](Self::link).
    pub(crate) fn notifier(
        &self,
        fd: BorrowedFd<'_>,
        poller: impl Fn() -> Arc<Poller>,
    ) -> io::Result<Notifier> {
        let registration = self.registered(fd, &poller)?;
        let poller = Arc::clone(&registration.poller);
        let key = poller.registry.key_of(registration.index);
        Ok(Notifier { poller, key })
    }

    /// The registration to wait with.
    fn registered(&self, fd: BorrowedFd<'_>, poller: &impl Fn() -> Arc<Poller>) -> io::Result<&Registration> {
        match self.latest() {
            Some(latest) if !latest.poller.is_shut_down() => Ok(latest),
            _ => self.register(fd, poller()),
        }
    }

    /// Whether the descriptor is registered with a poller that `is_ours` accepts.
    #[inline]
    pub(crate) fn is_polled_by(&self, is_ours: impl FnOnce(&Poller) -> bool) -> bool {
        self.latest().is_some_and(|registration| is_ours(&registration.poller))
    }

    /// Unlinks a task's node, unless an event has done so; the event then delivers the node's wake-up.
    #[cfg_attr(not(feature = "hyper"), allow(dead_code, reason = "the feature has the only tasks"))]
    pub(crate) fn unlink(&self, direction: Direction, node: &Node) {
        if self.all().any(|registration| registration.slot().unlink(direction, node)) {
            node.release();
        }
    }

    #[inline(always)]
    fn latest(&self) -> Option<&Registration> {
        // Acquire: pairs with the Release in `register`.
        // SAFETY: a registration stays where it is until the source is borrowed mutably.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// All registrations, the latest first.
    fn all(&self) -> impl Iterator<Item = &Registration> {
        std::iter::successors(self.latest(), |registration| {
            // SAFETY: as in `latest`.
            registration.earlier.map(|earlier| unsafe { earlier.as_ref() })
        })
    }

    /// Takes all registrations out, the latest first.
    fn take_all(&mut self) -> impl Iterator<Item = Registration> + use<> {
        let mut next = NonNull::new(std::mem::replace(self.0.get_mut(), ptr::null_mut()));
        std::iter::from_fn(move || {
            // SAFETY: made by `register`, from a box, and in no list any more.
            let registration = unsafe { *Box::from_raw(next.take()?.as_ptr()) };
            next = registration.earlier;
            Some(registration)
        })
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
            let last = last.map_or(ptr::null_mut(), |last| ptr::from_ref(last).cast_mut());
            let made =
                Registration { earlier: NonNull::new(last), ..Registration::new(fd, Arc::clone(&poller))? };
            let made = Box::into_raw(Box::new(made));
            // Release: pairs with the Acquire in `latest`.
            if self.0.compare_exchange(last, made, Ordering::Release, Ordering::Relaxed).is_err() {
                // Another thread has registered the descriptor with another poller meanwhile: that registration will do.
                // SAFETY: it was made above, and nobody else knows it.
                unsafe { Box::from_raw(made) }.undo(fd);
            }
        }
    }

    /// Makes sure that the latest registration is of the file that `fd` is now. Nodes that are linked stay so.
    ///
    /// # Errors
    ///
    /// The error of `epoll_ctl`: EBADF if `fd` is not open.
    #[cfg(feature = "own-tls")]
    pub(crate) fn renew(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self.latest() {
            Some(latest) if latest.duplicate.is_none() => latest.poller.renew(fd, latest.index),
            _ => Ok(()),
        }
    }

    /// Wakes all who wait, with all registrations: they look again.
    #[cfg(feature = "own-tls")]
    pub(crate) fn wake_all(&self, mut wake: impl FnMut(Wakeup)) {
        self.all().for_each(|registration| registration.slot().event([Event::Ready; 2], &mut wake));
    }

    /// Whether a node is linked, with any registration. From any thread.
    #[cfg(feature = "own-tls")]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.all().any(|registration| registration.slot().is_waited_for())
    }

    /// Gives all registrations up. Their descriptor is closed, or has another number by now, so the kernel is not told.
    #[cfg(feature = "own-tls")]
    pub(crate) fn abandon(&mut self) {
        self.take_all().for_each(|registration| registration.poller.abandon(registration.index));
    }

    /// Undoes all registrations.
    pub(crate) fn deregister(&mut self, fd: BorrowedFd<'_>) {
        self.take_all().for_each(|registration| registration.undo(fd));
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.take_all().for_each(drop);
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
        let slot = NonNull::from(poller.registry.occupied(index));
        Ok(Self { poller, slot, index, duplicate, earlier: None })
    }

    fn undo(self, fd: BorrowedFd<'_>) {
        let fd = self.duplicate.as_ref().map_or(fd, AsFd::as_fd);
        self.poller.deregister(fd, self.index);
    }

    #[inline]
    fn slot(&self) -> &Slot {
        // SAFETY: the slots of a poller do not move, and are freed with it.
        unsafe { self.slot.as_ref() }
    }
}
