//! The join handle: it waits for the end of a fiber and takes its result, or cancels the fiber.

#![expect(unsafe_code, reason = "the join handle owns half of a cell")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::thread;

use crate::cell::{Fiber, Header, NoStack, Reason, take_result};
#[cfg(feature = "own-tls")]
use crate::cell::{Outcome, Waiter};
use crate::park::{self, Cost};
use crate::scheduler;

/// An owned permission to wait for the end of a fiber and take its result. Mirrors [`std::thread::JoinHandle`].
///
/// Dropping it detaches the fiber: the fiber runs on, and its result is dropped when it ends. A handle may be joined from any
/// fiber or thread, also one of another runtime, and may outlive its runtime. In async code, await it.
pub struct JoinHandle<T> {
    pub(super) cell: NonNull<Header>,
    result: PhantomData<T>,
}

// SAFETY: the handle's half of the cell is the join word and, after the end, a result that is `Send` by
// `spawn`'s bound. The handle of a local fiber is `!Send` if its result is, as std's auto traits would have it.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle offers only atomics.
unsafe impl<T> Sync for JoinHandle<T> {}

// The result is in the cell, not in the handle.
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The cell is new and of a closure that returns a `T`, and nobody else has its handle.
    #[inline]
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Self {
        Self { cell, result: PhantomData }
    }

    /// The handle as an address, which [`from_raw`](Self::from_raw) takes.
    #[cfg(feature = "own-tls")]
    pub(crate) fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).cell.cast()
    }

    /// # Safety
    ///
    /// [`into_raw`](Self::into_raw) of a handle of this type has returned the address, and it is not used as a handle again.
    #[cfg(feature = "own-tls")]
    pub(crate) unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self { cell: raw.cast(), result: PhantomData }
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the cell lives at least until the handle gives up its half.
        unsafe { self.cell.as_ref() }
    }

    /// Waits for the fiber to end and returns its result.
    ///
    /// Returns at once if the fiber has ended. What the fiber did is visible to the caller afterwards. If the *caller* is
    /// cancelled while it waits, it unwinds and the fiber is detached: it runs on, and its result is lost. A
    /// [`scope`](crate::scope()) or a [`JoinSet`](crate::JoinSet) cancels its fibers then instead.
    ///
    /// # Errors
    ///
    /// A payload, which tells how the fiber ended:
    ///
    /// * the payload of its panic, if it panicked: a `&str` or a `String`, unless it was made by
    ///   [`panic_any`](std::panic::panic_any);
    /// * [`Cancelled`](crate::Cancelled), if it was cancelled, also by the shutdown of its runtime;
    /// * [`io::Error`](std::io::Error), if there was no memory for its stack, so that it never ran.
    ///
    /// ```
    /// # abaca::run(|| {
    /// assert_eq!(abaca::spawn(|| 6 * 7).join().unwrap(), 42);
    ///
    /// let payload = abaca::spawn(|| panic!("no luck")).join().unwrap_err();
    /// assert_eq!(payload.downcast_ref(), Some(&"no luck"));
    /// # });
    /// ```
    #[inline]
    pub fn join(self) -> thread::Result<T> {
        NoStack::unveil(self.join_veiled())
    }

    /// Like [`join`](Self::join), but the payload of a fiber that found no memory for its stack is a [`NoStack`].
    #[inline]
    pub(crate) fn join_veiled(self) -> thread::Result<T> {
        park::spend(Cost::Wait);
        let this = ManuallyDrop::new(self);
        if !this.header().join.is_complete() {
            this.await_end();
        }
        // SAFETY: the join word says that the cell is the handle's, and the handle's type that its result is a `T`.
        unsafe { Self::take_result(this.cell) }
    }

    fn await_end(&self) {
        let waiter = park::waiter().on(self.cell.as_ptr().cast_const().cast());
        let ended = self.header().join.await_end(&waiter, |waiter| park::wait(waiter, Reason::Join, None));
        if let Err(cell_is_ours) = ended {
            if cell_is_ours {
                // SAFETY: as `await_end` says.
                unsafe { Self::dispose(self.cell) };
            }
            park::unwind();
        }
    }

    /// Waits for the end of the fiber by `wait`. Returns whether the fiber has ended, so that [`join`](Self::join) returns at once.
    #[cfg(feature = "own-tls")]
    pub(crate) fn await_end_by(&self, wait: impl FnOnce(&Waiter) -> Outcome) -> bool {
        park::spend(Cost::Wait);
        let join = &self.header().join;
        let waiter = park::waiter().on(self.cell.as_ptr().cast_const().cast());
        join.is_complete() || join.await_end_or_leave(&waiter, wait)
    }

    /// Whether the fiber is in a wait, all of whose registrations are made, or has not gone on since its end.
    #[cfg(feature = "own-tls")]
    pub(crate) fn is_waiting(&self) -> bool {
        !self.has_ended() && !self.header().waiting().is_null()
    }

    /// Takes the result, and frees the cell.
    ///
    /// # Safety
    ///
    /// The join word has made the cell the handle's, and its result is a `T`.
    #[inline]
    pub(super) unsafe fn take_result(cell: NonNull<Header>) -> thread::Result<T> {
        let here = scheduler::present();
        // SAFETY: by the contract of this function.
        unsafe { take_result(cell, here.as_ref().map(|worker| worker.cells())) }
    }

    /// # Safety
    ///
    /// The join word has made the cell the handle's.
    pub(super) unsafe fn dispose(cell: NonNull<Header>) {
        /// Frees the cell even if the result's destructor panics.
        struct Free(NonNull<Header>);
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: by the contract of `dispose`; `clear` leaves nothing behind, even if it panics.
                unsafe { scheduler::free_cell(self.0) };
            }
        }
        let _free = Free(cell);
        // SAFETY: by the contract of this function.
        unsafe { Header::clear(cell) };
    }

    /// [`is_finished`](Self::is_finished), for callers that do not poll it in a loop: it spends nothing.
    pub(crate) fn has_ended(&self) -> bool {
        self.header().join.has_ended()
    }

    /// Whether the fiber has ended, so that [`join`](Self::join) returns at once. It does not wait.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let fiber = abaca::spawn(|| 5);
    /// while !fiber.is_finished() {
    ///     abaca::yield_now();
    /// }
    /// assert_eq!(fiber.join().unwrap(), 5); // returns at once
    /// # });
    /// ```
    pub fn is_finished(&self) -> bool {
        let has_ended = self.has_ended();
        park::spend(if has_ended { Cost::Call } else { Cost::TryFailed });
        has_ended
    }

    /// A handle to the fiber: its id, its name, [`unpark`](Fiber::unpark), [`cancel`](Fiber::cancel). It may be cloned, and
    /// kept after the join. Mirrors [`std::thread::JoinHandle::thread`].
    ///
    /// ```
    /// # abaca::run(|| {
    /// let parked = abaca::spawn(abaca::park);
    /// let fiber = parked.fiber();
    /// fiber.unpark();
    /// parked.join().unwrap();
    /// assert_eq!(fiber.name(), None);
    /// # });
    /// ```
    #[must_use]
    pub fn fiber(&self) -> Fiber {
        let header = self.header();
        let fiber = header.identity();
        header.join.while_held(|| fiber.identity().attach(self.cell), || fiber.identity().detach());
        fiber
    }

    /// The same as [`fiber`](Self::fiber), under std's name.
    #[must_use]
    pub fn thread(&self) -> Fiber {
        self.fiber()
    }

    /// Cancels the fiber: it unwinds from the blocking call that it is in, or from its next one, and its join returns
    /// [`Cancelled`](crate::Cancelled) as the payload. A fiber that has not started never runs. A fiber that has ended, or that
    /// never blocks again, is not cancelled. See [`cancel`](crate::cancel).
    ///
    /// The call does not wait: join the fiber to wait for its end.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let fiber = abaca::spawn(abaca::park);
    /// fiber.cancel();
    /// assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
    /// # });
    /// ```
    #[doc(alias = "abort")]
    #[track_caller]
    pub fn cancel(&self) {
        if !self.has_ended() {
            self.fiber().cancel();
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.header().join.detach() {
            // SAFETY: `detach` says so.
            unsafe { Self::dispose(self.cell) };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}
