//! The join handle: to wait for the end of a fiber, to take its result, or to cancel it.

#![expect(unsafe_code, reason = "the join handle owns half of a cell")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::thread;

use crate::cell::{Fiber, Header, NoStack, Reason, take_result};
use crate::park::{self, Cost};

/// An owned permission to wait for the end of a fiber and take its result. Mirrors
/// [`std::thread::JoinHandle`]; dropping it detaches the fiber.
pub struct JoinHandle<T> {
    pub(super) cell: NonNull<Header>,
    result: PhantomData<T>,
}

// SAFETY: the handle's half of the cell is the join word and, after the end, a result that is `Send` by
// `spawn`'s bound; a local fiber's handle is `!Send` where its result is, as std's auto traits would have it.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle offers only atomics.
unsafe impl<T> Sync for JoinHandle<T> {}

// The result is in the cell, not in the handle.
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// That cell is a new one, of a closure that returns a `T`, and nobody else has its handle.
    #[inline]
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Self {
        Self { cell, result: PhantomData }
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the cell lives at least until the handle gives up its half.
        unsafe { self.cell.as_ref() }
    }

    /// Waits for the fiber to end and returns its result, or the payload of its panic.
    ///
    /// A fiber that was cancelled gives [`Cancelled`](crate::Cancelled) as payload; a
    /// task for which no stack could be had gives an [`io::Error`](std::io::Error).
    ///
    /// # Errors
    ///
    /// The payload, if the fiber panicked.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let handle = abaca::spawn(|| 6 * 7);
    /// assert_eq!(handle.join().unwrap(), 42);
    /// # });
    /// ```
    #[inline]
    pub fn join(self) -> thread::Result<T> {
        NoStack::unveil(self.join_veiled())
    }

    /// [`join`](Self::join), where the payload of a task without a stack is a [`NoStack`].
    #[inline]
    pub(crate) fn join_veiled(self) -> thread::Result<T> {
        park::spend(Cost::Wait);
        let this = ManuallyDrop::new(self);
        if !this.header().join.has_ended_for_good() {
            this.await_end();
        }
        // SAFETY: the join word says that the cell is ours, and the handle's type that its result is a `T`.
        unsafe { take_result(this.cell) }
    }

    fn await_end(&self) {
        let waiter = park::waiter();
        let ended = self.header().join.await_end(&waiter, |waiter| park::wait(waiter, Reason::Join, None));
        if let Err(cell_is_ours) = ended {
            if cell_is_ours {
                // SAFETY: as `await_end` says.
                unsafe { Self::dispose(self.cell) };
            }
            park::unwind();
        }
    }

    /// # Safety
    ///
    /// The join word made the cell the handle's.
    pub(super) unsafe fn dispose(cell: NonNull<Header>) {
        /// Frees the cell also when the result's destructor panics.
        struct Free(NonNull<Header>);
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: the promise of `dispose`'s caller; `clear` leaves nothing behind, even if it panics.
                unsafe { Header::free(self.0) };
            }
        }
        let _free = Free(cell);
        // SAFETY: the caller's promise.
        unsafe { Header::clear(cell) };
    }

    /// [`is_finished`](Self::is_finished), for one who does not wait for it.
    pub(crate) fn has_ended(&self) -> bool {
        self.header().join.has_ended()
    }

    /// Whether the fiber has ended, so that `join` returns at once.
    pub fn is_finished(&self) -> bool {
        let has_ended = self.has_ended();
        park::spend(if has_ended { Cost::Call } else { Cost::InVain });
        has_ended
    }

    /// The fiber's handle: its id, its name, `unpark`, `cancel`.
    pub fn fiber(&self) -> Fiber {
        let header = self.header();
        let fiber = header.identity();
        header.join.pinned(|| fiber.identity().aim(self.cell), || fiber.identity().withdraw());
        fiber
    }

    /// The same as [`fiber`](Self::fiber), under the name that `std::thread::JoinHandle` has for it.
    pub fn thread(&self) -> Fiber {
        self.fiber()
    }

    /// Cancels the fiber: it unwinds from the blocking call it is in, or from its next one, and its join returns
    /// [`Cancelled`](crate::Cancelled) as payload. A task that has not started never runs. See [`cancel`](crate::cancel).
    ///
    /// Returns at once; join the fiber to wait for its end.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// let fiber = abaca::spawn(abaca::park);
    /// fiber.cancel();
    /// assert!(fiber.join().is_err());
    /// # });
    /// ```
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
