//! A descriptor whose operations block the fiber: the one retry loop that all of them go through.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Idle;
use super::closing;
use super::mode::Mode;
use super::settings::{InKernel, Settings};
use super::waited::{GaveUp, Waited, wait_on_thread, would_block};
use crate::cell::{Outcome, Reason, Waiter};
use crate::os::epoll;
use crate::park::{self, Cost};
use crate::poller::{Node, Seen, Source, Way};
use crate::scheduler;
use crate::time;

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
    /// Set if the descriptor has to be in the kernel's non-blocking mode, and was not made here.
    mode: Option<Box<Mode>>,
}

// A panic leaves nothing half-done here: what a call did, it did to the kernel's object.
impl<T: AsFd> UnwindSafe for Descriptor<T> {}
impl<T: AsFd> RefUnwindSafe for Descriptor<T> {}

impl<T: AsFd> Descriptor<T> {
    /// `inner`, all of whose operations are made so that they say `WouldBlock` instead of blocking the thread.
    pub(crate) fn new(inner: T, kind: Kind) -> Self {
        Self { inner: Some(inner), source: Source::new(), kind, settings: OnceLock::new(), mode: None }
    }

    /// `inner`, in the kernel's non-blocking mode until it is given back; then it is in the mode that it had.
    ///
    /// # Errors
    ///
    /// What fstat(2) and fcntl(2) say.
    pub(crate) fn in_nonblocking_mode(inner: T, kind: Kind) -> io::Result<Self> {
        let mode = Mode::nonblocking(inner.as_fd())?;
        let mut this = Self::new(inner, kind);
        this.mode = Some(Box::new(mode));
        Ok(this)
    }

    /// A descriptor of the same socket, which shares the settings.
    pub(crate) fn twin(&self, inner: T) -> Self {
        let settings = OnceLock::from(Arc::clone(self.settings()));
        // It shares the mode as well. That can fail only for a descriptor that is not open.
        let mode = self.mode.as_ref().and_then(|_| Mode::nonblocking(inner.as_fd()).ok().map(Box::new));
        Self { inner: Some(inner), source: Source::new(), kind: self.kind, settings, mode }
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
        if let Some(mode) = &mut self.mode {
            mode.give_back(inner.as_fd());
        }
        Some(inner)
    }

    /// Whether it was in the kernel's non-blocking mode before it came here.
    pub(crate) fn was_nonblocking(&self) -> bool {
        self.mode.as_ref().is_some_and(|mode| mode.was_on())
    }

    fn settings(&self) -> &Arc<Settings> {
        self.settings.get_or_init(Arc::default)
    }

    /// What may end the idling of this socket, once somebody has [asked](Self::share_idle) for it.
    #[inline]
    pub(crate) fn idle(&self) -> Option<&Idle> {
        self.settings.get()?.idle.get().map(|idle| &**idle)
    }

    pub(crate) fn share_idle(&self) -> Arc<Idle> {
        Arc::clone(self.settings().idle.get_or_init(Arc::default))
    }

    /// Chooses between waits and errors, for the calls here and for the kernel's own; for those not before the last copy
    /// that is under way has ended.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.settings().set_nonblocking(self.as_fd(), nonblocking)
    }

    /// Like [`set_nonblocking`](Self::set_nonblocking) of what is always in the kernel's non-blocking mode.
    pub(crate) fn set_patience(&self, nonblocking: bool) {
        self.settings().nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Until what it returns is dropped, the kernel does not wait for this descriptor, whatever the call.
    pub(crate) fn in_kernel(&self) -> io::Result<InKernel<'_>> {
        self.settings().enter_kernel(self.as_fd())
    }

    /// What an earlier copy has read and not written. Who holds it is alone with the reader, as far as copies go.
    pub(super) fn left(&self) -> MutexGuard<'_, Vec<u8>> {
        self.settings().left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what an earlier copy has left; `None` if there is nothing.
    #[inline]
    pub(super) fn take_left(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut left = self.settings.get()?.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_empty() || buffer.is_empty() {
            return None;
        }
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        left.drain(..length);
        Some(length)
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

    /// [`transfer`](Self::transfer) whose `call` says itself how many it wanted.
    pub(super) fn transfer_hinted(
        &self,
        way: Way,
        wanted: &AtomicUsize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let reason = if way == Way::Read { Reason::Read } else { Reason::Write };
        let is_short = |moved: &usize| {
            self.kind == Kind::Stream && *moved < wanted.load(Ordering::Relaxed) && *moved != 0
        };
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
            if let Some(gave_up) = self.wait_for_hint(way, reason, seen, &mut deadline)? {
                return self.try_once_more(gave_up, call);
            }
            seen = self.source.seen(way);
        }
        loop {
            match call(inner) {
                Ok(result) => {
                    if is_short(&result) {
                        seen.mark_drained();
                    }
                    park::spend(Cost::InputOutput);
                    return Ok(result);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_nonblocking() {
                        park::spend(Cost::InVain);
                        return Err(error);
                    }
                    if let Some(gave_up) = self.wait(way, reason, seen, &mut deadline)? {
                        return Err(gave_up.tell());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // It may come back at once for as long as somebody else has not done something: EMFILE of an accept.
                    park::spend(Cost::InVain);
                    return Err(error);
                }
            }
            seen = self.source.seen(way);
        }
    }

    /// [`wait`](Self::wait) of a call that has not been made, since it would say `WouldBlock`, as far as this worker's poller
    /// knows. What another worker's poller knows may be old, if that worker is busy, so then the call is made.
    #[inline]
    fn wait_for_hint(
        &self,
        way: Way,
        reason: Reason,
        seen: Seen<'_>,
        deadline: &mut Option<Instant>,
    ) -> io::Result<Option<GaveUp>> {
        if self.source.is_polled_by(scheduler::is_current_poller) {
            self.wait(way, reason, seen, deadline)
        } else {
            Ok(None)
        }
    }

    /// The call that has not been made, whose wait has ended without an event. There may be something all the same: the
    /// poller had no turn since it came.
    #[cold]
    fn try_once_more<R>(&self, gave_up: GaveUp, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        loop {
            match call(self.get()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(gave_up.tell()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Waits for an event that `told`, the number of those that were told of before, does not count. There may be no
    /// trace of it any more when one looks.
    ///
    /// # Errors
    ///
    /// What epoll says of a descriptor that it cannot watch.
    pub(super) fn wait_for_event(&self, way: Way, reason: Reason, told: &AtomicU32) -> io::Result<()> {
        let seen = self.source.seen(way);
        if seen.events() == told.load(Ordering::Relaxed)
            && let Some(gave_up) = self.wait(way, reason, seen, &mut None)?
        {
            return Err(gave_up.tell());
        }
        told.store(self.source.seen(way).events(), Ordering::Relaxed);
        Ok(())
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
            time::sleep_until(deadline.map_or(now + pause, |at| at.min(now + pause)));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Waits for an event after `seen`; says so if it gave up. The deadline is set at an operation's first wait.
    #[inline(never)]
    fn wait(
        &self,
        way: Way,
        reason: Reason,
        seen: Seen<'_>,
        deadline: &mut Option<Instant>,
    ) -> io::Result<Option<GaveUp>> {
        match self.wait_with(Node::new, way, reason, seen, deadline)? {
            Waited::Event(_) => Ok(None),
            Waited::GaveUp(gave_up) => Ok(Some(gave_up)),
        }
    }

    /// [`wait`](Self::wait) with a node of that kind.
    pub(super) fn wait_with<'a>(
        &'a self,
        node: fn(Waiter) -> Node,
        way: Way,
        reason: Reason,
        seen: Seen<'a>,
        deadline: &mut Option<Instant>,
    ) -> io::Result<Waited<'a>> {
        if deadline.is_none() {
            *deadline = self.deadline(way);
        }
        let fd = self.get().as_fd();
        if !park::on_fiber() {
            return wait_on_thread(fd, way, *deadline).map(|()| Waited::Event(None));
        }
        let node = node(park::waiter());
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        let Some(place) = self.source.link(fd, way, &node, seen, poller)? else {
            return Ok(Waited::Event(None));
        };
        let gave_up = match park::wait(node.waiter(), reason, *deadline) {
            Outcome::Notified => return Ok(Waited::Event(Some(place))),
            Outcome::TimedOut => GaveUp::TimeIsUp,
            Outcome::Cancelled => GaveUp::Cancelled,
        };
        place.unlink(&node);
        Ok(Waited::GaveUp(gave_up))
    }
}

impl<T: AsFd> Drop for Descriptor<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.release() {
            closing::close(inner, self.kind == Kind::Stream || self.mode.is_some());
        }
    }
}

impl<T: AsFd> AsFd for Descriptor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get().as_fd()
    }
}
