//! The block of thread-local storage of one stack.
#![expect(unsafe_code, reason = "makes and ends blocks on memory of the caller's")]

use std::io;

use crate::birth::{self, Unborn};
use crate::glibc::Glibc;
use crate::pointer::ThreadPointer;
use crate::setxid;
use crate::support::{known, support};
use crate::tid;

/// The thread-local storage of the fibers of one stack, at the top of that stack: to libc, a thread that runs.
///
/// It is made once for a stack and stays with it: fibers that follow one another [reset](crate::reset) it. Making one costs some
/// 25 microseconds, and so does its end.
///
/// ```text
/// highest address +-----------------------------+
///                 | the block: libc's record of | x86_64. On aarch64 and riscv64 the record is below
///                 | a thread, below it the      | the variables.
///                 | thread-local variables      |
///                 +-----------------------------+
///                 | frames of libc's thread,    | with which it will end
///   frames_end -> +-----------------------------+
///                 | frames of fibers            |
/// lowest address  +-----------------------------+
/// ```
///
/// All from [`frames_end`](Self::frames_end) up must keep its contents as long as there is the block: it must not be released to
/// the kernel while the stack rests in a pool.
///
/// Dropping it ends the block. See the [crate](crate) for an example.
#[derive(Debug)]
pub struct Block {
    unborn: Unborn,
}

// SAFETY: an address of libc's record and one of its frames, which any thread may use: libc joins threads from any thread.
unsafe impl Send for Block {}
// SAFETY: a shared reference only tells the addresses.
unsafe impl Sync for Block {}

impl Block {
    /// Makes a block at the top of the memory of `size` bytes from `lowest`.
    ///
    /// The thread that makes it has all signals blocked. It is gone when this returns.
    ///
    /// # Errors
    ///
    /// * `Unsupported`: see [`support`]. The error holds an [`Unsupported`](crate::Unsupported).
    /// * `WouldBlock` (`EAGAIN`): there are too many threads, too many blocks (16,777,216), or there is no memory for libc's part.
    /// * `InvalidInput` (`EINVAL`): the memory is too small for the program's thread-local variables; see
    ///   [`Support::block_bytes`](crate::Support::block_bytes).
    ///
    /// # Safety
    ///
    /// * The memory is mapped, readable and writable, and nobody else uses it. It ends at a multiple of 64, and if it is smaller
    ///   than 16 KiB, the addresses below it, down to that size, are nobody's whose stack libc may be asked for.
    /// * It stays mapped until the block is dropped, and what lies above [`frames_end`](Self::frames_end) is changed by nobody but
    ///   the code that runs with the block, in its thread-local variables.
    pub unsafe fn new(lowest: *mut u8, size: usize) -> io::Result<Self> {
        let support = support()?;
        // SAFETY: the caller's promise.
        unsafe { Self::make(support.glibc(), lowest, size) }
    }

    /// # Safety
    ///
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn make(glibc: &Glibc, lowest: *mut u8, size: usize) -> io::Result<Self> {
        let tid = tid::take().ok_or_else(|| io::Error::from_raw_os_error(libc::EAGAIN))?;
        // SAFETY: the caller's promise.
        let unborn = unsafe { birth::make(glibc, lowest, size, tid) }.inspect_err(|_| tid::give(tid))?;
        if let Some(offset) = glibc.rseq {
            // The kernel writes the number of the processor for its own thread only. So libc has to ask for it.
            // SAFETY: the beginning of `struct rseq` in the block. The kernel's thread is gone.
            unsafe { unborn.pointer.at::<[u32; 2]>(offset).write([0, RSEQ_REGISTRATION_FAILED]) };
        }
        setxid::wrap();
        Ok(Self { unborn })
    }

    /// The thread pointer of the code that runs with this block.
    #[inline(always)]
    pub fn pointer(&self) -> ThreadPointer {
        self.unborn.pointer
    }

    /// The end of the memory that frames of fibers may use: the highest address that a fiber's stack may begin at. A multiple of 16.
    #[inline(always)]
    pub fn frames_end(&self) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(self.unborn.stack & !15)
    }

    /// Ends the block at once, without its own kernel thread. For the trial alone.
    pub(crate) fn end_with(self, glibc: &Glibc) {
        let block = core::mem::ManuallyDrop::new(self);
        // SAFETY: the block is not used any more.
        unsafe { end(glibc, block.unborn) };
    }
}

impl Drop for Block {
    /// Ends the block: libc ends its thread, which takes a kernel thread of some 25 microseconds. If none can be made, libc is told
    /// that it was.
    ///
    /// The stack's memory may be unmapped afterwards. Nobody may have the block installed. Values of thread-local variables that
    /// were not [finished](crate::finish) are, on that thread.
    fn drop(&mut self) {
        let support = known();
        // SAFETY: the owner of the block does not use it any more, and the contract of `new` is that its memory is as it was.
        unsafe {
            // What was lent last is the lender's to free.
            let new = support.template();
            for &offset in support.malloc_words() {
                self.pointer().at::<usize>(offset).write(new.at::<usize>(offset).read());
            }
            end(support.glibc(), self.unborn);
        }
    }
}

/// # Safety
///
/// As for [`birth::end`].
unsafe fn end(glibc: &Glibc, unborn: Unborn) {
    // SAFETY: libc's record.
    let tid = unsafe { unborn.pointer.at::<u32>(glibc.tid).read() };
    // SAFETY: the caller's promise.
    unsafe { birth::end(glibc, unborn) };
    tid::give(tid);
}

/// `RSEQ_CPU_ID_REGISTRATION_FAILED` of the kernel's `rseq.h`: -2.
const RSEQ_REGISTRATION_FAILED: u32 = (-2_i32).cast_unsigned();
