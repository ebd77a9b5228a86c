//! A lock that its owner, a fiber or a plain thread, may take again: whoever holds standard output may still print.

#![expect(unsafe_code, reason = "a lock hands out references to what it guards")]

use std::cell::{Cell, RefCell, RefMut};
use std::marker::PhantomData;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::park;
use crate::sync::{Mutex, MutexGuard};

/// See the module's documentation.
pub(super) struct ReentrantLock<T: 'static> {
    mutex: Mutex<()>,
    /// Who holds it; 0 is nobody. Only the owner finds itself here.
    owner: AtomicUsize,
    /// The owner's: how often it has locked, and the right that it gives back at the end.
    depth: Cell<usize>,
    held: Cell<Option<MutexGuard<'static, ()>>>,
    value: RefCell<T>,
}

// SAFETY: nobody holds a lock that is moved: a guard refers to it for ever.
unsafe impl<T: Send> Send for ReentrantLock<T> {}
// SAFETY: cells and value are touched by the owner only, and owners are ordered by the mutex.
unsafe impl<T: Send> Sync for ReentrantLock<T> {}

/// One of the locks that the owner has taken.
pub(super) struct ReentrantGuard<T: 'static> {
    lock: &'static ReentrantLock<T>,
    /// Given back by whoever took it.
    not_send: PhantomData<*const ()>,
}

thread_local! {
    /// Its address names a plain thread.
    static ANCHOR: u8 = const { 0 };
}

/// A name of the calling fiber or thread, which no other has while it lives.
fn me() -> usize {
    match park::waiter().fiber() {
        Some(fiber) => fiber.as_ptr().addr(),
        None => ANCHOR.with(|anchor| std::ptr::from_ref(anchor).addr()),
    }
}

impl<T> ReentrantLock<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            mutex: Mutex::new(()),
            owner: AtomicUsize::new(0),
            depth: Cell::new(0),
            held: Cell::new(None),
            value: RefCell::new(value),
        }
    }

    pub(super) fn lock(&'static self) -> ReentrantGuard<T> {
        let me = me();
        // Relaxed, here and below: one finds itself only if it was the last to write.
        if self.owner.load(Ordering::Relaxed) != me {
            let guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
            self.take(me, guard);
        }
        self.depth.set(self.depth.get() + 1);
        ReentrantGuard { lock: self, not_send: PhantomData }
    }

    /// [`lock`](Self::lock) if nobody else has it.
    pub(super) fn try_lock(&'static self) -> Option<ReentrantGuard<T>> {
        let me = me();
        if self.owner.load(Ordering::Relaxed) != me {
            let guard = match self.mutex.try_lock() {
                Ok(guard) => guard,
                Err(std::sync::TryLockError::Poisoned(error)) => error.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => return None,
            };
            self.take(me, guard);
        }
        self.depth.set(self.depth.get() + 1);
        Some(ReentrantGuard { lock: self, not_send: PhantomData })
    }

    fn take(&self, me: usize, guard: MutexGuard<'static, ()>) {
        self.owner.store(me, Ordering::Relaxed);
        self.held.set(Some(guard));
    }
}

impl<T> ReentrantGuard<T> {
    /// The value; `None` if the owner is using it already, further up its stack.
    pub(super) fn value(&self) -> Option<RefMut<'_, T>> {
        self.lock.value.try_borrow_mut().ok()
    }
}

impl<T> Drop for ReentrantGuard<T> {
    fn drop(&mut self) {
        let depth = self.lock.depth.get() - 1;
        self.lock.depth.set(depth);
        if depth == 0 {
            self.lock.owner.store(0, Ordering::Relaxed);
            drop(self.lock.held.take());
        }
    }
}
