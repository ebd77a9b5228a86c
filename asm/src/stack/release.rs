//! Memory that goes back to the kernel while its stack stays: in batches, since each system call costs more than what it
//! does for a page or two.
//!
//! `MADV_DONTNEED`, which takes the pages at once: with `MADV_FREE` they would stay resident, and on a container's bill,
//! until the kernel runs out of others. Guards stay as they are, both the markers in the page table and the mappings
//! without rights, so one range may reach over several stacks.
#![expect(unsafe_code, reason = "discards memory")]

use core::ptr::NonNull;

use super::slab::Stack;
use crate::context::Context;
use crate::os;

/// How many ranges go with one system call.
const MOST: usize = 64;

/// A batch of stack memory that nobody needs: what was added goes back to the kernel when the batch is full, and when it
/// is dropped.
///
/// ```
/// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// let mut release = abaca_asm::stack::Release::new();
/// // Nobody runs on the stack.
/// release.add(&stack);
/// drop(release);
/// pool.give(stack);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
pub struct Release {
    ranges: [libc::iovec; MOST],
    len: usize,
}

impl Release {
    /// An empty batch.
    pub fn new() -> Self {
        Self { ranges: [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; MOST], len: 0 }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the next range goes with another system call.
    pub fn is_full(&self) -> bool {
        self.len == MOST
    }

    /// Adds all of `stack`. What was in it is lost: whoever has the handle has promised, in the contract of
    /// [`prepare`](crate::prepare), that nobody runs on it.
    pub fn add(&mut self, stack: &Stack) {
        let (bottom, bytes) = stack.usable();
        self.push(bottom, bytes);
    }

    /// Adds what lies below the frames of a computation that is suspended on `stack`: all pages below the one in which
    /// its saved stack pointer is. Nothing, if `context` is on another stack (a coroutine's), or if it is not a stack
    /// pointer (on corosensei's backend, and under the sanitizers).
    ///
    /// # Safety
    ///
    /// `context` was saved by the switch that suspended whoever runs on `stack`, and nobody continues it before this
    /// batch is dropped.
    pub unsafe fn add_unused(&mut self, stack: &Stack, context: Context) {
        let Some(pointer) = context.stack_pointer() else { return };
        let (bottom, bytes) = stack.usable();
        let Some(depth) = pointer.get().checked_sub(bottom.addr().get()).filter(|depth| *depth <= bytes)
        else {
            return;
        };
        // By the contract of `switch` nothing of the suspended computation lies below the pointer, neither a red zone
        // (the switch pushes, so the compiler keeps none around it) nor a signal's frame (signals arrive on the stack
        // that runs).
        let unused = depth / os::page_bytes() * os::page_bytes();
        if unused > 0 {
            self.push(bottom, unused);
        }
    }

    fn push(&mut self, start: NonNull<u8>, bytes: usize) {
        if self.is_full() {
            self.flush();
        }
        self.ranges[self.len] = libc::iovec { iov_base: start.as_ptr().cast(), iov_len: bytes };
        self.len += 1;
    }

    /// Gives back what was added so far.
    pub fn flush(&mut self) {
        let ranges = &self.ranges[..self.len];
        self.len = 0;
        // SAFETY: the ranges are usable memory of stacks, and by the contracts of `add` and `add_unused` nobody needs
        // what is in it.
        unsafe { os::discard_many(ranges) };
    }
}

impl Default for Release {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.flush();
    }
}

impl core::fmt::Debug for Release {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Release").field("len", &self.len).finish_non_exhaustive()
    }
}
