//! Having pages of a stack before they are touched.
//!
//! A page that is touched for the first time costs a fault, in which the kernel finds one page. Who is about to touch several asks for all
//! of them at once: the kernel's way there and back, the longest part of a fault, is made once.
#![expect(unsafe_code, reason = "gives advice about memory")]

use super::slab::Stack;
use crate::os;

impl Stack {
    /// Asks the kernel for the pages in which the topmost `bytes` below [`top`](Self::top) lie, and for those above.
    ///
    /// A hint, for who touches them all soon: if the kernel cannot (before Linux 5.14, or without memory), each page comes when it is
    /// touched, as usual. Contents that are there stay.
    ///
    /// ```
    /// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
    /// let stack = pool.take()?;
    /// stack.populate_top(6000);
    /// # pool.give(stack);
    /// # Ok::<(), abaca_asm::stack::StackError>(())
    /// ```
    pub fn populate_top(&self, bytes: usize) {
        let (bottom, usable_bytes) = self.usable();
        let first = self.top().addr().saturating_sub(bytes) & !(os::page_bytes() - 1);
        let skipped = first.saturating_sub(bottom.addr().get());
        // SAFETY: both are within the usable memory, which the owner of this handle may use.
        unsafe { os::populate(bottom.add(skipped), usable_bytes - skipped) };
    }
}
