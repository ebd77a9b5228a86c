//! Thread-local storage of a fiber's own: a block of `abaca-tls` at the top of each stack, made once and used by one fiber after
//! the other.

#![expect(unsafe_code, reason = "makes blocks in stacks' memory, and exchanges their contents")]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use abaca_asm::can_switch_with;
use abaca_asm::stack::{Fixture, Stack, StackPool};
use abaca_tls::Block;
pub(crate) use abaca_tls::Carrier as Lender;

use super::{headroom, peek};

/// What such storage needs of each stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// What the storage takes.
    pub(crate) block_bytes: usize,
    /// The least size of a stack, the storage included, of which libc tells the truth.
    pub(crate) least_stack_bytes: usize,
}

/// Checks that this process can have such storage. Returns what it needs.
///
/// # Errors
///
/// * [`Unsupported`](io::ErrorKind::Unsupported), with the reason.
pub(crate) fn prepare() -> io::Result<Needs> {
    // It knows more of the reason than the switch.
    let support = abaca_tls::support()?;
    if !can_switch_with() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "fibers have thread-local storage of their own only where the switch is written by hand, and without a sanitizer",
        ));
    }
    Ok(Needs { block_bytes: support.block_bytes(), least_stack_bytes: support.least_stack_bytes() })
}

/// The number by which libc knows the code that runs with this thread pointer, and writes whose a lock is. `None` if that is not to be had.
pub(crate) fn thread_number(pointer: usize) -> Option<u32> {
    // Not before there is such code: the first who asks for what is supported has blocks tried, on stacks that stay.
    if pointer == 0 {
        return None;
    }
    let offset = abaca_tls::support().ok()?.number_offset();
    let number = peek::value(ptr::without_provenance::<u32>(pointer.wrapping_add_signed(offset)))?;
    // SAFETY: any bytes are a valid number.
    Some(unsafe { number.assume_init() })
}

/// A pool of stacks with blocks as their fixtures, which take `block_bytes` of the `stack_bytes` of each.
pub(crate) fn pool(stack_bytes: usize, block_bytes: usize) -> StackPool {
    // SAFETY: only `furnish` stores something: a block that `remove` frees.
    unsafe { StackPool::with_fixtures(stack_bytes, Fixture { bytes: block_bytes, remove }) }
}

/// # Safety
///
/// As [`Fixture::remove`] says.
unsafe fn remove(block: NonNull<()>) {
    // SAFETY: `furnish` has stored a box; the stack is still mapped, and nobody uses it.
    drop(unsafe { Box::from_raw(block.cast::<Block>().as_ptr()) });
}

/// The block of a stack; `None` if its pool has none, or it was not made yet.
#[inline(always)]
pub(crate) fn block_of(stack: &Stack) -> Option<&Block> {
    // Acquire: pairs with the Release in `furnish`.
    // SAFETY: the word is null or a block's address, which stays until the stack is unmapped.
    unsafe { stack.fixture()?.load(Ordering::Acquire).cast::<Block>().as_ref() }
}

/// The thread pointer of a block.
#[inline(always)]
pub(crate) fn pointer_of(block: &Block) -> *mut () {
    ptr::without_provenance_mut(block.pointer().address())
}

/// The largest block whose pages are asked for at once. Of a larger one libc's reserve may be the most, which nobody touches.
const MOST_POPULATED: usize = 16 * 1024;

/// Makes the block of a stack that nobody runs on, if it has none yet. It takes `block_bytes`.
///
/// # Errors
///
/// * The operating system's, if it refuses memory or a thread.
pub(crate) fn furnish(stack: &Stack, block_bytes: usize) -> io::Result<()> {
    if block_of(stack).is_some() {
        return Ok(());
    }
    let Some(word) = stack.fixture() else { return Ok(()) };
    if block_bytes <= MOST_POPULATED {
        // The block is written now, and the first frames lie right below it.
        stack.populate_top(block_bytes + 1);
    }
    let bottom = stack.bottom();
    // SAFETY: the memory is the stack's, which the caller owns. The pool keeps the pages of a fixture, and removes the block
    // before it unmaps them.
    let block = unsafe { Block::new(bottom, stack.top().addr() - bottom.addr()) }?;
    // Release: pairs with the Acquire in `block_of`.
    let block = headroom::try_box(block).ok_or(io::ErrorKind::OutOfMemory)?;
    word.store(Box::into_raw(block).cast(), Ordering::Release);
    Ok(())
}

/// Runs the destructors of the calling fiber's thread-locals. They may wait.
pub(crate) fn run_destructors() {
    // SAFETY: the caller is at the end of a fiber with a block, and destroys each of its thread-locals once.
    unsafe { abaca_tls::finish() };
}

/// Makes the calling fiber's storage new.
///
/// # Safety
///
/// The destructors have run, and no reference to a thread-local is left.
pub(crate) unsafe fn renew() {
    // SAFETY: the caller's promise.
    unsafe { abaca_tls::reset() };
}

/// Makes the kernel's thread the calling fiber's own.
///
/// # Safety
///
/// As [`abaca_tls::adopt_thread`]. On a plain thread, and where fibers share their worker's storage, it does nothing.
pub(crate) unsafe fn adopt_thread() {
    // SAFETY: the caller's promise.
    unsafe { abaca_tls::adopt_thread() };
}

/// Lends the calling fiber what stays its thread's.
///
/// # Safety
///
/// The caller runs on the lender's thread, with a block of its own.
pub(crate) unsafe fn borrow_from(lender: &Lender) {
    // SAFETY: the block is in use by the caller alone, which allocates nothing meanwhile.
    unsafe { lender.lend(abaca_tls::thread_pointer()) };
}

/// Gives back what [`borrow_from`] has borrowed.
///
/// # Safety
///
/// As there. The caller allocates and frees nothing until it has left the lender's thread.
#[cold]
pub(crate) unsafe fn give_back_to(lender: &Lender) {
    // SAFETY: the caller's promise.
    unsafe { lender.take_back(abaca_tls::thread_pointer()) };
}
