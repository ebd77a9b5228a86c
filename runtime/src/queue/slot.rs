//! A worker's LIFO slot: the fiber that it spawned last, which it runs next unless a thief takes it first.
//!
//! It is one pointer. Only the owner puts, so an empty slot is filled with a plain store; the owner and thieves take.
//! The slot does not own the fiber: the thread that takes the pointer does.

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

    /// Puts `item` in. Returns the item that it displaces. Only the slot's owner may call this: of two concurrent puts one
    /// could overwrite the other's item.
    #[inline]
    pub(crate) fn put(&self, item: NonNull<T>) -> Option<NonNull<T>> {
        if self.is_empty() {
            // Only this thread puts, so the slot stays empty until this store.
            // Release: pairs with the Acquire in `take`, which publishes the item to a thief.
            self.0.store(item.as_ptr(), Ordering::Release);
            return None;
        }
        // Release: as above. A thief may have emptied the slot meanwhile, so this is a swap. An item that comes back is the
        // owner's own, so nothing needs to be acquired.
        NonNull::new(self.0.swap(item.as_ptr(), Ordering::Release))
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

impl<T> fmt::Debug for LifoSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifoSlot").field("is_empty", &self.is_empty()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_put_displaces_the_item_before_it() {
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
            let slot = Arc::new(LifoSlot::new());
            let thieves: Vec<_> = (0..2)
                .map(|_| {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || slot.take().map_or(0, run))
                })
                .collect();
            // Each item is a bit, so the sum shows an item that is lost or run twice.
            let mut seen = 0;
            for bit in [1, 2] {
                seen += slot.put(item(bit)).map_or(0, run);
            }
            seen += slot.take().map_or(0, run);
            for thief in thieves {
                seen += thief.join().unwrap();
            }
            assert_eq!(seen, 3);
        });
    }
}
