//! A non-blocking descriptor whose operations block the fiber: the one retry loop that all of them go through.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::fiber::{Outcome, Reason};
use crate::os::epoll;
use crate::park;
use crate::poller::{Cause, Node, Source, Way};
use crate::scheduler;

/// Whether a short operation means that the kernel's buffer is drained (or full).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stream socket: it does. See `poller/README.md`.
    Stream,
    /// Anything else.
    Other,
}

/// See the module's documentation. `T` owns the descriptor.
pub(crate) struct Descriptor<T: AsFd> {
    /// `Some` until it is taken out.
    inner: Option<T>,
    source: Source,
    kind: Kind,
    /// The user asked for errors instead of waits.
    nonblocking: AtomicBool,
    read: Side,
    write: Side,
}

/// What is kept for each direction.
struct Side {
    /// The last operation was short.
    is_drained: AtomicBool,
    /// Nanoseconds; 0 is no timeout.
    timeout: AtomicU64,
}

impl Side {
    fn new() -> Self {
        Self { is_drained: AtomicBool::new(false), timeout: AtomicU64::new(0) }
    }

    fn timeout(&self) -> Option<Duration> {
        let nanos = self.timeout.load(Ordering::Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }
}

impl<T: AsFd> Descriptor<T> {
    /// `inner` is in non-blocking mode.
    pub(crate) fn new(inner: T, kind: Kind) -> Self {
        Self {
            inner: Some(inner),
            source: Source::new(),
            kind,
            nonblocking: AtomicBool::new(false),
            read: Side::new(),
            write: Side::new(),
        }
    }

    pub(crate) fn get(&self) -> &T {
        self.inner.as_ref().expect("taken out only by `into_inner`")
    }

    /// Gives the descriptor back, no longer watched.
    pub(crate) fn into_inner(mut self) -> T {
        self.release().expect("taken out only here")
    }

    fn release(&mut self) -> Option<T> {
        let inner = self.inner.take()?;
        self.source.deregister(inner.as_fd());
        Some(inner)
    }

    fn side(&self, way: Way) -> &Side {
        match way {
            Way::Read => &self.read,
            Way::Write => &self.write,
        }
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// How long an operation waits at most; `None` is for ever.
    pub(crate) fn timeout(&self, way: Way) -> Option<Duration> {
        self.side(way).timeout()
    }

    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero, as std.
    pub(crate) fn set_timeout(&self, way: Way, timeout: Option<Duration>) -> io::Result<()> {
        let nanos = match timeout {
            None => 0,
            Some(Duration::ZERO) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
            }
            Some(timeout) => u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX),
        };
        self.side(way).timeout.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// A transfer of bytes: `call` says how many of `wanted` it moved.
    #[inline]
    pub(crate) fn transfer(
        &self,
        way: Way,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let reason = if way == Way::Read { Reason::Read } else { Reason::Write };
        let is_short = |moved: &usize| self.kind == Kind::Stream && *moved < wanted && *moved != 0;
        self.retry(way, reason, call, is_short)
    }

    /// Makes `call` until it no longer says that it would block; waits for readiness in between.
    ///
    /// # Errors
    ///
    /// Those of `call`, except `Interrupted`, which is retried. `WouldBlock` when the direction's timeout passes
    /// (as std on Linux), or in non-blocking mode.
    #[inline]
    pub(crate) fn retry<R>(
        &self,
        way: Way,
        reason: Reason,
        mut call: impl FnMut(&T) -> io::Result<R>,
        is_short: impl Fn(&R) -> bool,
    ) -> io::Result<R> {
        let inner = self.get();
        let side = self.side(way);
        let mut deadline = None;
        if side.is_drained.load(Ordering::Relaxed) && !self.nonblocking.load(Ordering::Relaxed) {
            self.wait(way, reason, Cause::Drained, &mut deadline)?;
        }
        loop {
            self.source.consume(way);
            match call(inner) {
                Ok(result) => {
                    side.is_drained.store(is_short(&result), Ordering::Relaxed);
                    scheduler::yield_from_io();
                    return Ok(result);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.nonblocking.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    self.wait(way, reason, Cause::WouldBlock, &mut deadline)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until the direction may be ready. The deadline is set at an operation's first wait.
    #[inline(never)]
    pub(crate) fn wait(
        &self,
        way: Way,
        reason: Reason,
        cause: Cause,
        deadline: &mut Option<Instant>,
    ) -> io::Result<()> {
        if deadline.is_none() {
            *deadline = self.timeout(way).and_then(|timeout| Instant::now().checked_add(timeout));
        }
        let fd = self.get().as_fd();
        // While a fiber unwinds, its I/O blocks the thread: `panicking` must not show up in a neighbour.
        if !park::on_fiber() || std::thread::panicking() {
            return wait_on_thread(fd, way, *deadline);
        }
        let node = Node::new(park::waiter());
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        let Some(direction) = self.source.link(fd, way, &node, cause, poller)? else { return Ok(()) };
        match park::wait(&node.waiter, reason, *deadline) {
            Outcome::Notified => Ok(()),
            Outcome::TimedOut => {
                direction.unlink(&node);
                Err(timed_out())
            }
            Outcome::Cancelled => {
                direction.unlink(&node);
                park::unwind()
            }
        }
    }
}

impl<T: AsFd> Drop for Descriptor<T> {
    fn drop(&mut self) {
        drop(self.release());
    }
}

impl<T: AsFd> AsFd for Descriptor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get().as_fd()
    }
}

#[cold]
fn wait_on_thread(fd: BorrowedFd<'_>, way: Way, deadline: Option<Instant>) -> io::Result<()> {
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    match epoll::wait_one(fd, way == Way::Read, left) {
        Ok(true) => Ok(()),
        Ok(false) => Err(timed_out()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
    }
}

/// The error of a timeout, the one that std's sockets give on Linux.
#[cold]
fn timed_out() -> io::Error {
    io::Error::from(io::ErrorKind::WouldBlock)
}
