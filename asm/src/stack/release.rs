//! Releasing the memory of stacks to the kernel, while the stacks stay. It is done in batches, since a system call costs more
//! than its work for a page or two.
//!
//! `MADV_DONTNEED` takes the pages at once. With `MADV_FREE` they would stay resident, and on a container's bill,
//! until the kernel runs out of others. Guards stay as they are, both the markers in the page table and the mappings
//! without rights, so one range may extend over several stacks.
#![expect(unsafe_code, reason = "discards memory")]

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

use super::registry;
use super::slab::Stack;
use crate::context::Context;
use crate::os;

/// The most ranges of one system call.
const MOST: usize = 64;

/// A batch of stack memory that nobody needs. It is released to the kernel when the batch is full, and when the batch
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
///
/// A stack cannot be given back before the batch is dropped: its next owner would lose what is on it.
///
/// ```compile_fail,E0505
/// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// let mut release = abaca_asm::stack::Release::new();
/// release.add(&stack);
/// pool.give(stack);
/// drop(release);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
pub struct Release<'stacks> {
    ranges: [libc::iovec; MOST],
    len: usize,
    stacks: PhantomData<&'stacks Stack>,
}

impl<'stacks> Release<'stacks> {
    /// An empty batch.
    pub fn new() -> Self {
        let nothing = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };
        Self { ranges: [nothing; MOST], len: 0, stacks: PhantomData }
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the batch is full, so that the next range needs another system call.
    pub fn is_full(&self) -> bool {
        self.len == MOST
    }

    /// Adds all of `stack` but its [fixture](super::Fixture). The contents are lost. The owner of the handle has promised, in the contract of
    /// [`prepare`](crate::prepare), that nobody runs on it.
    pub fn add(&mut self, stack: &'stacks Stack) {
        let (bottom, bytes) = stack.unused();
        if bytes > 0 {
            self.push(bottom, bytes);
        }
    }

    /// Adds the memory below the frames of a computation that is suspended on `stack`, or in a coroutine that runs on `stack`:
    /// all pages below the one in which its saved stack pointer lies. Adds nothing if `context` is no stack pointer (on
    /// corosensei's backend, and under the sanitizers), or does not lie in a stack of a pool.
    ///
    /// # Safety
    ///
    /// `context` was saved by the switch that suspended the computation on `stack`, and nobody continues it before this
    /// batch is dropped.
    pub unsafe fn add_unused(&mut self, stack: &Stack, context: Context) {
        let Some(pointer) = context.stack_pointer() else { return };
        let own = stack.usable();
        let depth_in = |(bottom, bytes): (NonNull<u8>, usize)| {
            pointer.get().checked_sub(bottom.addr().get()).filter(|depth| *depth <= bytes)
        };
        let found = depth_in(own).map(|depth| (own.0, depth)).or_else(|| {
            let other = registry::usable_at(pointer.get())?;
            depth_in(other).map(|depth| (other.0, depth))
        });
        let Some((bottom, depth)) = found else { return };
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

    /// Releases the memory that was added so far.
    pub fn flush(&mut self) {
        let ranges = &self.ranges[..self.len];
        self.len = 0;
        // SAFETY: the ranges are usable memory of stacks, and by the contracts of `add` and `add_unused` nobody needs
        // its contents.
        unsafe { os::discard_many(ranges) };
    }
}

impl Stack {
    /// The addresses that a computation needs that is suspended on this stack: from its saved stack pointer to the end of the stack's
    /// memory. `None` if `context` does not lie in this stack, or is no stack pointer (on corosensei's backend, and under the
    /// sanitizers).
    ///
    /// ```
    /// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
    /// let stack = pool.take()?;
    /// assert_eq!(stack.frames(abaca_asm::Context::dangling()), None);
    /// pool.give(stack);
    /// # Ok::<(), abaca_asm::stack::StackError>(())
    /// ```
    pub fn frames(&self, context: Context) -> Option<Range<usize>> {
        let pointer = context.stack_pointer()?.get();
        let (bottom, bytes) = self.usable();
        let memory = bottom.addr().get()..bottom.addr().get() + bytes;
        memory.contains(&pointer).then_some(pointer..memory.end)
    }
}

impl Default for Release<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl core::fmt::Debug for Release<'_> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Release").field("len", &self.len).finish_non_exhaustive()
    }
}
