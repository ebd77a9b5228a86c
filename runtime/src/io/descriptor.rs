//! A descriptor whose operations block the fiber: the one retry loop that all of them go through.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Idle;
use super::awaiting::here;
use super::closing;
use super::mode::Mode;
use super::settings::{NonblockingGuard, Settings};
use super::waited::{GaveUp, would_block};
use crate::cell::Reason;
use crate::os::epoll;
use crate::park::{self, Cost};
use crate::poller::{Direction, Source};
use crate::scheduler;
use crate::time::{self, Pauses};

/// What is known of a descriptor: whether a short transfer means that the kernel's buffer is empty, or full, and whether close(2) may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stream of TCP: both. `poller/README.md` has the first, `closing.rs` the second.
    Stream,
    /// A socket that was not made here. It may be another one than its type says: the first does not hold, the second may.
    Foreign,
    /// A socket of AF_UNIX: neither, and no event tells a writer that writes are shut down (`shut.rs`).
    Local,
    /// Anything else: neither.
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
    /// A descriptor whose every call returns `WouldBlock` instead of blocking the thread.
    pub(crate) fn new(inner: T, kind: Kind) -> Self {
        Self { inner: Some(inner), source: Source::new(), kind, settings: OnceLock::new(), mode: None }
    }

    /// Puts `inner` into the kernel's non-blocking mode. When `inner` is given back, the open file has its old mode again.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and fcntl(2): none for an open descriptor.
    pub(crate) fn in_nonblocking_mode(inner: T, kind: Kind) -> io::Result<Self> {
        let mode = Mode::nonblocking(inner.as_fd())?;
        let mut this = Self::new(inner, kind);
        this.mode = Some(Box::new(mode));
        Ok(this)
    }

    /// A descriptor of the same socket, which shares the settings.
    pub(crate) fn with_shared_settings(&self, inner: T) -> Self {
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

    /// Whether the open file was in the kernel's non-blocking mode before.
    pub(crate) fn was_nonblocking(&self) -> bool {
        self.mode.as_ref().is_some_and(|mode| mode.was_on())
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        self.settings.get_or_init(Arc::default)
    }

    /// The socket's idle state, if [`share_idle`](Self::share_idle) was called.
    #[inline]
    pub(crate) fn idle(&self) -> Option<&Idle> {
        self.settings.get()?.idle.get().map(|idle| &**idle)
    }

    pub(crate) fn share_idle(&self) -> Arc<Idle> {
        Arc::clone(self.settings().idle.get_or_init(Arc::default))
    }

    /// Chooses between waiting and `WouldBlock`, for the calls here at once, and for the kernel's mode when the last copy
    /// under way has ended.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.settings().set_nonblocking(self.as_fd(), nonblocking)
    }

    /// [`set_nonblocking`](Self::set_nonblocking) for a descriptor that stays in the kernel's non-blocking mode.
    pub(crate) fn set_nonblocking_flag(&self, nonblocking: bool) {
        self.settings().nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Until the guard is dropped, no system call on this descriptor blocks in the kernel.
    pub(crate) fn in_kernel(&self) -> io::Result<NonblockingGuard<'_>> {
        self.settings().enter_kernel(self.as_fd())
    }

    /// The bytes that an earlier copy has read and not written. The lock keeps other copies from the reader.
    pub(super) fn left(&self) -> MutexGuard<'_, Vec<u8>> {
        self.settings().left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes that an earlier copy has left; `None` if there are none.
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

    /// Limits how long an operation waits; `None` is for ever. `timeout` is not zero.
    pub(crate) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) {
        let nanos = timeout.map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        self.settings().timeout(direction).store(nanos, Ordering::Relaxed);
    }

    pub(super) fn deadline(&self, direction: Direction) -> Option<Instant> {
        let nanos = self.settings.get()?.timeout(direction).load(Ordering::Relaxed);
        if nanos == 0 { None } else { Instant::now().checked_add(Duration::from_nanos(nanos)) }
    }

    /// Transfers bytes: `call` returns how many of `wanted` it moved.
    ///
    /// # Errors
    ///
    /// As [`retry`](Self::retry).
    #[inline]
    pub(crate) fn transfer(
        &self,
        direction: Direction,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let reason = if direction == Direction::Read { Reason::Read } else { Reason::Write };
        let is_short = |moved: &usize| {
            scheduler::record_bytes(direction == Direction::Read, *moved);
            self.kind == Kind::Stream && *moved < wanted && *moved != 0
        };
        self.retry(direction, reason, None, call, is_short)
    }

    /// [`transfer`](Self::transfer) for a `call` that stores in `wanted` how many bytes it asked for.
    pub(super) fn transfer_hinted(
        &self,
        direction: Direction,
        wanted: &AtomicUsize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let reason = if direction == Direction::Read { Reason::Read } else { Reason::Write };
        let is_short = |moved: &usize| {
            self.kind == Kind::Stream && *moved < wanted.load(Ordering::Relaxed) && *moved != 0
        };
        self.retry(direction, reason, None, call, is_short)
    }

    /// Waits until poll(2) reports the descriptor ready.
    ///
    /// # Errors
    ///
    /// * `PermissionDenied` (EPERM): epoll cannot watch the descriptor.
    /// * `WouldBlock`: as for [`retry`](Self::retry).
    pub(crate) fn wait_until_ready(&self, direction: Direction) -> io::Result<()> {
        let reason = if direction == Direction::Read { Reason::Read } else { Reason::Write };
        let look = |inner: &T| match epoll::wait_one(
            inner.as_fd(),
            direction == Direction::Read,
            Some(Duration::ZERO),
        )? {
            true => Ok(()),
            false => Err(would_block()),
        };
        self.retry(direction, reason, None, look, |()| false)
    }

    /// Repeats `call` until it no longer returns `WouldBlock`. In between it waits for readiness: until `deadline`, or else for
    /// the direction's timeout.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: the deadline has passed, as with std on Linux; or the descriptor is in non-blocking mode.
    /// * Those of `call`, except `Interrupted`, which is retried.
    ///
    /// A caller that is cancelled while it waits unwinds.
    #[inline]
    pub(crate) fn retry<R>(
        &self,
        direction: Direction,
        reason: Reason,
        mut deadline: Option<Instant>,
        mut call: impl FnMut(&T) -> io::Result<R>,
        is_short: impl Fn(&R) -> bool,
    ) -> io::Result<R> {
        let inner = self.get();
        let mut seen = self.source.snapshot(direction);
        // Where this worker's poller knows that the call would return `WouldBlock`, the wait comes first.
        let mut waits = if seen.is_exhausted() && !self.is_nonblocking() { self.hinted() } else { None };
        let is_hinted = waits.is_some();
        let mut is_first = true;
        loop {
            if let Some(waiting) = waits.take() {
                // Operations write more often than they wait for it, so only the wait to read is part of this function.
                let gave_up = if direction == Direction::Read {
                    self.wait(waiting, direction, reason, seen, &mut deadline)?
                } else {
                    self.wait_outlined(waiting, direction, reason, seen, &mut deadline)?
                };
                if let Some(gave_up) = gave_up {
                    if is_hinted && is_first {
                        return self.try_once_more(gave_up, call);
                    }
                    return Err(gave_up.into_error());
                }
                is_first = false;
                seen = self.source.snapshot(direction);
            }
            match call(inner) {
                Ok(result) => {
                    seen.note(is_short(&result));
                    park::spend(Cost::SystemCall);
                    return Ok(result);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_nonblocking() {
                        park::spend(Cost::TryFailed);
                        return Err(error);
                    }
                    is_first = false;
                    waits = Some(here());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    seen = self.source.snapshot(direction);
                }
                Err(error) => {
                    // A caller that repeats the call may get the same error at once: EMFILE of an accept, until a
                    // descriptor is closed.
                    park::spend(Cost::TryFailed);
                    return Err(error);
                }
            }
        }
    }

    /// Makes the call that a hint had put off, after its wait has ended without an event. Bytes may have come all the same: the
    /// poller has not run since.
    #[cold]
    fn try_once_more<R>(&self, gave_up: GaveUp, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        loop {
            match call(self.get()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(gave_up.into_error()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// [`retry`](Self::retry) for a call that also returns `WouldBlock` because of something for which no event comes. While
    /// the descriptor itself is ready, it repeats the call after a pause.
    ///
    /// # Errors
    ///
    /// As [`retry`](Self::retry).
    pub(crate) fn retry_with_pauses<R>(
        &self,
        direction: Direction,
        reason: Reason,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let deadline = self.deadline(direction);
        let mut pauses = Pauses::new();
        loop {
            let look = |inner: &T| match call(inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let is_ready =
                        epoll::wait_one(inner.as_fd(), direction == Direction::Read, Some(Duration::ZERO))?;
                    if is_ready { Ok(None) } else { Err(error) }
                }
                result => result.map(Some),
            };
            if let Some(result) = self.retry(direction, reason, deadline, look, |_| false)? {
                return Ok(result);
            }
            let now = Instant::now();
            if self.is_nonblocking() || deadline.is_some_and(|at| at <= now) {
                return Err(would_block());
            }
            let soon = now + pauses.next_pause();
            time::sleep_until(deadline.map_or(soon, |at| at.min(soon)));
        }
    }
}

impl<T: AsFd> Drop for Descriptor<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.release() {
            closing::close(inner, matches!(self.kind, Kind::Stream | Kind::Foreign) || self.mode.is_some());
        }
    }
}

impl<T: AsFd> AsFd for Descriptor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get().as_fd()
    }
}
