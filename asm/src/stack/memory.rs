//! Memory of the allocator's that may be refused.
#![expect(unsafe_code, reason = "owns memory of the allocator's")]

use alloc::alloc::{alloc as allocate, dealloc};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::mem;
use core::ptr::NonNull;
use core::sync::atomic::AtomicPtr;

use super::error::StackError;

/// A word for each of `count` stacks.
pub(super) fn words(count: usize) -> Result<Box<[AtomicPtr<()>]>, StackError> {
    let mut words = Vec::new();
    let no_memory = |_| StackError::new("allocation", count * size_of::<AtomicPtr<()>>(), libc::ENOMEM);
    words.try_reserve_exact(count).map_err(no_memory)?;
    words.resize_with(count, AtomicPtr::default);
    Ok(words.into_boxed_slice())
}

/// Memory for a value that is not there yet.
pub(super) struct Room<T>(NonNull<T>);

/// Room for a value, of a type that has a size.
///
/// # Errors
///
/// * There is no memory for it.
pub(super) fn room_for<T>() -> Result<Room<T>, StackError> {
    const { assert!(size_of::<T>() != 0, "the allocator is asked for something") };
    let layout = Layout::new::<T>();
    // SAFETY: the size is not zero.
    let memory = NonNull::new(unsafe { allocate(layout) });
    let memory = memory.ok_or_else(|| StackError::new("allocation", layout.size(), libc::ENOMEM))?;
    Ok(Room(memory.cast()))
}

impl<T> Room<T> {
    pub(super) fn fill(self, value: T) -> Box<T> {
        let memory = self.0;
        mem::forget(self);
        // SAFETY: the memory is the allocator's, for this type, and nobody else knows it.
        unsafe {
            memory.write(value);
            Box::from_raw(memory.as_ptr())
        }
    }
}

impl<T> Drop for Room<T> {
    fn drop(&mut self) {
        // SAFETY: the memory is the allocator's, by this layout, and there is nothing in it.
        unsafe { dealloc(self.0.as_ptr().cast(), Layout::new::<T>()) };
    }
}
