//! The value of a watch channel, which many look at or one changes.
//!
//! Readers come first: one that looks may look again, and a sender waits until nobody looks.

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
    gate: SpinLock<Gate>,
    value: UnsafeCell<T>,
}

// SAFETY: a cell owns its value.
unsafe impl<T: Send> Send for Cell<T> {}
// SAFETY: a shared cell gives shared references to several threads at once, or an exclusive one to one of them.
unsafe impl<T: Send + Sync> Sync for Cell<T> {}

struct Gate {
    readers: usize,
    is_writing: bool,
    /// Who waits to read or to write, each to try again.
    waiting: WaitList<()>,
}

/// Somebody looks.
///
/// It refers to the value itself, not to the cell, so that it has the variance of a reference.
pub(super) struct Read<'a, T> {
    gate: &'a SpinLock<Gate>,
    /// As other guards: it is dropped where it was made, and so not `Send`.
    value: NonNull<T>,
    borrows: PhantomData<&'a T>,
}

// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: Sync> Sync for Read<'_, T> {}

/// Somebody changes the value.
pub(super) struct Write<'a, T> {
    cell: &'a Cell<T>,
    on_one_thread: PhantomData<*const ()>,
}

impl<T> Cell<T> {
    pub(super) fn new(value: T) -> Self {
        let gate = Gate { readers: 0, is_writing: false, waiting: WaitList::new() };
        Self { gate: SpinLock::new(gate), value: UnsafeCell::new(value) }
    }

    /// Waits while somebody changes the value. Unwinds when the fiber is cancelled.
    pub(super) fn read(&self) -> Read<'_, T> {
        park::spend(Cost::Wait);
        self.enter(|gate| {
            let may_enter = !gate.is_writing;
            // What is lent out may be forgotten, and stays counted.
            let readers = gate.readers.checked_add(usize::from(may_enter));
            gate.readers = readers.expect("too many look at the value");
            may_enter
        });
        let value = NonNull::new(self.value.get()).expect("a value has an address");
        Read { gate: &self.gate, value, borrows: PhantomData }
    }

    /// Waits while somebody else changes the value, or looks. Unwinds when the fiber is cancelled.
    pub(super) fn write(&self) -> Write<'_, T> {
        self.enter(|gate| {
            let may_enter = !gate.is_writing && gate.readers == 0;
            gate.is_writing |= may_enter;
            may_enter
        });
        Write { cell: self, on_one_thread: PhantomData }
    }

    fn enter(&self, try_enter: impl Fn(&mut Gate) -> bool) {
        loop {
            let mut gate = self.gate.lock();
            if try_enter(&mut gate) {
                return;
            }
            let (outcome, ()) =
                wait_list::wait(gate, |gate| &mut gate.waiting, End::Back, (), Reason::Watch, None, || ());
            if outcome == Outcome::Cancelled {
                park::unwind();
            }
        }
    }
}

/// Somebody leaves; those who wait try again when nobody is left.
fn leave(gate: &SpinLock<Gate>, leave: impl FnOnce(&mut Gate)) {
    let mut state = gate.lock();
    leave(&mut state);
    let is_awaited = state.readers == 0 && !state.waiting.is_empty();
    drop(state);
    if is_awaited {
        wait_list::wake_up_to(gate, |gate| &mut gate.waiting, usize::MAX);
    }
}

impl<T> Deref for Read<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this reader is counted, so nobody writes; the cell is borrowed, so the value is there.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Deref for Write<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: nobody else writes or reads.
        unsafe { &*self.cell.value.get() }
    }
}

impl<T> DerefMut for Write<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: nobody else writes or reads.
        unsafe { &mut *self.cell.value.get() }
    }
}

impl<T> Drop for Read<'_, T> {
    fn drop(&mut self) {
        leave(self.gate, |gate| gate.readers -= 1);
    }
}

impl<T> Drop for Write<'_, T> {
    fn drop(&mut self) {
        leave(&self.cell.gate, |gate| gate.is_writing = false);
    }
}
