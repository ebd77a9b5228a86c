//! A descriptor whose operations block the fiber: the one retry loop that all of them go through.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::current;
use crate::fiber::{Chain, Outcome, Reason};
use crate::os::{epoll, socket};
use crate::park;
use crate::poller::{Node, Seen, Source, Way};
use crate::scheduler;

/// How long a call waits that no event will tell of: this, and then twice as long each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

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
    pub(super) source: Source,
    pub(super) kind: Kind,
    /// Made when something is set or shared.
    settings: OnceLock<Arc<Settings>>,
}

/// What a user sets for a socket. The kernel keeps such things per socket, so clones share them.
#[derive(Debug, Default)]
struct Settings {
    /// The user asked for errors instead of waits.
    nonblocking: AtomicBool,
    /// Nanoseconds; 0 is no timeout.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
    in_kernel: Mutex<Copies>,
}

/// The copies in the kernel that are under way; see `kernel_copy.rs`.
#[derive(Debug, Default)]
struct Copies {
    count: usize,
    /// Whether the last of them sets the kernel's mode: the first has switched `O_NONBLOCK` on, or the user has chosen since.
    must_restore: bool,
}

/// Keeps a descriptor in the kernel's non-blocking mode.
pub(crate) struct InKernel<'a> {
    settings: &'a Settings,
    fd: BorrowedFd<'a>,
}

impl Drop for InKernel<'_> {
    fn drop(&mut self) {
        let mut copies = self.settings.in_kernel.lock().unwrap_or_else(PoisonError::into_inner);
        copies.count -= 1;
        if copies.count == 0 && std::mem::take(&mut copies.must_restore) {
            // It cannot fail for an open descriptor.
            let _ = socket::set_nonblocking(self.fd, self.settings.nonblocking.load(Ordering::Relaxed));
        }
    }
}

impl Settings {
    fn timeout(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::Read => &self.read_timeout,
            Way::Write => &self.write_timeout,
        }
    }
}

// A panic leaves nothing half-done here: what a call did, it did to the kernel's object.
impl<T: AsFd> UnwindSafe for Descriptor<T> {}
impl<T: AsFd> RefUnwindSafe for Descriptor<T> {}

impl<T: AsFd> Descriptor<T> {
    /// `inner`, all of whose operations are made so that they say `WouldBlock` instead of blocking the thread.
    pub(crate) fn new(inner: T, kind: Kind) -> Self {
        Self { inner: Some(inner), source: Source::new(), kind, settings: OnceLock::new() }
    }

    /// A descriptor of the same socket, which shares the settings.
    pub(crate) fn twin(&self, inner: T) -> Self {
        let settings = OnceLock::from(Arc::clone(self.settings()));
        Self { inner: Some(inner), source: Source::new(), kind: self.kind, settings }
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

    fn settings(&self) -> &Arc<Settings> {
        self.settings.get_or_init(Arc::default)
    }

    /// Chooses between waits and errors, for the calls here and for the kernel's own; for those not before the last copy
    /// that is under way has ended.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        let settings = self.settings();
        let mut copies = settings.in_kernel.lock().unwrap_or_else(PoisonError::into_inner);
        if copies.count == 0 {
            socket::set_nonblocking(self.as_fd(), nonblocking)?;
        }
        copies.must_restore = copies.count > 0;
        settings.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Like [`set_nonblocking`](Self::set_nonblocking) of what is always in the kernel's non-blocking mode.
    pub(crate) fn set_patience(&self, nonblocking: bool) {
        self.settings().nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Until what it returns is dropped, the kernel does not wait for this descriptor, whatever the call.
    pub(crate) fn in_kernel(&self) -> io::Result<InKernel<'_>> {
        let (settings, fd) = (self.settings(), self.as_fd());
        let mut copies = settings.in_kernel.lock().unwrap_or_else(PoisonError::into_inner);
        copies.must_restore |= socket::set_nonblocking(fd, true)?;
        copies.count += 1;
        Ok(InKernel { settings, fd })
    }

    #[inline]
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.settings.get().is_some_and(|settings| settings.nonblocking.load(Ordering::Relaxed))
    }

    /// How long an operation waits at most; `None` is for ever. Never zero.
    pub(crate) fn set_timeout(&self, way: Way, timeout: Option<Duration>) {
        let nanos = timeout.map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        self.settings().timeout(way).store(nanos, Ordering::Relaxed);
    }

    fn deadline(&self, way: Way) -> Option<Instant> {
        let nanos = self.settings.get()?.timeout(way).load(Ordering::Relaxed);
        if nanos == 0 { None } else { Instant::now().checked_add(Duration::from_nanos(nanos)) }
    }

    /// A transfer of bytes: `call` says how many of `wanted` it moved.
    ///
    /// # Errors
    ///
    /// As [`retry`](Self::retry).
    #[inline]
    pub(crate) fn transfer(
        &self,
        way: Way,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let reason = if way == Way::Read { Reason::Read } else { Reason::Write };
        let is_short = |moved: &usize| self.kind == Kind::Stream && *moved < wanted && *moved != 0;
        self.retry(way, reason, None, call, is_short)
    }

    /// Waits until poll(2) says that the descriptor is ready.
    ///
    /// # Errors
    ///
    /// What epoll says of a descriptor that it cannot watch.
    pub(crate) fn wait_until_ready(&self, way: Way) -> io::Result<()> {
        let reason = if way == Way::Read { Reason::Read } else { Reason::Write };
        let look = |inner: &T| match epoll::wait_one(inner.as_fd(), way == Way::Read, Some(Duration::ZERO))? {
            true => Ok(()),
            false => Err(would_block()),
        };
        self.retry(way, reason, None, look, |()| false)
    }

    /// Makes `call` until it no longer says that it would block; waits for readiness in between, until `deadline`,
    /// or else for as long as the direction's timeout says.
    ///
    /// # Errors
    ///
    /// Those of `call`, except `Interrupted`, which is retried. `WouldBlock` when the deadline passes (as std on
    /// Linux), or in non-blocking mode.
    #[inline]
    pub(crate) fn retry<R>(
        &self,
        way: Way,
        reason: Reason,
        mut deadline: Option<Instant>,
        mut call: impl FnMut(&T) -> io::Result<R>,
        is_short: impl Fn(&R) -> bool,
    ) -> io::Result<R> {
        let inner = self.get();
        let mut seen = self.source.seen(way);
        if seen.is_drained() && !self.is_nonblocking() {
            self.wait(way, reason, seen, &mut deadline)?;
            seen = self.source.seen(way);
        }
        loop {
            match call(inner) {
                Ok(result) => {
                    if is_short(&result) {
                        seen.mark_drained();
                    }
                    scheduler::yield_from_io();
                    return Ok(result);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_nonblocking() {
                        return Err(error);
                    }
                    self.wait(way, reason, seen, &mut deadline)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            seen = self.source.seen(way);
        }
    }

    /// [`retry`](Self::retry) for a call that also says `WouldBlock` of something other than the descriptor, of which
    /// no event will tell: as long as the descriptor itself is ready, asks again after a pause.
    ///
    /// # Errors
    ///
    /// As [`retry`](Self::retry).
    pub(crate) fn retry_with_pauses<R>(
        &self,
        way: Way,
        reason: Reason,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let deadline = self.deadline(way);
        let mut pause = FIRST_PAUSE;
        loop {
            let look = |inner: &T| match call(inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let is_ready = epoll::wait_one(inner.as_fd(), way == Way::Read, Some(Duration::ZERO))?;
                    if is_ready { Ok(None) } else { Err(error) }
                }
                result => result.map(Some),
            };
            if let Some(result) = self.retry(way, reason, deadline, look, |_| false)? {
                return Ok(result);
            }
            let now = Instant::now();
            if self.is_nonblocking() || deadline.is_some_and(|at| at <= now) {
                return Err(would_block());
            }
            current::sleep_until(deadline.map_or(now + pause, |at| at.min(now + pause)));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Waits for an event after `seen`. The deadline is set at an operation's first wait.
    #[inline(never)]
    fn wait(
        &self,
        way: Way,
        reason: Reason,
        seen: Seen<'_>,
        deadline: &mut Option<Instant>,
    ) -> io::Result<()> {
        if deadline.is_none() {
            *deadline = self.deadline(way);
        }
        let fd = self.get().as_fd();
        if !park::on_fiber() {
            return wait_on_thread(fd, way, *deadline);
        }
        let node = Node::new(park::waiter());
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        let Some(place) = self.source.link(fd, way, &node, seen, poller)? else { return Ok(()) };
        match park::wait(node.waiter(), reason, *deadline) {
            Outcome::Notified => Ok(()),
            Outcome::TimedOut => {
                place.unlink(&node);
                Err(would_block())
            }
            Outcome::Cancelled => {
                place.unlink(&node);
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

/// How often a plain thread that polls looks whether it was cancelled through a token, which cannot end a poll(2).
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[cold]
fn wait_on_thread(fd: BorrowedFd<'_>, way: Way, deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let now = Instant::now();
        let mut until = deadline;
        let mut is_whole = true;
        if !std::thread::panicking() {
            let outlook = park::with_chain(Chain::outlook);
            if park::is_cancelled() {
                park::unwind();
            }
            let look_again = outlook.has_signals.then(|| now + LOOK_AGAIN);
            // One that has passed is of a boundary to which the thread cannot unwind.
            let nearest = outlook.nearest.and_then(|_| park::with_chain(|chain| chain.nearest_after(now)));
            for sooner in nearest.into_iter().chain(look_again) {
                if until.is_none_or(|until| sooner <= until) {
                    until = Some(sooner);
                    is_whole = false;
                }
            }
        }
        let left = until.map(|at| at.saturating_duration_since(now));
        match epoll::wait_one(fd, way == Way::Read, left) {
            Ok(true) => return Ok(()),
            Ok(false) if is_whole => return Err(would_block()),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Also the error of a timeout: the one that std's sockets give on Linux.
#[cold]
fn would_block() -> io::Error {
    io::Error::from(io::ErrorKind::WouldBlock)
}
