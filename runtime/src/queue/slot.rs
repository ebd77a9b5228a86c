//! A worker's LIFO slot: the task it spawned last, which it will run next unless a thief is faster.
//!
//! One pointer. The owner alone puts, so an empty slot is filled with a plain store; the owner and thieves take.
//! The slot owns nothing: whoever takes the pointer has the task.

use std::fmt;
use std::ptr::{self, NonNull};

use crate::atomic::{AtomicPtr, Ordering};

/// See the module's documentation.
pub(crate) struct LifoSlot<T>(AtomicPtr<T>);

impl<T> LifoSlot<T> {
    /// An empty slot.
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts `task` in; returns the one that it displaces. Only the slot's owner may call this: of two puts at the
    /// same time one could overwrite the other's task.
    #[inline]
    pub(crate) fn put(&self, task: NonNull<T>) -> Option<NonNull<T>> {
        if self.is_empty() {
            // Nobody else puts, so the slot stays empty until this store.
            // Release: pairs with the Acquire in `take`, which publishes the task to a thief.
            self.0.store(task.as_ptr(), Ordering::Release);
            return None;
        }
        // Release: as above. A thief may have emptied the slot meanwhile, which is why this is a swap; the task that
        // comes back is the owner's own, so nothing needs to be acquired.
        NonNull::new(self.0.swap(task.as_ptr(), Ordering::Release))
    }

    /// Takes the task. Of several takers at the same time at most one gets it.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<T>> {
        if self.is_empty() {
            return None;
        }
        // Acquire: pairs with the Release in `put`.
        NonNull::new(self.0.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Whether there is no task, at a glance: one load that orders nothing.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }
}

impl<T> fmt::Debug for LifoSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifoSlot").field("is_empty", &self.is_empty()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_put_displaces_the_task_before_it() {
        let (one, two) = (1, 2);
        let (one, two) = (NonNull::from(&one), NonNull::from(&two));
        let slot = LifoSlot::new();
        assert_eq!(slot.take(), None);
        assert_eq!(slot.put(one), None);
        assert_eq!(slot.put(two), Some(one));
        assert!(!slot.is_empty());
        assert_eq!(slot.take(), Some(two));
        assert!(slot.is_empty());
        assert_eq!(slot.take(), None);
    }
}

#[cfg(all(test, loom))]
mod model {
    #![expect(unsafe_code, reason = "the model reads what a taken pointer points to")]

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::atomic::UnsafeCell;

    /// What crosses the slot: a payload that loom checks for races.
    type Task = UnsafeCell<u32>;

    fn task(number: u32) -> NonNull<Task> {
        let task = Box::leak(Box::new(UnsafeCell::new(0)));
        // SAFETY: nobody else has it yet. Written here, and not by `new`, for loom to see a write to race with.
        task.with_mut(|cell| unsafe { *cell = number });
        NonNull::from(task)
    }

    /// Takes the task's payload, as whoever runs it does.
    fn run(task: NonNull<Task>) -> u32 {
        // SAFETY: the slot hands a task to one taker, who then owns the leaked box.
        let task = unsafe { Box::from_raw(task.as_ptr()) };
        // SAFETY: as above; loom checks it.
        task.with_mut(|number| unsafe { *number })
    }

    #[test]
    fn model_each_task_has_one_taker() {
        loom::model(|| {
            let slot = Arc::new(LifoSlot::new());
            let thieves: Vec<_> = (0..2)
                .map(|_| {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || slot.take().map_or(0, run))
                })
                .collect();
            // Each task is a bit, so the sum shows a loss or a double run of any of them.
            let mut seen = 0;
            for bit in [1, 2] {
                seen += slot.put(task(bit)).map_or(0, run);
            }
            seen += slot.take().map_or(0, run);
            for thief in thieves {
                seen += thief.join().unwrap();
            }
            assert_eq!(seen, 3);
        });
    }
}
