//! The join protocol: one word between the worker that ends a fiber and the one owner of its join handle.
//!
//! | word | meaning |
//! |---|---|
//! | `RUNNING` (0) | not ended; the handle's owner does not wait |
//! | a waiter's address | not ended; the handle's owner waits, or is about to |
//! | address + `ENDED` | ended; the worker is claiming that waiter and still uses it and the cell |
//! | `ENDED` (1) | ended; the result is stored; the cell belongs to the handle's owner |
//! | `DETACHED` (2) | not ended; the handle was dropped; the cell belongs to the worker |
//! | `HELD` (8) | not ended; the owner keeps the fiber from ending for a moment, to reach its runtime |
//! | `HELD` + `ENDED` | the result is stored; the worker waits for the owner to release its hold |
//! | `RELEASED` (16) + `ENDED` | the owner has released its hold; the worker still uses the cell |
//! | `ATTACHED` (4) | as `RUNNING`, after a hold: `Fiber` handles lead to the fiber |
//! | `ATTACHED` + `ENDED` | ended; the worker is detaching those handles and still uses the cell |
//!
//! The worker's side is [`JoinWord::end`]: it sets `ENDED` in one atomic step and so learns who owns the cell
//! from then on. The owner's side is [`JoinWord::await_end`], [`JoinWord::detach`] and [`JoinWord::while_held`]. The race
//! that needs care is an owner that gives up (a cancelled join), wakes early (a thread) or comes late while the worker
//! still uses waiter or cell. The owner then waits for the plain `ENDED` before it leaves, which is at most a few instructions
//! away.

#![expect(unsafe_code, reason = "the word holds the address of a waiter on another stack")]

use std::marker::PhantomData;

use crate::atomic::{AtomicUsize, Backoff, CLOSE_BY, Ordering, thread_yield};

use super::{Claim, Outcome, Waiter, Wakeup, cold};

const RUNNING: usize = 0;
const ENDED: usize = 1;
const DETACHED: usize = 2;
const ATTACHED: usize = 4;
const HELD: usize = 8;
const RELEASED: usize = 16;

const _: () = assert!(align_of::<Waiter>() >= 4, "the low two bits of a waiter's address are the protocol's");

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct JoinWord<W = Waiter>(AtomicUsize, PhantomData<*const W>);

/// The owner of a cell whose fiber has just ended, which frees the cell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended<W = Wakeup> {
    /// The owner of the join handle, after it has taken the result. If it waits, this is its wake-up, to be delivered.
    Owner(Option<W>),
    /// The worker, because the handle was dropped before.
    Worker,
}

impl<W: Claim> JoinWord<W> {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(RUNNING), PhantomData)
    }

    /// Whether the result is stored. True a moment before a waiting owner is woken.
    pub(crate) fn has_ended(&self) -> bool {
        // Acquire: pairs with the Release in `end`, which published the result.
        self.0.load(Ordering::Acquire) & ENDED != 0
    }

    /// Whether the cell belongs to the handle's owner: the result is stored and the worker has finished with the cell.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        // Acquire: as in `has_ended`.
        self.0.load(Ordering::Acquire) == ENDED
    }

    /// Whether the handle was dropped. Once true, this stays true.
    #[inline]
    pub(crate) fn is_detached(&self) -> bool {
        // Acquire: pairs with the Release in `detach`.
        self.0.load(Ordering::Acquire) == DETACHED
    }

    /// The worker's side, called once, after the result is stored. If it returns `Owner`, the cell may already be freed. If
    /// there may be `Fiber` handles that lead to the fiber, `detach` is called before.
    #[inline]
    pub(crate) fn end(&self, detach: impl FnOnce()) -> Ended<W::Wakeup> {
        // AcqRel: the Release publishes the result to the owner's Acquire loads; the Acquire sees the owner's waiter.
        match self.0.fetch_or(ENDED, Ordering::AcqRel) {
            RUNNING => Ended::Owner(None),
            DETACHED => {
                detach();
                Ended::Worker
            }
            before => Ended::Owner(self.end_in_use(before, detach)),
        }
    }

    #[inline]
    fn end_in_use(&self, before: usize, detach: impl FnOnce()) -> Option<W::Wakeup> {
        detach();
        let wakeup = match before {
            ATTACHED => None,
            HELD => {
                self.spin_until(RELEASED | ENDED);
                None
            }
            waiter => {
                let waiter = waiter as *const W;
                cold::warm(waiter);
                // SAFETY: the owner registered a live waiter and, having seen `ENDED` beside its address, stays in
                // `await_end` until the store below.
                unsafe { &*waiter }.claim_notified()
            }
        };
        // Release: the last use of waiter and cell happens before the owner leaves.
        self.0.store(ENDED, Ordering::Release);
        wakeup
    }

    /// The owner drops the handle. Returns true if the caller must free the cell.
    pub(crate) fn detach(&self) -> bool {
        // AcqRel: Release so that the worker's free comes after our uses; Acquire to see the result that we drop.
        for open in [RUNNING, ATTACHED] {
            if self.0.compare_exchange(open, DETACHED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return false;
            }
        }
        self.spin_until(ENDED);
        true
    }

    /// The owner waits for the end by calling `park` on its waiter. If the wait is cancelled, the handle is detached, and the
    /// result is `Err`, with whether the caller must free the cell.
    pub(crate) fn await_end(&self, waiter: &W, park: impl FnOnce(&W) -> Outcome) -> Result<(), bool> {
        // SAFETY: the waiter is borrowed until this returns, which is after the worker has finished with it.
        if !unsafe { self.register(waiter) } {
            return Ok(());
        }
        if park(waiter) != Outcome::Notified {
            return Err(self.give_up(waiter));
        }
        self.await_release();
        Ok(())
    }

    /// The owner waits for the end as in [`await_end`](Self::await_end), but keeps the handle if the wait ends before: then the result is
    /// false.
    #[cfg(any(feature = "own-tls", all(test, loom)))]
    pub(crate) fn await_end_or_leave(&self, waiter: &W, park: impl FnOnce(&W) -> Outcome) -> bool {
        // SAFETY: as in `await_end`.
        if !unsafe { self.register(waiter) } {
            return true;
        }
        // AcqRel: as in `detach`. The word may have been `ATTACHED` before the waiter, which says more than `RUNNING`.
        let leave = || {
            let address = std::ptr::from_ref(waiter) as usize;
            self.0.compare_exchange(address, ATTACHED, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        if park(waiter) != Outcome::Notified && leave() {
            return false;
        }
        self.await_release();
        true
    }

    /// The owner registers its waiter. Returns false if the fiber has ended; the cell then belongs to the owner.
    ///
    /// # Safety
    ///
    /// The waiter must stay alive and in place until the owner has called [`give_up`](Self::give_up), or
    /// [`await_release`](Self::await_release) after the waiter was claimed.
    pub(crate) unsafe fn register(&self, waiter: &W) -> bool {
        let address = std::ptr::from_ref(waiter) as usize;
        // AcqRel: Release publishes the waiter to `end`; a failure has seen the result.
        let register =
            |open| self.0.compare_exchange(open, address, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if register(RUNNING) || register(ATTACHED) {
            return true;
        }
        self.await_release();
        false
    }

    /// The owner of a registered waiter stops waiting and detaches. Returns true if the caller must free the cell: the worker
    /// came first.
    pub(crate) fn give_up(&self, waiter: &W) -> bool {
        let address = std::ptr::from_ref(waiter) as usize;
        // AcqRel: as in `detach`.
        if self.0.compare_exchange(address, DETACHED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return false;
        }
        self.await_release();
        true
    }

    /// Waits until the worker, which is ending the fiber, has finished with waiter and cell.
    pub(crate) fn await_release(&self) {
        self.spin_until(ENDED);
    }

    /// Calls `reach` while the fiber cannot end, from a handle that stays alive. Returns false, without a call, if the fiber has
    /// ended. If the fiber reaches its end meanwhile, `detach` is called before it ends.
    pub(crate) fn while_held(&self, reach: impl FnOnce(), detach: impl FnOnce()) -> bool {
        loop {
            // Acquire: as in `has_ended`, and pairs with the Release of another thread's hold.
            let now = self.0.load(Ordering::Acquire);
            if now & ENDED != 0 {
                return false;
            }
            // Another thread holds the fiber through the same handle. While the handle is shared, it cannot wait or detach.
            if now == HELD {
                thread_yield();
                continue;
            }
            if self.0.compare_exchange(now, HELD, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                break;
            }
        }
        reach();
        // Release: what `reach` did happens before the worker ends the fiber.
        if self.0.compare_exchange(HELD, ATTACHED, Ordering::AcqRel, Ordering::Acquire).is_err() {
            detach();
            self.0.store(RELEASED | ENDED, Ordering::Release);
            self.spin_until(ENDED);
        }
        true
    }

    /// Waits for the other side's next step, which is a few instructions away.
    fn spin_until(&self, word: usize) {
        let mut backoff = Backoff::new(CLOSE_BY);
        // Acquire: pairs with the Releases of both sides.
        while self.0.load(Ordering::Acquire) != word {
            backoff.pause();
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of the end of a fiber with its join, with a join that gives up, and with a detach: the
    //! result is seen, the waiter is not used after its end, and exactly one side frees the cell.

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::thread;

    use super::super::model_waiter::ModelWaiter;
    use super::*;

    struct Cell {
        join: JoinWord<ModelWaiter>,
        /// Loom reports an access that is not ordered with the worker's write.
        result: UnsafeCell<u32>,
        freed: AtomicUsize,
        /// Whether handles are attached to the fiber.
        attached: AtomicUsize,
        /// Touched by `reach`, and by the worker once the fiber has ended: loom reports a touch that is not ordered before
        /// the end.
        home: UnsafeCell<()>,
    }

    fn check(owner: impl Fn(&Cell) + Sync + Send + Copy + 'static) {
        loom::model(move || {
            let result = UnsafeCell::new(0);
            let (freed, attached, home) = (AtomicUsize::new(0), AtomicUsize::new(0), UnsafeCell::new(()));
            let cell = Arc::new(Cell { join: JoinWord::new(), result, freed, attached, home });
            let worker = thread::spawn({
                let cell = Arc::clone(&cell);
                move || {
                    // SAFETY: what is being checked.
                    cell.result.with_mut(|result| unsafe { *result = 7 });
                    let ended = cell.join.end(|| cell.attached.store(0, Ordering::Relaxed));
                    cell.home.with_mut(|_| ());
                    match ended {
                        Ended::Worker => free(&cell),
                        Ended::Owner(Some(wakeup)) => wakeup.wake(),
                        Ended::Owner(None) => {}
                    }
                }
            });
            owner(&cell);
            worker.join().unwrap();
            assert_eq!(cell.freed.load(Ordering::Relaxed), 1, "one side frees the cell, once");
            assert_eq!(
                cell.attached.load(Ordering::Relaxed),
                0,
                "no handle is attached to a fiber that has ended"
            );
        });
    }

    fn free(cell: &Cell) {
        // SAFETY: what is being checked.
        cell.result.with_mut(|result| assert_eq!(std::mem::take(unsafe { &mut *result }), 7));
        cell.freed.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn a_join_sees_the_result_and_frees_the_cell() {
        check(|cell| {
            let waiter = ModelWaiter::new();
            cell.join.await_end(&waiter, ModelWaiter::park).unwrap();
            assert!(cell.join.is_complete());
            free(cell);
        });
    }

    #[test]
    fn the_waiter_of_a_join_that_gives_up_is_not_used_afterwards() {
        check(|cell| {
            let waiter = ModelWaiter::new();
            match cell.join.await_end(&waiter, ModelWaiter::park_or_give_up) {
                Ok(()) | Err(true) => free(cell),
                Err(false) => {}
            }
            waiter.end();
        });
    }

    #[test]
    fn a_join_that_leaves_can_be_made_again() {
        check(|cell| {
            let waiter = ModelWaiter::new();
            let has_ended = cell.join.await_end_or_leave(&waiter, ModelWaiter::park_or_give_up);
            waiter.end();
            if !has_ended {
                cell.join.await_end(&ModelWaiter::new(), ModelWaiter::park).unwrap();
            }
            free(cell);
        });
    }

    fn hold(cell: &Cell) {
        let reach = || {
            cell.home.with(|_| ());
            cell.attached.store(1, Ordering::Relaxed);
        };
        cell.join.while_held(reach, || cell.attached.store(0, Ordering::Relaxed));
    }

    #[test]
    fn a_hold_keeps_the_fiber_from_ending() {
        check(|cell| {
            hold(cell);
            let waiter = ModelWaiter::new();
            cell.join.await_end(&waiter, ModelWaiter::park).unwrap();
            free(cell);
        });
    }

    #[test]
    fn a_detach_after_a_hold_leaves_no_handle_attached() {
        check(|cell| {
            hold(cell);
            if cell.join.detach() {
                free(cell);
            }
        });
    }

    #[test]
    fn after_a_detach_one_side_frees_the_cell() {
        check(|cell| {
            if cell.join.detach() {
                free(cell);
            }
        });
    }
}
