//! The exchange: a thread that has nothing to do takes a worker that sleeps, and gives it its own in its place.

use std::ptr;
use std::sync::atomic::Ordering;

use super::Spares;
use crate::scheduler::worker::Worker;

impl Spares {
    /// Takes `other`, a worker that sleeps and for which there is something to do, from its thread, and gives that one `mine`, the worker of
    /// the calling thread, which sleeps as well. Returns whether it has: then `other` is the calling thread's, and `mine` is not.
    pub(in crate::scheduler) fn exchange(&self, mine: &Worker, other: &Worker) -> bool {
        // Who holds the lock moves a worker, so what the caller has seen may be about to change.
        let Ok(mut state) = self.state.try_lock() else { return false };
        let Some(theirs) = other.try_carrier() else { return false };
        if !mine.may_leave_thread() {
            self.unpark_for_work(&mut state, other);
            return false;
        }
        let here = mine.carrier();
        let ward = here.ward().get();
        let is_free = ward.is_none_or(|ward| ptr::eq(ward, other));
        if theirs.is_assigned() && !is_free {
            // It may be stuck, and one is enough to look after.
            return false;
        }
        // Either the thread has been given the worker and has not begun with it, or it runs it.
        let is_withdrawn = theirs.withdraw(other);
        if !is_withdrawn && !theirs.take(|| other.may_leave_thread() && other.current().is_none()) {
            return false;
        }
        let count = self.exchanges.fetch_add(1, Ordering::Relaxed);
        other.set_carrier(here);
        if is_free {
            here.ward().set(Some(mine));
        }
        mine.set_carrier(theirs);
        if is_withdrawn {
            // The thread has been woken for the other one, or is stuck, or rests, and looks under the lock.
            theirs.assign_instead(mine);
        } else {
            // Only a thread whose worker is looked after may rest.
            if is_free && (self.rest.has_room(state.resting) || (self.is_eager() && count.is_multiple_of(2)))
            {
                state.lay_to_rest(theirs);
            }
            theirs.assign(mine);
            if !theirs.rests() {
                // The monitor sees to it that it begins.
                mine.shared().monitor_parker.keep_alarm();
            }
        }
        true
    }
}
