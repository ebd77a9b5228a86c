//! A value with several owners, as `std::sync::Arc`, whose making fails where there is no memory.
//!
//! An owner that goes away counts itself off by a Release. The last one reads the count by an Acquire before it drops the value, so it sees what
//! all others have done with it. (A fence would do; ThreadSanitizer does not know fences.)

#![expect(unsafe_code, reason = "owns memory of the allocator's")]
#![cfg_attr(
    any(loom, not(feature = "own-tls")),
    expect(unreachable_pub, reason = "the hooks export it, which the models do without")
)]

use std::alloc::{Layout, alloc, dealloc};
#[cfg(not(loom))]
use std::mem::{ManuallyDrop, offset_of};
use std::ops::Deref;
use std::ptr::NonNull;

use crate::atomic::{AtomicUsize, Ordering};

/// See the module's documentation.
pub struct Counted<T>(NonNull<Inner<T>>);

struct Inner<T> {
    owners: AtomicUsize,
    value: T,
}

// SAFETY: an owner lends the value to others, and may be the one that drops it.
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: as above: who has a reference may make another owner.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}

impl<T> Counted<T> {
    const LAYOUT: Layout = Layout::new::<Inner<T>>();

    /// One owner of `value`. `None` if there is no memory for it.
    #[must_use]
    pub fn new(value: T) -> Option<Self> {
        // SAFETY: the count alone has a size.
        let inner = NonNull::new(unsafe { alloc(Self::LAYOUT) })?.cast::<Inner<T>>();
        // SAFETY: the memory is for this type, and nobody else knows it.
        unsafe { inner.write(Inner { owners: AtomicUsize::new(1), value }) };
        Some(Self(inner))
    }

    /// The address of the value, which [`from_raw`](Self::from_raw) makes an owner of again.
    #[cfg(not(loom))]
    pub(crate) fn into_raw(this: Self) -> *const T {
        let this = ManuallyDrop::new(this);
        // SAFETY: the memory is there as long as this owner, who goes on to be one.
        unsafe { &raw const (*this.0.as_ptr()).value }
    }

    /// # Safety
    ///
    /// [`into_raw`](Self::into_raw) has returned the address, or an owner was [added](Self::increment_strong_count), for each owner that is made of it.
    #[cfg(not(loom))]
    pub(crate) unsafe fn from_raw(raw: *const T) -> Self {
        // SAFETY: the caller's promise: the value is that of an `Inner`.
        let inner = unsafe { raw.byte_sub(offset_of!(Inner<T>, value)) };
        // SAFETY: it is the address of memory.
        Self(unsafe { NonNull::new_unchecked(inner.cast_mut().cast()) })
    }

    /// Adds an owner, whom [`from_raw`](Self::from_raw) makes.
    ///
    /// # Safety
    ///
    /// As there; an owner is there during the call.
    #[cfg(not(loom))]
    pub(crate) unsafe fn increment_strong_count(raw: *const T) {
        // SAFETY: the caller's promise.
        let owner = ManuallyDrop::new(unsafe { Self::from_raw(raw) });
        let _added = ManuallyDrop::new((*owner).clone());
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: it lives as long as an owner does.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        // Relaxed: the caller is an owner, so the value stays.
        let before = self.inner().owners.fetch_add(1, Ordering::Relaxed);
        if before > isize::MAX as usize {
            // Owners are forgotten again and again. As `Arc`: there is no way on.
            std::process::abort();
        }
        Self(self.0)
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the last owner.
        if self.inner().owners.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Acquire: it reads what its own subtraction has written, which goes on with the releases of all others.
        self.inner().owners.load(Ordering::Acquire);
        // SAFETY: the caller was the last owner. The memory is the allocator's, by this layout.
        unsafe {
            self.0.drop_in_place();
            dealloc(self.0.as_ptr().cast(), Self::LAYOUT);
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of owners that use the value and go away: it is dropped once, after all uses.

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize as Count;
    use loom::thread;

    use super::*;

    /// What each owner changes in turn, which loom checks, and a count of drops.
    struct Value(UnsafeCell<u32>, Arc<Count>);

    // SAFETY: the model's owners change it one after the other, or loom tells.
    unsafe impl Sync for Value {}

    impl Drop for Value {
        fn drop(&mut self) {
            // Of the one use before.
            // SAFETY: the last owner is alone.
            self.0.with(|used| assert_eq!(unsafe { *used }, 1));
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_last_owner_drops_the_value_after_all_uses() {
        loom::model(|| {
            let drops = Arc::new(Count::new(0));
            let owner = Counted::new(Value(UnsafeCell::new(0), drops.clone())).unwrap();
            let user = owner.clone();
            let uses = thread::spawn(move || {
                let value: &Value = &user;
                // SAFETY: nobody else uses it before this owner goes away.
                value.0.with_mut(|used| unsafe { *used += 1 });
            });
            let another = owner.clone();
            let goes = thread::spawn(move || drop(another));
            drop(owner);
            uses.join().unwrap();
            goes.join().unwrap();
            assert_eq!(drops.load(Ordering::Relaxed), 1);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::Counted;

    #[test]
    fn a_value_is_dropped_once_whoever_is_the_last() {
        let value = Arc::new(());
        for _ in 0..1000 {
            let owner = Counted::new(value.clone()).unwrap();
            let others: Vec<_> = (0..3).map(|_| owner.clone()).collect();
            let threads: Vec<_> =
                others.into_iter().map(|other| thread::spawn(move || drop(other))).collect();
            drop(owner);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }
}
