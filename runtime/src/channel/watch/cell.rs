//! The value of a watch channel: a reader-writer lock.
//!
//! Readers are preferred: a reader may read again, and a sender waits until there is no reader.

#![expect(unsafe_code, reason = "gives out references to the value, by its own count of readers")]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// See the module's documentation.
pub(super) struct Cell<T> {
    lock: SpinLock<LockState>,
    value: UnsafeCell<T>,
}

// SAFETY: a cell owns its value.
unsafe impl<T: Send> Send for Cell<T> {}
// SAFETY: a shared cell gives either shared references to several threads at once, or an exclusive one to one thread.
unsafe impl<T: Send + Sync> Sync for Cell<T> {}

struct LockState {
    readers: usize,
    is_writing: bool,
    /// Readers and writers that wait, each to try again.
    waiting: WaitList<()>,
}

/// A shared reference to the value.
///
/// It refers to the value itself, not to the cell, so that it has the variance of a reference.
pub(super) struct Read<'a, T> {
    lock: &'a SpinLock<LockState>,
    /// Not `Send`, as other guards: it is dropped on the thread that made it.
    value: NonNull<T>,
    borrows: PhantomData<&'a T>,
}

// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: Sync> Sync for Read<'_, T> {}

/// An exclusive reference to the value.
pub(super) struct Write<'a, T> {
    cell: &'a Cell<T>,
    on_one_thread: PhantomData<*const ()>,
}

impl<T> Cell<T> {
    pub(super) fn new(value: T) -> Self {
        let state = LockState { readers: 0, is_writing: false, waiting: WaitList::new() };
        Self { lock: SpinLock::new(state), value: UnsafeCell::new(value) }
    }

    /// Waits while the value is being written. Unwinds when the fiber is cancelled.
    pub(super) fn read(&self) -> Read<'_, T> {
        park::spend(Cost::Wait);
        self.acquire(|state| {
            let may_read = !state.is_writing;
            // A guard that was forgotten stays counted.
            let readers = state.readers.checked_add(usize::from(may_read));
            state.readers = readers.expect("too many readers of the value");
            may_read
        });
        let value = NonNull::new(self.value.get()).expect("a value has an address");
        Read { lock: &self.lock, value, borrows: PhantomData }
    }

    /// Waits while the value is being written or read. Unwinds when the fiber is cancelled.
    pub(super) fn write(&self) -> Write<'_, T> {
        self.acquire(|state| {
            let may_write = !state.is_writing && state.readers == 0;
            state.is_writing |= may_write;
            may_write
        });
        Write { cell: self, on_one_thread: PhantomData }
    }

    fn acquire(&self, try_acquire: impl Fn(&mut LockState) -> bool) {
        loop {
            let mut state = self.lock.lock();
            if try_acquire(&mut state) {
                return;
            }
            let (outcome, ()) =
                wait_list::wait(state, |state| &mut state.waiting, End::Back, (), Reason::Watch, None, || ());
            if outcome == Outcome::Cancelled {
                park::unwind();
            }
        }
    }
}

/// Releases a guard. When it was the last one, the waiters try again.
fn release(lock: &SpinLock<LockState>, release: impl FnOnce(&mut LockState)) {
    let mut state = lock.lock();
    release(&mut state);
    let is_awaited = state.readers == 0 && !state.waiting.is_empty();
    drop(state);
    if is_awaited {
        wait_list::wake_up_to(lock, |state| &mut state.waiting, usize::MAX);
    }
}

impl<T> Deref for Read<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this reader is counted, so there is no writer. The cell is borrowed, so the value is there.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Deref for Write<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: there is no other writer and no reader.
        unsafe { &*self.cell.value.get() }
    }
}

impl<T> DerefMut for Write<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is no other writer and no reader.
        unsafe { &mut *self.cell.value.get() }
    }
}

impl<T> Drop for Read<'_, T> {
    fn drop(&mut self) {
        release(self.lock, |state| state.readers -= 1);
    }
}

impl<T> Drop for Write<'_, T> {
    fn drop(&mut self) {
        release(&self.cell.lock, |state| state.is_writing = false);
    }
}
