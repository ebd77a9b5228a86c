//! A slot for one pointer, which its owner fills and any thread empties.
//!
//! The slot does not own what the pointer leads to: the thread that takes the pointer does.

use std::fmt;
use std::ptr::{self, NonNull};

use crate::atomic::{AtomicPtr, Ordering};

/// See the module's documentation.
pub(crate) struct Slot<T>(AtomicPtr<T>);

impl<T> Slot<T> {
    /// An empty slot.
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts `item` into the slot, which is empty. Only the slot's owner may call this: of two puts one would overwrite the other's
    /// item.
    pub(crate) fn put(&self, item: NonNull<T>) {
        // Release: pairs with the Acquire in `take`, which publishes the item to its taker.
        let before = self.0.swap(item.as_ptr(), Ordering::Release);
        debug_assert!(before.is_null(), "only the owner fills it, and sees whether it is empty");
    }

    /// Takes the item. Of several concurrent takers at most one gets it.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<T>> {
        if self.is_empty() {
            return None;
        }
        // Acquire: pairs with the Release in `put`.
        NonNull::new(self.0.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Whether the slot is empty. One load, which orders nothing.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("is_empty", &self.is_empty()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_taken_once() {
        let one = 1;
        let slot = Slot::new();
        assert_eq!(slot.take(), None);
        slot.put(NonNull::from(&one));
        assert!(!slot.is_empty());
        assert_eq!(slot.take(), Some(NonNull::from(&one)));
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

    /// The item: a payload that loom checks for races.
    type Item = UnsafeCell<u32>;

    fn item(number: u32) -> NonNull<Item> {
        let item = Box::leak(Box::new(UnsafeCell::new(0)));
        // SAFETY: no other thread has it yet. Written here, and not by `new`, so that loom sees a write to race with.
        item.with_mut(|cell| unsafe { *cell = number });
        NonNull::from(item)
    }

    /// Takes the item's payload, as the thread that runs it does.
    fn run(item: NonNull<Item>) -> u32 {
        // SAFETY: the slot gives an item to one taker, which then owns the leaked box.
        let item = unsafe { Box::from_raw(item.as_ptr()) };
        // SAFETY: as above; loom checks it.
        item.with_mut(|number| unsafe { *number })
    }

    #[test]
    fn model_each_item_has_one_taker() {
        loom::model(|| {
            let slot = Arc::new(Slot::new());
            let thieves: Vec<_> = (0..2)
                .map(|_| {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || slot.take().map_or(0, run))
                })
                .collect();
            // Each item is a bit, so the sum shows an item that is lost or run twice.
            let mut seen = 0;
            for bit in [1, 2] {
                slot.put(item(bit));
                // Whoever puts has emptied the slot, or seen that a thief did.
                seen += slot.take().map_or(0, run);
            }
            for thief in thieves {
                seen += thief.join().unwrap();
            }
            assert_eq!(seen, 3);
        });
    }
}
