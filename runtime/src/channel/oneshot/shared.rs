//! The shared part of a oneshot channel: one word and the message, in one allocation.
//!
//! The **word** is one of these:
//!
//! | word | meaning | who frees |
//! |---|---|---|
//! | `EMPTY` | nothing has happened | |
//! | an address | as `EMPTY`, and the receiver waits: its waiter | |
//! | `SENT` | the message is there; the sender is gone | the receiver, when it leaves |
//! | `UNSENT` | the sender is gone without a message | the receiver, when it leaves |
//! | `CLOSED` | the receiver accepts no message, and is still there | |
//! | `GONE` | the receiver is gone | the sender, when it leaves |
//!
//! `SENT` and `UNSENT` are final. The sender ends its part with one compare-and-swap, which also tells it whom to wake.
//!
//! **The waiter's life.** The sender that finds a waiter's address takes it out of the word and then claims it. If the
//! claim succeeds, the receiver runs again only because of it (or does not touch the word before it sees it), and the
//! sender touches nothing more. If the claim fails, a deadline or a cancellation came first: the receiver is on its way
//! to take its address out, finds that the sender has it, and stays until the sender says (with `RELEASED`) that it is
//! done with it. That takes a few instructions, as with any spin lock.

#![expect(unsafe_code, reason = "one allocation with two owners, one of whom frees it")]

use std::ptr::{self, NonNull};
use std::time::Instant;

use crate::atomic::{AtomicPtr, Backoff, CLOSE_BY, Ordering, UnsafeCell};
use crate::cell::{Outcome, Reason, cold};
use crate::park::primitive::{self as park, SpinLock, Waiter};
use crate::park::wait_list::{self, End, WaitList};

type Word = *mut Waiter;

const EMPTY: Word = ptr::null_mut();
const SENT: Word = ptr::without_provenance_mut(1);
const UNSENT: Word = ptr::without_provenance_mut(2);
const CLOSED: Word = ptr::without_provenance_mut(3);
const GONE: Word = ptr::without_provenance_mut(4);
/// Set beside `SENT` or `UNSENT`: the sender has lost its claim, and is done with the waiter.
const RELEASED: usize = 8;

/// See the module's documentation.
pub(super) struct Shared<T> {
    word: AtomicPtr<Waiter>,
    message: UnsafeCell<Option<T>>,
    /// The sender, while it waits for the receiver to close.
    closers: SpinLock<WaitList<()>>,
}

/// The result of a receiver's look at the word.
pub(super) enum Found<T> {
    Nothing,
    Message(T),
    /// There will be no message.
    Closed,
}

/// One end's hold on the channel. The last end that leaves frees it.
pub(super) struct Held<T>(NonNull<Shared<T>>);

// SAFETY: a message is written on one thread and read on another, and the word orders the two.
unsafe impl<T: Send> Send for Held<T> {}
// SAFETY: shared references only read the word.
unsafe impl<T: Send> Sync for Held<T> {}

impl<T> Held<T> {
    /// One hold for each end.
    pub(super) fn new() -> (Self, Self) {
        let shared = Shared {
            word: AtomicPtr::new(EMPTY),
            message: UnsafeCell::new(None),
            closers: SpinLock::new(WaitList::new()),
        };
        let shared = NonNull::from(Box::leak(Box::new(shared)));
        (Self(shared), Self(shared))
    }

    fn shared(&self) -> &Shared<T> {
        // SAFETY: an end that has not left keeps the allocation alive.
        unsafe { self.0.as_ref() }
    }

    /// Whether the receiver accepts no message.
    pub(super) fn is_closed(&self) -> bool {
        let word = self.shared().word.load(Ordering::Acquire);
        word == CLOSED || word == GONE
    }

    /// The sender leaves with a message. Returns the message if nobody will receive it.
    #[inline]
    pub(super) fn send(self, message: T) -> Result<(), T> {
        let shared = self.shared();
        // SAFETY: until the word says `SENT`, the message belongs to the sender.
        shared.message.with_mut(|slot| unsafe { *slot = Some(message) });
        if shared.finish(SENT) {
            return Ok(());
        }
        // SAFETY: as above: the word does not say `SENT`.
        let message = shared.message.with_mut(|slot| unsafe { (*slot).take() });
        self.leave_closed();
        Err(message.expect("it was not sent"))
    }

    /// The sender leaves without a message.
    pub(super) fn leave_unsent(self) {
        if !self.shared().finish(UNSENT) {
            self.leave_closed();
        }
    }

    /// The sender leaves a channel that the receiver has closed.
    #[cold]
    fn leave_closed(self) {
        // AcqRel: what the receiver did before it left happens before the deallocation.
        if self.shared().word.swap(UNSENT, Ordering::AcqRel) == GONE {
            self.free();
        }
    }

    /// The receiver takes what is there. If the result is final, the receiver has left.
    #[inline]
    pub(super) fn take(held: &mut Option<Self>) -> Found<T> {
        let Some(this) = held else { return Found::Closed };
        // Acquire: pairs with the Release in `finish`, so that the message is seen.
        let word = this.shared().word.load(Ordering::Acquire);
        if word == EMPTY {
            return Found::Nothing;
        }
        if word == CLOSED {
            if let Some(this) = held.take() {
                this.leave_receiver();
            }
            return Found::Closed;
        }
        // SAFETY: the word is final, so the sender is gone and the message belongs to the receiver.
        let message = this.shared().message.with_mut(|slot| unsafe { (*slot).take() });
        if let Some(this) = held.take() {
            this.free();
        }
        message.map_or(Found::Closed, Found::Message)
    }

    /// Whether there is a message.
    pub(super) fn is_empty(&self) -> bool {
        self.shared().word.load(Ordering::Acquire).addr() & !RELEASED != SENT.addr()
    }

    /// The receiver waits until there is something to take, or until the deadline. On `Cancelled` the caller unwinds.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Outcome {
        // Odd: what is left over of it is not the word that the sender consists of.
        let awaited = ptr::from_ref(self.shared()).cast::<()>().map_addr(|address| address | 1);
        let waiter = park::waiter().on(awaited);
        // SAFETY: the waiter is alive until it is unregistered, below, or the sender has claimed it.
        if !unsafe { self.register(&waiter) } {
            return Outcome::Notified;
        }
        let unregister = self.unregister_on_drop(&waiter);
        let outcome = park::wait(&waiter, Reason::Oneshot, deadline);
        if outcome == Outcome::Notified {
            // The sender took the address out before it claimed the waiter.
            std::mem::forget(unregister);
        }
        outcome
    }

    /// The receiver registers a waiter. Returns `false` if there is something to take.
    ///
    /// # Safety
    ///
    /// The waiter stays alive and in its place until the sender has claimed it, or the result of
    /// [`unregister_on_drop`](Self::unregister_on_drop) has been dropped after another claim.
    pub(super) unsafe fn register(&self, waiter: &Waiter) -> bool {
        let address = ptr::from_ref(waiter).cast_mut();
        // Release: pairs with the Acquire in `finish`, so that the sender sees the waiter's fields.
        self.shared().word.compare_exchange(EMPTY, address, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// A guard that takes a registered waiter back when it is dropped.
    pub(super) fn unregister_on_drop(&self, waiter: &Waiter) -> Unregister<'_> {
        Unregister { word: &self.shared().word, address: ptr::from_ref(waiter).cast_mut() }
    }

    /// The receiver accepts no message from now on. A message that was sent before is still there.
    pub(super) fn close(&self) {
        let shared = self.shared();
        // AcqRel: the Release half pairs with `is_closed`.
        if shared.word.compare_exchange(EMPTY, CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            wait_list::wake_up_to(&shared.closers, |list| list, usize::MAX);
        }
    }

    /// The receiver leaves.
    pub(super) fn leave_receiver(self) {
        self.close();
        let word = self.shared().word.load(Ordering::Acquire);
        // AcqRel: as in `leave_closed`.
        if word != CLOSED || self.shared().word.swap(GONE, Ordering::AcqRel) == UNSENT {
            self.free();
        }
    }

    /// The sender waits until the receiver accepts no message. Unwinds when the fiber is cancelled.
    pub(super) fn wait_closed(&self) {
        while !self.is_closed() {
            let closers = self.shared().closers.lock();
            // Checked under the lock that the receiver takes after it has closed.
            if self.is_closed() {
                return;
            }
            let (outcome, ()) =
                wait_list::wait(closers, |list| list, End::Back, (), Reason::Oneshot, None, || ());
            if outcome == Outcome::Cancelled {
                park::unwind();
            }
        }
    }

    /// The last end leaves.
    #[inline]
    fn free(self) {
        // SAFETY: made by `Box` in `new`; the word has told this end that the other end has left.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl<T> Shared<T> {
    /// The sender ends its part with `SENT` or `UNSENT`. Returns `false` if the receiver has closed the channel; otherwise the
    /// allocation may be gone afterwards.
    #[inline]
    fn finish(&self, last: Word) -> bool {
        let mut word = EMPTY;
        loop {
            // AcqRel: the Release half publishes the message to the Acquire in `take`; the Acquire half pairs with the
            // Release in `register`. Likewise on failure.
            match self.word.compare_exchange(word, last, Ordering::AcqRel, Ordering::Acquire) {
                Ok(EMPTY) => return true,
                Ok(waiter) => {
                    self.end_wait(waiter, last);
                    return true;
                }
                Err(CLOSED | GONE) => return false,
                Err(other) => word = other,
            }
        }
    }

    #[inline]
    fn end_wait(&self, waiter: Word, last: Word) {
        cold::warm(waiter);
        // SAFETY: the receiver's waiter was in the word until now. It stays alive until this call claims it, or until
        // the word says `RELEASED`.
        match unsafe { (*waiter).claim(Outcome::Notified) } {
            Some(woken) => park::wake(woken),
            // Release: pairs with the Acquire in `Unregister`. This is the sender's last access.
            None => self.word.store(last.map_addr(|address| address | RELEASED), Ordering::Release),
        }
    }
}

/// Takes a waiter's address out of the word when the wait ends without the sender, also if it unwinds.
pub(super) struct Unregister<'a> {
    word: &'a AtomicPtr<Waiter>,
    address: Word,
}

impl Drop for Unregister<'_> {
    #[cold]
    fn drop(&mut self) {
        if self.word.compare_exchange(self.address, EMPTY, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
        // The sender has the address, and its claim will fail or has failed.
        let mut backoff = Backoff::new(CLOSE_BY);
        while self.word.load(Ordering::Acquire).addr() & RELEASED == 0 {
            backoff.pause();
        }
    }
}
