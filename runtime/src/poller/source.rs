//! A descriptor's registrations: made at its first block, undone when it is closed.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};

use super::Poller;
use super::direction::{Cause, Direction, Node, Way};

/// What a descriptor is to pollers. Its owner calls [`deregister`](Source::deregister) before it closes the
/// descriptor.
#[derive(Default)]
pub(crate) struct Source(OnceLock<Registration>);

/// One registration. In nearly all programs a descriptor has one, with the poller of the fiber that blocked
/// first. A runtime that is shut down no longer polls, so whoever blocks after that registers with the next
/// poller; older registrations stay until the end, since others may be looking at them.
struct Registration {
    poller: Arc<Poller>,
    key: u64,
    next: OnceLock<Box<Registration>>,
}

impl Source {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// To be called before the system call that acts on readiness.
    #[inline]
    pub(crate) fn consume(&self, way: Way) {
        if let Some(registration) = self.0.get() {
            registration.direction(way).consume();
        }
    }

    /// Links a wait for readiness, registering the descriptor first if need be; returns where, for
    /// [`Direction::unlink`]. `None`: there is readiness that nobody has acted on, so try again instead of waiting.
    ///
    /// # Errors
    ///
    /// What epoll says of a descriptor that it cannot watch.
    #[inline]
    pub(crate) fn link(
        &self,
        fd: BorrowedFd<'_>,
        way: Way,
        node: &Node,
        cause: Cause,
        poller: impl FnOnce() -> Arc<Poller>,
    ) -> io::Result<Option<&Direction>> {
        let registration = match self.0.get() {
            Some(first) if !first.poller.is_shut_down() => first,
            _ => self.register(fd, poller())?,
        };
        let direction = registration.direction(way);
        Ok(direction.enqueue(node, cause).then_some(direction))
    }

    /// The first registration whose poller still polls, made with `poller` if there is none.
    #[cold]
    fn register(&self, fd: BorrowedFd<'_>, poller: Arc<Poller>) -> io::Result<&Registration> {
        let mut at = self.0.get();
        let mut last = None;
        loop {
            while let Some(registration) = at {
                if !registration.poller.is_shut_down() {
                    return Ok(registration);
                }
                last = Some(registration);
                at = registration.next.get().map(|next| &**next);
            }
            let key = match poller.register(fd) {
                Ok(key) => key,
                // Another thread is between the registration and its publication.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    std::thread::yield_now();
                    at = self.after(last);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let made = Registration { poller: Arc::clone(&poller), key, next: OnceLock::new() };
            let lost = match last {
                None => self.0.set(made).err(),
                Some(last) => last.next.set(Box::new(made)).err().map(|made| *made),
            };
            if let Some(lost) = lost {
                // Another thread registered with another poller meanwhile: that one will do.
                lost.poller.deregister(fd, lost.key);
            }
            at = self.after(last);
        }
    }

    fn after<'a>(&'a self, last: Option<&'a Registration>) -> Option<&'a Registration> {
        match last {
            None => self.0.get(),
            Some(last) => last.next.get().map(|next| &**next),
        }
    }

    /// Undoes all registrations.
    pub(crate) fn deregister(&mut self, fd: BorrowedFd<'_>) {
        let mut next = self.0.take();
        while let Some(mut registration) = next {
            registration.poller.deregister(fd, registration.key);
            next = registration.next.take().map(|boxed| *boxed);
        }
    }
}

impl Registration {
    #[inline]
    fn direction(&self, way: Way) -> &Direction {
        let slot = self.poller.registry.find(self.key).expect("vacated only when the descriptor is dropped");
        match way {
            Way::Read => &slot.read,
            Way::Write => &slot.write,
        }
    }
}
