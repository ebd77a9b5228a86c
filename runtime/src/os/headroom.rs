//! Whether the process can have more memory.

#![expect(unsafe_code, reason = "asks the allocator for memory, and gives it back")]

use std::alloc::{Layout, alloc, dealloc};
use std::hint::black_box;

use rustix::process::{Resource, getrlimit};

/// Whether the process's space of addresses is limited (RLIMIT_AS).
pub(crate) fn is_limited() -> bool {
    getrlimit(Resource::As).current.is_some()
}

/// Whether the allocator has so many bytes now.
pub(crate) fn has(bytes: usize) -> bool {
    let Ok(layout) = Layout::from_size_align(bytes, align_of::<usize>()) else { return false };
    if layout.size() == 0 {
        return true;
    }
    // Or else the compiler may leave out both.
    // SAFETY: the size is not zero.
    let memory = black_box(unsafe { alloc(layout) });
    if memory.is_null() {
        return false;
    }
    // SAFETY: it is the allocator's, by this layout.
    unsafe { dealloc(memory, layout) };
    true
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn some_bytes_are_there_and_more_than_there_are_addresses_are_not() {
        assert!(has(1) && has(1 << 20));
        assert!(!has(1 << 60));
    }
}
