//! What others have sent to a thread that is a fiber.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use abaca::hook::mail::Reach;
use abaca::hook::{self, Interrupted};
use libc::siginfo_t;

use super::attending::attend;
use super::defaults::stand_for_calls;
use super::frames::is_in_handler;
use super::handlers::{has_handler, index};
use super::queued::{self, NoPlace, Owner, is_queued, new_owner};
use super::record::Record;
use super::search::undisturbed;
use super::signal_fd;
use super::{details, faults, masks, search, timers};
use crate::enter::enter;

/// The signals that were sent to a thread that is a fiber, and of which no handler has run yet.
pub(crate) struct Pending {
    pub(super) signals: AtomicU64,
    /// What the thread blocks.
    pub(super) blocked: AtomicU64,
    /// The thread's number where real-time signals wait.
    pub(super) owner: Owner,
    /// Whether something was ever kept there of a signal that is told once.
    has_told: AtomicBool,
    /// The fiber; 0 before it runs, and when it has ended.
    fiber: AtomicUsize,
    /// How the thread is reached while it runs.
    reach: Reach,
    /// How many handlers the thread is in.
    handlers: AtomicU32,
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Relaxed: nobody else has it.
        if self.signals.load(Ordering::Relaxed) != 0 || self.has_told.load(Ordering::Relaxed) {
            queued::forget(self.owner);
        }
    }
}

impl Pending {
    /// Of a thread that begins with this mask.
    pub(super) fn new(mask: u64) -> Self {
        stand_for_calls(mask);
        let [signals, blocked] = [0, mask].map(AtomicU64::new);
        let (fiber, handlers) = (AtomicUsize::new(0), AtomicU32::new(0));
        let has_told = AtomicBool::new(false);
        Self { signals, blocked, owner: new_owner(), has_told, fiber, reach: Reach::default(), handlers }
    }

    /// The calling fiber is this thread.
    pub(crate) fn begin(&self) {
        self.fiber.store(hook::fiber_key(), Ordering::SeqCst);
        self.reach.begin_with_caller();
        // What was sent before it was there.
        if self.signals.load(Ordering::SeqCst) != 0
            && let Some(_within) = enter()
        {
            attend();
        }
    }

    /// The thread has ended.
    pub(crate) fn end(&self) {
        self.fiber.store(0, Ordering::SeqCst);
        self.reach.end_with_caller();
    }

    /// The thread begins a handler, or ends one.
    pub(super) fn note_handlers(&self, more: bool) {
        if more {
            self.handlers.fetch_add(1, Ordering::SeqCst);
        } else {
            self.handlers.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Takes a signal that was sent to the calling thread, whose pending ones these are, with what its handler is told; `None` if it was not
    /// sent, or is blocked. May be called in a handler.
    pub(super) fn take(&self, signal: usize) -> Option<siginfo_t> {
        let bit = masks::bit(signal);
        if self.blocked.load(Ordering::SeqCst) & bit != 0 {
            return None;
        }
        if is_queued(signal) {
            return queued::take(self.owner, signal);
        }
        let was_sent = self.signals.fetch_and(!bit, Ordering::SeqCst) & bit != 0;
        let known = || queued::take_known(self.owner, signal);
        was_sent.then(|| known().unwrap_or_else(|| details::sent(signal, libc::SI_TKILL, None)))
    }

    /// Keeps a signal that the thread, which is the caller, has sent to itself and blocks. May be called in a handler.
    pub(super) fn keep(&self, signal: usize, info: siginfo_t) -> Result<(), NoPlace> {
        self.keep_told(signal, info)?;
        self.signals.fetch_or(masks::bit(signal), Ordering::SeqCst);
        Ok(())
    }

    /// Keeps what is told of a signal that is about to wait. Of one that is told once it is what came first, and that a thread has sent it needs no place.
    fn keep_told(&self, signal: usize, mut info: siginfo_t) -> Result<(), NoPlace> {
        if is_queued(signal) {
            return queued::put(self.owner, signal, info);
        }
        if info.si_code == libc::SI_TKILL {
            return Ok(());
        }
        let waits = self.signals.load(Ordering::SeqCst) & masks::bit(signal) != 0;
        if !waits && !queued::has(self.owner, signal) && queued::put(self.owner, signal, info).is_ok() {
            self.has_told.store(true, Ordering::Relaxed);
        } else {
            timers::note_told(&mut info);
        }
        Ok(())
    }

    fn is_pending(&self, signal: usize) -> bool {
        let is_noted = self.signals.load(Ordering::SeqCst) & masks::bit(signal) != 0;
        is_noted && (!is_queued(signal) || queued::has(self.owner, signal))
    }

    /// Sends a signal to the thread, which is told this, or that a thread has sent it; `None` if the thread does not block it, and it has no handler that
    /// the thread could run.
    pub(crate) fn send(
        &self,
        signal: c_int,
        told: Option<siginfo_t>,
        wake: impl FnOnce(),
    ) -> Option<Result<(), NoPlace>> {
        let index = index(signal)?;
        let bit = masks::bit(index);
        let is_blocked = self.blocked.load(Ordering::SeqCst) & bit != 0;
        if !is_blocked && !has_handler(index) {
            return None;
        }
        if is_blocked || is_queued(index) || told.is_some() {
            let mut info = told.unwrap_or_else(|| details::sent(index, libc::SI_TKILL, None));
            if is_blocked && signal_fd::deliver(index, Some(&info)) {
                timers::note_told(&mut info);
                return Some(Ok(()));
            }
            if let Err(no_place) = self.keep_told(index, info) {
                return Some(Err(no_place));
            }
        }
        self.signals.fetch_or(bit, Ordering::SeqCst);
        match self.fiber.load(Ordering::SeqCst) {
            0 => {}
            // What runs here holds locks that the caller's handlers must not wait for.
            fiber => undisturbed(|| {
                let waits = hook::interrupt_fiber(fiber, bit, Interrupted::Looks, || self.is_pending(index));
                wake();
                // One that waits looks itself, unless it is in a handler meanwhile.
                if waits && self.handlers.load(Ordering::SeqCst) == 0 {
                    return;
                }
                // What it blocks it takes when it unblocks it. It may have done so since, and have looked before this was sent.
                if self.blocked.load(Ordering::SeqCst) & bit == 0 {
                    self.reach.tell(|thread| search::look_for(thread, signal));
                }
            }),
        }
        Some(Ok(()))
    }
}

/// Keeps a signal that a system call of the calling fiber has brought about, if the fiber blocks it, or is in a hook, and takes it when it leaves that.
/// `Some(false)`: in a hook it does what it does by default. `None`: it is not kept, and is as any other. In the handler of the signal, which may
/// have interrupted the runtime's own code.
pub(super) fn keep_of_call(signal: usize) -> Option<bool> {
    if !hook::on_fiber() || is_in_handler() || faults::is_in_handler() {
        return None;
    }
    let pending = &Record::current()?.pending;
    let is_blocked = pending.blocked.load(Ordering::SeqCst) & masks::bit(signal) != 0;
    let is_kept = is_blocked || has_handler(signal);
    if !is_blocked && !hook::has_interrupted_runtime() {
        return None;
    }
    if is_kept {
        pending.signals.fetch_or(masks::bit(signal), Ordering::SeqCst);
        pending.reach.tell(|_| ());
    }
    Some(is_kept)
}
