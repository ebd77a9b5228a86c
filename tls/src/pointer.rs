//! The thread pointer: the register that says which block of thread-local storage is in use.
#![expect(unsafe_code, reason = "the thread pointer is a register")]

use core::num::NonZeroUsize;

use crate::arch;

/// A value of the register that points to the thread-local storage in use: that of a [`Block`](crate::Block), or of an OS thread.
///
/// It is an address, one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ThreadPointer(NonZeroUsize);

impl ThreadPointer {
    /// The address that the register holds.
    pub const fn address(self) -> usize {
        self.0.get()
    }

    /// From the address that the register held.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub const fn from_address(address: usize) -> Self {
        Self(NonZeroUsize::new(address).expect("a thread pointer is not 0"))
    }

    /// The address `offset` bytes from where the register points.
    #[inline(always)]
    pub(crate) fn at<T>(self, offset: isize) -> *mut T {
        core::ptr::with_exposed_provenance_mut(self.0.get().wrapping_add_signed(offset))
    }
}

const _: () = assert!(size_of::<Option<ThreadPointer>>() == size_of::<usize>());

/// The thread pointer of the calling code.
///
/// One instruction.
///
/// # Panics
///
/// On an architecture that [`support`](crate::support()) refuses.
#[inline(always)]
pub fn thread_pointer() -> ThreadPointer {
    ThreadPointer::from_address(arch::thread_pointer())
}

/// Makes `pointer` the thread pointer of the calling OS thread. One instruction.
///
/// Compilers take the thread pointer for a constant: a function may compute the address of a thread-local variable once and use it
/// again after this call. So the caller must be a function that is not inlined and uses no thread-local variable, or the write is
/// part of the assembly of a stack switch, behind which everything is another computation's.
///
/// # Safety
///
/// * [`support`](crate::support()) is not an error.
/// * `pointer` came from [`thread_pointer`] or [`Block::pointer`](crate::Block::pointer), its storage is still there, and no other
///   OS thread has it in its register.
/// * The calling function and those into which it is inlined use no thread-local variable, on either side of the call, whose
///   address the compiler could have computed on the other side.
/// * A block of a fiber has been [lent](crate::Carrier::lend) what is the OS thread's.
#[inline(always)]
pub unsafe fn set_thread_pointer(pointer: ThreadPointer) {
    // SAFETY: the caller's promise.
    unsafe { arch::set_thread_pointer(pointer.address()) };
}
