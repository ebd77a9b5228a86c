//! The join protocol: one word between the worker that ends a fiber and the one owner of its join handle.
//!
//! | word | meaning |
//! |---|---|
//! | `RUNNING` (0) | not ended; nobody waits |
//! | a waiter's address | not ended; the handle's owner waits, or is about to |
//! | address + `ENDED` | ended; the worker is claiming that waiter and still uses it and the cell |
//! | `ENDED` (1) | ended; the result is stored; the cell belongs to the handle's owner |
//! | `DETACHED` (2) | not ended; the handle is gone; the cell belongs to the worker |
//! | `PINNED` (8) | not ended; the owner keeps it so for a moment, to reach the fiber's runtime |
//! | `PINNED` + `ENDED` | the result is stored; the worker waits for the owner to let go |
//! | `RELEASED` (16) + `ENDED` | the owner has let go; the worker still uses the cell |
//! | `KNOWN` (4) | as `RUNNING`, after a pin: handles that the owner gave out lead to the fiber |
//! | `KNOWN` + `ENDED` | ended; the worker is making those handles harmless and still uses the cell |
//!
//! The worker's side is [`JoinWord::end`]: it sets `ENDED` in one atomic step and so learns who owns the cell
//! from then on. The owner's side is [`JoinWord::await_end`], [`JoinWord::detach`] and [`JoinWord::pinned`]. The race
//! that needs care is an owner who gives up (a cancelled join), wakes early (a thread) or comes late while the worker
//! still uses waiter or cell: it waits for the plain `ENDED` before it leaves, which is at most a few instructions away.

#![expect(unsafe_code, reason = "the word holds the address of a waiter on another stack")]

use std::marker::PhantomData;

use crate::atomic::{AtomicUsize, Backoff, CLOSE_BY, Ordering, thread_yield};

use super::{Claim, Outcome, Waiter, Woken};

const RUNNING: usize = 0;
const ENDED: usize = 1;
const DETACHED: usize = 2;
const KNOWN: usize = 4;
const PINNED: usize = 8;
const RELEASED: usize = 16;

const _: () = assert!(align_of::<Waiter>() >= 4, "the low two bits of a waiter's address are the protocol's");

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct JoinWord<W = Waiter>(AtomicUsize, PhantomData<*const W>);

/// Who frees the cell of a fiber that has just ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended<Wakeup = Woken> {
    /// The owner of the join handle, after taking the result. The wake-up it may be owed comes with it.
    Owner(Option<Wakeup>),
    /// The worker: the handle was dropped before.
    Worker,
}

impl<W: Claim> JoinWord<W> {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(RUNNING), PhantomData)
    }

    /// Whether the result is there. True a moment before a waiting owner is woken.
    pub(crate) fn has_ended(&self) -> bool {
        // Acquire: pairs with the Release in `end`, which published the result.
        self.0.load(Ordering::Acquire) & ENDED != 0
    }

    /// Whether the cell is the owner's: the result is there and the worker has let go.
    #[inline]
    pub(crate) fn has_ended_for_good(&self) -> bool {
        // Acquire: as in `has_ended`.
        self.0.load(Ordering::Acquire) == ENDED
    }

    /// Whether the handle is gone, which it then stays.
    #[inline]
    pub(crate) fn is_detached(&self) -> bool {
        // Acquire: pairs with the Release in `detach`.
        self.0.load(Ordering::Acquire) == DETACHED
    }

    /// The worker's side, called once, after the result is stored. After `Owner`, the cell is gone. `withdraw` is called
    /// before that whenever the owner may have given out handles that lead to the fiber.
    #[inline]
    pub(crate) fn end(&self, withdraw: impl FnOnce()) -> Ended<W::Woken> {
        // AcqRel: Release publishes the result to the owner's Acquire loads; Acquire sees the owner's waiter.
        match self.0.fetch_or(ENDED, Ordering::AcqRel) {
            RUNNING => Ended::Owner(None),
            DETACHED => {
                withdraw();
                Ended::Worker
            }
            before => Ended::Owner(self.end_in_use(before, withdraw)),
        }
    }

    #[inline]
    fn end_in_use(&self, before: usize, withdraw: impl FnOnce()) -> Option<W::Woken> {
        withdraw();
        let woken = match before {
            KNOWN => None,
            PINNED => {
                self.spin_until(RELEASED | ENDED);
                None
            }
            // SAFETY: the owner registered a live waiter and, having seen `ENDED` beside its address, stays in
            // `await_end` until the store below.
            waiter => unsafe { &*(waiter as *const W) }.claim_notified(),
        };
        // Release: the last use of waiter and cell happens before the owner leaves.
        self.0.store(ENDED, Ordering::Release);
        woken
    }

    /// The owner gives the handle up. True when the cell is now the caller's to free.
    pub(crate) fn detach(&self) -> bool {
        // AcqRel: Release so that the worker's free comes after our uses; Acquire to see the result we drop.
        for open in [RUNNING, KNOWN] {
            if self.0.compare_exchange(open, DETACHED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return false;
            }
        }
        self.spin_until(ENDED);
        true
    }

    /// The owner waits for the end by calling `park` on its waiter. `Err` is a cancelled wait; the handle is
    /// then detached and its value says whether the cell is the caller's to free.
    pub(crate) fn await_end(&self, waiter: &W, park: impl FnOnce(&W) -> Outcome) -> Result<(), bool> {
        // SAFETY: the waiter is borrowed until this returns, which is after the worker has let go of it.
        if !unsafe { self.register(waiter) } {
            return Ok(());
        }
        if park(waiter) != Outcome::Notified {
            return Err(self.give_up(waiter));
        }
        self.await_release();
        Ok(())
    }

    /// The owner makes its waiter known. `false` if the fiber has ended: the cell is the owner's.
    ///
    /// # Safety
    ///
    /// The waiter stays alive and in place until the owner has called [`give_up`](Self::give_up), or
    /// [`await_release`](Self::await_release) after the waiter was claimed.
    pub(crate) unsafe fn register(&self, waiter: &W) -> bool {
        let address = std::ptr::from_ref(waiter) as usize;
        // AcqRel: Release publishes the waiter to `end`; a failure has seen the result.
        let register =
            |open| self.0.compare_exchange(open, address, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if register(RUNNING) || register(KNOWN) {
            return true;
        }
        self.await_release();
        false
    }

    /// The owner of a registered waiter detaches instead of waiting on. True when the cell is its own to free: the worker
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

    /// Waits for the worker, which is ending the fiber, to let go of waiter and cell.
    pub(crate) fn await_release(&self) {
        self.spin_until(ENDED);
    }

    /// Calls `reach` while the fiber cannot end, from a handle that stays; returns false, without a call, when it has ended.
    /// If the fiber comes to its end meanwhile, `withdraw` is called before it does.
    pub(crate) fn pinned(&self, reach: impl FnOnce(), withdraw: impl FnOnce()) -> bool {
        loop {
            // Acquire: as in `has_ended`, and pairs with the Release of another thread's pin.
            let now = self.0.load(Ordering::Acquire);
            if now & ENDED != 0 {
                return false;
            }
            // Another thread pins it through the same handle; nobody waits or detaches while handles are shared.
            if now == PINNED {
                thread_yield();
                continue;
            }
            if self.0.compare_exchange(now, PINNED, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                break;
            }
        }
        reach();
        // Release: the worker's end comes after what was reached.
        if self.0.compare_exchange(PINNED, KNOWN, Ordering::AcqRel, Ordering::Acquire).is_err() {
            withdraw();
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
    //! result is seen, the waiter is not used after it has gone, and exactly one side frees the cell.

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
        /// Whether handles lead to the fiber.
        aimed: AtomicUsize,
        /// Touched by whoever reaches the fiber's runtime, and by the worker once the fiber has ended: loom reports
        /// a touch that is not ordered before the end.
        home: UnsafeCell<()>,
    }

    fn check(owner: impl Fn(&Cell) + Sync + Send + Copy + 'static) {
        loom::model(move || {
            let result = UnsafeCell::new(0);
            let (freed, aimed, home) = (AtomicUsize::new(0), AtomicUsize::new(0), UnsafeCell::new(()));
            let cell = Arc::new(Cell { join: JoinWord::new(), result, freed, aimed, home });
            let worker = thread::spawn({
                let cell = Arc::clone(&cell);
                move || {
                    // SAFETY: what is being checked.
                    cell.result.with_mut(|result| unsafe { *result = 7 });
                    let ended = cell.join.end(|| cell.aimed.store(0, Ordering::Relaxed));
                    cell.home.with_mut(|_| ());
                    match ended {
                        Ended::Worker => free(&cell),
                        Ended::Owner(Some(woken)) => woken.wake(),
                        Ended::Owner(None) => {}
                    }
                }
            });
            owner(&cell);
            worker.join().unwrap();
            assert_eq!(cell.freed.load(Ordering::Relaxed), 1, "one side frees the cell, once");
            assert_eq!(cell.aimed.load(Ordering::Relaxed), 0, "no handle leads to a fiber that has ended");
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
            assert!(cell.join.has_ended_for_good());
            free(cell);
        });
    }

    #[test]
    fn a_join_that_gives_up_leaves_nobody_with_its_waiter() {
        check(|cell| {
            let waiter = ModelWaiter::new();
            match cell.join.await_end(&waiter, ModelWaiter::park_or_give_up) {
                Ok(()) | Err(true) => free(cell),
                Err(false) => {}
            }
            waiter.gone();
        });
    }

    fn pin(cell: &Cell) {
        let reach = || {
            cell.home.with(|_| ());
            cell.aimed.store(1, Ordering::Relaxed);
        };
        cell.join.pinned(reach, || cell.aimed.store(0, Ordering::Relaxed));
    }

    #[test]
    fn a_pin_keeps_the_fiber_from_ending() {
        check(|cell| {
            pin(cell);
            let waiter = ModelWaiter::new();
            cell.join.await_end(&waiter, ModelWaiter::park).unwrap();
            free(cell);
        });
    }

    #[test]
    fn a_detach_after_a_pin_leaves_no_handle_that_leads_to_the_fiber() {
        check(|cell| {
            pin(cell);
            if cell.join.detach() {
                free(cell);
            }
        });
    }

    #[test]
    fn a_detach_leaves_the_cell_to_one_side() {
        check(|cell| {
            if cell.join.detach() {
                free(cell);
            }
        });
    }
}
