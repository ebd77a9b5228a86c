//! The block of thread-local storage of one stack.
#![expect(unsafe_code, reason = "makes and ends blocks on memory of the caller's")]

use std::io;

use crate::birth::{self, Unborn};
use crate::glibc::Glibc;
use crate::keys;
use crate::mould::refuse_rseq;
use crate::pointer::ThreadPointer;
use crate::replica::Replica;
use crate::setxid;
use crate::support::{Support, known, support};
use crate::tid;

/// The thread-local storage of the fibers of one stack, at the top of that stack: to libc, a thread that runs.
///
/// It is made once for a stack and stays with it: fibers that follow one another [reset](crate::reset()) it. Making one and ending it
/// costs some 0.6 microseconds; where it is [made by a thread](crate::Support::by_thread), 18.
///
/// ```text
/// highest address +-----------------------------+
///                 | the block: libc's record of | x86_64. On aarch64 and riscv64 the record is below
///                 | a thread, below it the      | the variables.
///                 | thread-local variables      |
///                 +-----------------------------+
///                 | frames of libc's thread,    | if one has made it; kept elsewhere if the block and
///   frames_end -> +-----------------------------+ frames of fibers can share a page
///                 | frames of fibers            |
/// lowest address  +-----------------------------+
/// ```
///
/// All from [`frames_end`](Self::frames_end) up must keep its contents as long as there is the block: it must not be released to
/// the kernel while the stack rests in a pool.
///
/// Dropping it ends the block. See the [crate] for an example.
#[derive(Debug)]
pub struct Block {
    pointer: ThreadPointer,
    frames_end: usize,
    /// None if it was made without a thread.
    by_thread: Option<Box<ByThread>>,
}

/// A block that a thread has made, with which that will end.
#[derive(Debug)]
struct ByThread {
    unborn: Unborn,
    /// The frames of libc's thread, if they are not on the stack.
    frames: Option<Frames>,
}

// SAFETY: an address of libc's record and one of its frames, which any thread may use: libc joins threads from any thread.
unsafe impl Send for Block {}
// SAFETY: a shared reference only tells the addresses.
unsafe impl Sync for Block {}

impl Block {
    /// Makes a block at the top of the memory of `size` bytes from `lowest`.
    ///
    /// If a thread makes it, that has all signals blocked, and is gone when this returns.
    ///
    /// # Errors
    ///
    /// * `Unsupported`: see [`support()`]. The error holds an [`Unsupported`](crate::Unsupported).
    /// * `WouldBlock` (`EAGAIN`): there are too many threads, too many blocks (16,777,216), or there is no memory for libc's part.
    /// * `InvalidInput` (`EINVAL`): the memory is too small for the program's thread-local variables; see
    ///   [`Support::block_bytes`](crate::Support::block_bytes).
    ///
    /// # Safety
    ///
    /// * The memory is mapped, readable and writable, and nobody else uses it. It ends at a multiple of 16. (libc is told
    ///   of [`Support::least_stack_bytes`](crate::Support::least_stack_bytes) at least; it uses nothing of what the caller does not
    ///   have.)
    /// * It stays mapped until the block is dropped, and what lies above [`frames_end`](Self::frames_end) is changed by nobody but
    ///   the code that runs with the block, in its thread-local variables.
    pub unsafe fn new(lowest: *mut u8, size: usize) -> io::Result<Self> {
        let support = support()?;
        // libc is told of a least size, so it does not look.
        if size < support.block_bytes() + LEAST_FRAMES {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: the caller's promise.
        unsafe {
            match support.replica() {
                Ok(replica) if replica.is_listed() => Self::without_thread(replica, lowest, size),
                _ => Self::by_thread(support.glibc(), lowest, size),
            }
        }
    }

    /// # Safety
    ///
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn without_thread(replica: &Replica, lowest: *mut u8, size: usize) -> io::Result<Self> {
        let tid = take_id()?;
        // SAFETY: the caller's promise.
        let pointer = unsafe { replica.make(lowest, size, tid) }.inspect_err(|_| tid::give(tid))?;
        Ok(Self::of_replica(replica, pointer))
    }

    /// The block that a replica has made.
    pub(crate) fn of_replica(replica: &Replica, pointer: ThreadPointer) -> Self {
        // The first address of the block: there are no frames of a thread below it.
        let frames_end = pointer.at::<u8>(replica.lowest()).addr() & !15;
        Self { pointer, frames_end, by_thread: None }
    }

    /// # Safety
    ///
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn by_thread(glibc: &Glibc, lowest: *mut u8, size: usize) -> io::Result<Self> {
        let tid = take_id()?;
        // SAFETY: the caller's promise.
        let unborn = unsafe { birth::make(glibc, lowest, size, tid) }.inspect_err(|_| tid::give(tid))?;
        if let Some(offset) = glibc.rseq {
            // SAFETY: the kernel's thread is gone.
            unsafe { refuse_rseq(unborn.pointer, offset) };
        }
        setxid::wrap();
        // SAFETY: the caller's promise.
        let frames = unsafe { Frames::take(glibc, unborn, lowest, lowest.wrapping_add(size)) };
        let kept = frames.as_ref().map_or(0, |frames| frames.0.len());
        Ok(Self {
            pointer: unborn.pointer,
            frames_end: (unborn.stack + kept) & !15,
            by_thread: Some(Box::new(ByThread { unborn, frames })),
        })
    }

    /// The thread pointer of the code that runs with this block.
    #[inline(always)]
    pub fn pointer(&self) -> ThreadPointer {
        self.pointer
    }

    /// The end of the memory that frames of fibers may use: the highest address that a fiber's stack may begin at. A multiple of 16.
    #[inline(always)]
    pub fn frames_end(&self) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(self.frames_end)
    }

    /// Address on its creator's stack with which the thread was called that has made the block.
    pub(crate) fn argument(&self) -> Option<usize> {
        self.by_thread.as_ref().map(|thread| thread.unborn.argument)
    }

    /// Ends the block before [`support()`] has returned.
    pub(crate) fn end_with(self, support: &Support) {
        let mut block = core::mem::ManuallyDrop::new(self);
        // SAFETY: the block is not used any more.
        unsafe { end(support, &mut block) };
    }
}

fn take_id() -> io::Result<u32> {
    tid::take().ok_or_else(|| io::Error::from_raw_os_error(libc::EAGAIN))
}

impl Drop for Block {
    /// Ends the block. If a thread has made it, or there is something left in it that only libc can free, this takes a kernel thread
    /// of some 10 microseconds. If none can be made, libc is told that it was, or a few hundred bytes are lost.
    ///
    /// The stack's memory may be unmapped afterwards. Nobody may have the block installed. Values of thread-local variables that
    /// were not [finished](crate::finish()) are, on that thread.
    fn drop(&mut self) {
        let support = known();
        // SAFETY: the owner of the block does not use it any more, and the contract of `new` is that its memory is as it was.
        unsafe {
            // What was lent last is the lender's to free; and the kernel thread of the end is none of the carrier's.
            let new = support.template();
            for &offset in support.malloc_words().iter().chain([&support.seen().carrier]) {
                self.pointer().at::<usize>(offset).write(new.at::<usize>(offset).read());
            }
            end(support, self);
        }
    }
}

/// # Safety
///
/// As for [`birth::end`], and [`Replica::end`].
unsafe fn end(support: &Support, block: &mut Block) {
    let glibc = support.glibc();
    // SAFETY: libc's record; nothing of a fiber is on the stack any more; the caller's promise.
    unsafe {
        let tid = block.pointer.at::<u32>(glibc.tid);
        let mut last = tid.read();
        if let Some(thread) = block.by_thread.take() {
            if let Some(frames) = &thread.frames {
                frames.put_back(thread.unborn);
            }
            // A reset leaves tables of values of keys, without values. libc looks for tables if there were any values.
            keys::is_used(glibc, block.pointer).write(1);
            birth::end(glibc, support.seen().cleared, thread.unborn);
        } else if let Ok(replica) = support.replica() {
            replica.end(support, block.pointer);
            last = tid.read();
        }
        tid::give(last);
    }
}

/// The frames with which libc's thread will end, kept elsewhere than on the stack. This is done where the block and the frames of a
/// waiting fiber then share one page: a few hundred bytes are kept for each, instead of a page.
#[derive(Debug)]
struct Frames(Box<[u8]>);

/// What is left for frames of fibers in the page of the block, at least.
const ROOM: usize = 700;

/// What frames may take that are kept.
const MOST: usize = 4096;

impl Frames {
    /// Takes the frames off the stack, if that is of use, and releases the pages that they have touched besides that of the block.
    ///
    /// # Safety
    ///
    /// The memory from `lowest` to `highest` is the block's and its owner's, who does not use it yet.
    unsafe fn take(glibc: &Glibc, unborn: Unborn, lowest: *mut u8, highest: *mut u8) -> Option<Self> {
        let past: *mut u8 = unborn.pointer.at(glibc.lowest?);
        // SAFETY: sysconf(3) has no preconditions.
        let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        let page = (highest.addr() - 1) & !(page_bytes - 1);
        let bytes = past.addr().checked_sub(unborn.stack)?;
        if past.addr() < page + ROOM || bytes > MOST {
            return None;
        }
        // SAFETY: the frames, of a thread that is gone; and whole pages of the caller's memory below.
        unsafe {
            let frames = core::slice::from_raw_parts(past.sub(bytes), bytes).into();
            // The kernel rounds the end up to a page of its own size.
            let first = lowest.addr().next_multiple_of(page_bytes);
            if let Some(below) = page.checked_sub(first) {
                libc::madvise(lowest.add(first - lowest.addr()).cast(), below, libc::MADV_DONTNEED);
            }
            Some(Self(frames))
        }
    }

    /// # Safety
    ///
    /// The stack is not used any more.
    unsafe fn put_back(&self, unborn: Unborn) {
        let to: *mut u8 = core::ptr::with_exposed_provenance_mut(unborn.stack);
        // SAFETY: the place that they were taken from.
        unsafe { core::ptr::copy_nonoverlapping(self.0.as_ptr(), to, self.0.len()) };
    }
}

/// What libc's thread needs for its frames until it is gone, and the least that a fiber can run with.
const LEAST_FRAMES: usize = 2048;
