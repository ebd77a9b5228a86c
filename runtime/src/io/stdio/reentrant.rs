//! A lock that its owner, a fiber or a plain thread, may take again: whoever holds standard output may still print.
//!
//! The owner is known by its id, which is never another's, and not by an address: a guard may outlive the fiber that took it
//! (in another fiber of the worker, in a coroutine), whose memory is then that of a fiber on another thread.

#![expect(unsafe_code, reason = "a lock hands out references to what it guards")]

use std::cell::{Cell, RefCell, RefMut};
use std::marker::PhantomData;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fiber::current_id;
use crate::sync::{Mutex, MutexGuard};

/// See the module's documentation.
pub(super) struct ReentrantLock<T: 'static> {
    mutex: Mutex<()>,
    /// The id of who holds it; 0 is nobody. Only the owner finds itself here.
    owner: AtomicU64,
    /// The owner's: how often it has locked, and the right that it gives back at the end.
    depth: Cell<usize>,
    held: Cell<Option<MutexGuard<'static, ()>>>,
    value: RefCell<T>,
}

// SAFETY: nobody holds a lock that is moved: a guard refers to it for ever.
unsafe impl<T: Send> Send for ReentrantLock<T> {}
// SAFETY: cells and value are touched by the owner, or through one of its guards, which stay on its thread; owners are ordered
// by the mutex. (Who finds its own id is the owner, or its thread: ids are never used again.)
unsafe impl<T: Send> Sync for ReentrantLock<T> {}

/// One of the locks that the owner has taken.
pub(super) struct ReentrantGuard<T: 'static> {
    lock: &'static ReentrantLock<T>,
    /// Given back by whoever took it.
    not_send: PhantomData<*const ()>,
}

// SAFETY: through a shared guard nothing is done: to get at the value, and to drop, takes the guard itself.
unsafe impl<T: Send> Sync for ReentrantGuard<T> {}

/// The number of the calling fiber or thread.
fn me() -> u64 {
    current_id().number().get()
}

impl<T> ReentrantLock<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            mutex: Mutex::new(()),
            owner: AtomicU64::new(0),
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
        self.enter()
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
        Some(self.enter())
    }

    /// One more guard for the owner, which calls.
    fn enter(&'static self) -> ReentrantGuard<T> {
        // Guards that are forgotten stay counted.
        self.depth.set(self.depth.get().checked_add(1).expect("a stream is locked too often"));
        ReentrantGuard { lock: self, not_send: PhantomData }
    }

    fn take(&self, me: u64, guard: MutexGuard<'static, ()>) {
        self.owner.store(me, Ordering::Relaxed);
        self.held.set(Some(guard));
    }
}

impl<T> ReentrantGuard<T> {
    /// The value; `None` if the owner is using it already, further up its stack.
    pub(super) fn value(&mut self) -> Option<RefMut<'_, T>> {
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
