//! Whether the process can have more memory.

#![expect(unsafe_code, reason = "asks the allocator and the kernel for memory, and gives it back")]

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::{self, NonNull};

/// Whether the process's space of addresses is limited (RLIMIT_AS).
pub(crate) fn is_limited() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // A filter of system calls may refuse the question.
    // SAFETY: writes a local.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) == 0 && limit.rlim_cur != libc::RLIM_INFINITY }
}

/// How much of a limited space of addresses threads that are fibers leave: the runtime asks for some while they run, and its own threads need
/// some. A thread that has no arena of glibc's yet, and gets none, maps pages for each allocation, so free memory of the allocator is no help.
pub(crate) const REST_BYTES: usize = 16 * 1024 * 1024;

/// Addresses that nobody else gets until this is dropped.
#[derive(Debug)]
pub(crate) struct Reserve {
    base: *mut c_void,
    bytes: usize,
}

impl Reserve {
    /// Takes so many bytes of the space of addresses, besides what the allocator has. `None` if there are not so many.
    pub(crate) fn take(bytes: usize) -> Option<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        (base != libc::MAP_FAILED).then_some(Self { base, bytes })
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's, and nobody else knows of it.
        unsafe { libc::munmap(self.base, self.bytes) };
    }
}

/// Whether a limited space of addresses has room for one more thread of the runtime's, which leaves some to the others.
pub(crate) fn has_room_for_thread() -> bool {
    !is_limited() || Reserve::take(REST_BYTES / 2).is_some()
}

/// Memory of the allocator's that nobody else gets until this is dropped.
#[derive(Debug)]
#[cfg_attr(
    any(loom, not(feature = "own-tls")),
    allow(unreachable_pub, reason = "for hooks, which are not there")
)]
pub struct Kept {
    memory: NonNull<u8>,
    layout: Layout,
}

impl Kept {
    /// Takes so many bytes, at least one. `None` if the allocator has not got them.
    pub(crate) fn take(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.max(1), align_of::<usize>()).ok()?;
        // Or else the compiler may leave out both.
        // SAFETY: the size is not zero.
        let memory = NonNull::new(black_box(unsafe { alloc(layout) }))?;
        Some(Self { memory, layout })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: it is the allocator's, by this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// A box of this value; `None` if there is no memory for it.
#[cfg(feature = "own-tls")]
pub(crate) fn try_box<T>(value: T) -> Option<Box<T>> {
    const { assert!(size_of::<T>() != 0, "the allocator is asked for something") };
    // SAFETY: the size is not zero.
    let memory = NonNull::new(unsafe { alloc(Layout::new::<T>()) })?.cast::<T>();
    // SAFETY: the memory is the allocator's, for this type, and nobody else knows it.
    unsafe {
        memory.write(value);
        Some(Box::from_raw(memory.as_ptr()))
    }
}

/// Whether the allocator has so many bytes now.
pub(crate) fn has(bytes: usize) -> bool {
    Kept::take(bytes).is_some()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn some_bytes_are_there_and_more_than_there_are_addresses_are_not() {
        assert!(has(1) && has(1 << 20));
        assert!(!has(1 << 60));
        assert!(Reserve::take(1 << 20).is_some() && Reserve::take(1 << 60).is_none());
    }
}
