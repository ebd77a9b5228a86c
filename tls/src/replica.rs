//! Blocks that are made without a thread, in the likeness of those that libc has made by threads.
//!
//! ```text
//!   by a thread (birth.rs)                         without
//!   pthread_create: writes the record              the record is written, word by word as two models show (mould.rs)
//!                   makes the variables            the loader's function makes them: the one that pthread_create calls
//!                   puts it on the list            it is put on the list, between two that stay (links.rs)
//!   start_thread:   sets a few variables           they are set, as the models show
//! ```
//!
//! Whether the outcome is the same is tried once in a process: a block that a thread has made, and one that is made so in its
//! place, are compared word by word. Only these may differ: the place on the list, the id, the table of variables, what the
//! kernel has told its thread, and what leads to the frames of libc's thread, which this one does not have.
//!
//! An end is the reverse. If the block holds anything that only libc can free, a thread of libc's takes it over and ends.
#![expect(unsafe_code, reason = "writes blocks, and puts them on libc's list of threads")]

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;

use crate::birth::SignalsBlocked;
use crate::carrier::hand_over;
use crate::finish::{finish_with, has_destructors};
use crate::glibc::Glibc;
use crate::keys;
use crate::links::Link;
use crate::loader::Loader;
use crate::modules::word;
use crate::mould::{Model, Mould, ToldStack, Word};
use crate::observe::{Seen, run_in_new_thread};
use crate::per_process::PerProcess;
use crate::pointer::{ThreadPointer, set_thread_pointer};
use crate::reset::{Locale, reset_with};
use crate::roster;
use crate::support::Support;

/// How blocks are made without a thread.
#[derive(Debug)]
pub(crate) struct Replica {
    loader: Loader,
    mould: Mould,
    /// The model behind which new blocks are put on libc's list, and which has the process's locale.
    first: ThreadPointer,
    /// Where the locale is, and its tables of characters, from the thread pointer.
    locale: isize,
    characters: [isize; 3],
    /// Where libc's record begins, and its size.
    record: isize,
    record_bytes: usize,
}

/// Memory for a block, and what it held when a thread had made one there.
pub(crate) struct Sample {
    pub(crate) lowest: *mut u8,
    pub(crate) bytes: usize,
    /// Of the block that was there.
    pub(crate) pointer: ThreadPointer,
    pub(crate) image: Vec<Word>,
    /// For the next one.
    pub(crate) id: u32,
}

const DIFFERENT: &str = "a block that a thread has made is otherwise";

/// Whether this is a child of `fork` of the process that has learned.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn note_fork() {
    IS_CHILD.store(true, Ordering::Relaxed);
}

/// Who holds it writes between the two models on libc's list.
static LINKING: PerProcess<()> = PerProcess::new(|| ());

impl Replica {
    /// Learns from two models, the older first, and makes a first block in the place of the sample.
    ///
    /// # Errors
    ///
    /// The reason why blocks are made by threads.
    ///
    /// # Safety
    ///
    /// The models stay as they are, for ever. The sample's memory is used by nobody, and stays.
    pub(crate) unsafe fn learn(
        glibc: &Glibc,
        seen: &Seen,
        models: [Model; 2],
        sample: &Sample,
    ) -> Result<(Self, ThreadPointer), &'static str> {
        let loader = Loader::look_up(glibc)?;
        // SAFETY: the caller's promise.
        let mould = unsafe { Mould::new(glibc, &loader, seen, models) }?;
        let first = models[1].pointer;
        let (record, record_bytes) = (glibc.thread, glibc.record_bytes);
        let (locale, characters) = (seen.locale, seen.characters);
        let mut replica = Self { loader, mould, first, locale, characters, record, record_bytes };
        // SAFETY: the models are libc's entries of threads that never end.
        if unsafe { !replica.link(first).leads_to(replica.link(models[0].pointer)) } {
            return Err("another thread was made meanwhile");
        }
        // SAFETY: the caller's promise.
        unsafe {
            let block = replica.make(sample.lowest, sample.bytes, sample.id);
            let block = block.map_err(|_| "there is no memory for a block")?;
            let learned = replica.mould.learn_variables(seen, models, block);
            replica.write_variables(block);
            let is_same = block == sample.pointer && replica.mould.is_same(&sample.image, block);
            let result = learned.and(if is_same { Ok(()) } else { Err(DIFFERENT) });
            if let Err(why) = result {
                replica.free(block);
                return Err(why);
            }
            if libc::pthread_atfork(None, None, Some(note_fork)) != 0 {
                replica.free(block);
                return Err("there is no memory to notice a fork");
            }
            Ok((replica, block))
        }
    }

    /// Whether blocks can still be made so. In a child of `fork` they cannot: libc's list of threads has begun anew there, without the
    /// models.
    #[inline(always)]
    pub(crate) fn is_listed(&self) -> bool {
        // Relaxed: the child has one thread when it is written.
        !IS_CHILD.load(Ordering::Relaxed)
    }

    /// Where a block begins, from its thread pointer.
    pub(crate) fn lowest(&self) -> isize {
        self.mould.lowest
    }

    /// The most bytes that a block takes at the top of a stack, which ends at a multiple of 64.
    pub(crate) fn block_bytes(&self) -> usize {
        let below = self.record - self.mould.lowest;
        self.record_bytes.next_multiple_of(64) + self.loader.align.max(64) - 64 + below.unsigned_abs()
    }

    /// The entry of a block on libc's list.
    ///
    /// # Safety
    ///
    /// The block is on the list, or nobody's but the caller's.
    unsafe fn link<'a>(&self, block: ThreadPointer) -> &'a Link {
        // SAFETY: libc's record has an entry there. The words of ours are atomic.
        unsafe { &*block.at::<Link>(self.loader.list) }
    }

    /// Makes a block at the top of the memory of `bytes` bytes from `lowest`, with `tid` as its id.
    ///
    /// # Errors
    ///
    /// `EAGAIN` if there is no memory for the table of variables, as `pthread_create` has it.
    ///
    /// # Safety
    ///
    /// As for [`Block::new`](crate::Block::new).
    pub(crate) unsafe fn make(&self, lowest: *mut u8, bytes: usize, tid: u32) -> io::Result<ThreadPointer> {
        let highest = lowest.addr() + bytes;
        let stack = ToldStack::of(lowest, bytes);
        let record = (highest - self.record_bytes) & !(self.loader.align - 1);
        let block = ThreadPointer::from_address(record.wrapping_sub(self.record.cast_unsigned()));
        // SAFETY: the memory is the caller's, who has checked that it is large enough.
        unsafe {
            self.mould.write_record(block, stack, tid);
            // It is on the list before it has variables: a library that is loaded meanwhile is either known to the loader's
            // function already, or has its variables initialised by who walks the list; or both.
            self.put_on_list(block);
            if !self.loader.make_variables(block) {
                self.take_off_list(block);
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            self.write_variables(block);
        }
        Ok(block)
    }

    /// # Safety
    ///
    /// The block is new, and nobody uses it.
    unsafe fn write_variables(&self, block: ThreadPointer) {
        // SAFETY: the block has the variables, and the locale is the process's.
        unsafe {
            self.mould.write_variables(block);
            Locale::of_process(self.first, self.locale).give_characters(block, self.characters);
        }
    }

    /// # Safety
    ///
    /// The block's record is complete, and on no list.
    unsafe fn put_on_list(&self, block: ThreadPointer) {
        let _linking = LINKING.lock();
        // SAFETY: the models stay, and the lock is held.
        unsafe { self.link(self.first).put_behind(self.link(block)) };
    }

    /// Returns when nobody looks at the block any more.
    ///
    /// # Safety
    ///
    /// The block is on the list.
    unsafe fn take_off_list(&self, block: ThreadPointer) {
        {
            let _linking = LINKING.lock();
            // SAFETY: the lock is held.
            unsafe { self.link(block).take_out() };
        }
        self.loader.wait_for_walks();
    }

    /// # Safety
    ///
    /// The block was made, and nobody uses it.
    unsafe fn free(&self, block: ThreadPointer) {
        // SAFETY: the caller's promise.
        unsafe {
            self.take_off_list(block);
            self.loader.free_variables(block);
        }
    }

    /// Ends a block: what destructors are left run, and all that libc has of it is freed.
    ///
    /// # Safety
    ///
    /// The block was [made](Self::make), nobody uses it, and what was lent to it is its own no more.
    pub(crate) unsafe fn end(&self, support: &Support, block: ThreadPointer) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.has_left(support, block) {
                self.bury(support, block);
            }
            self.free(block);
        }
    }

    /// Whether there is more in the block than in a new one.
    ///
    /// # Safety
    ///
    /// As for [`end`](Self::end).
    unsafe fn has_left(&self, support: &Support, block: ThreadPointer) -> bool {
        let mut any = false;
        // SAFETY: the caller's promise.
        unsafe {
            self.mould.changed(block, |_, _| any = true);
            any || has_destructors(support, block)
        }
    }

    /// Has a thread of libc's run the destructors that are left, take over what libc frees at a thread's end, and end. If there can be
    /// none, the destructors do not run, and a few hundred bytes may be lost.
    ///
    /// # Safety
    ///
    /// As for [`end`](Self::end).
    #[cold]
    unsafe fn bury(&self, support: &Support, block: ThreadPointer) {
        // The thread inherits the mask: no handler runs on it, but for libc's own of `setuid`.
        let _blocked = SignalsBlocked::new();
        let _no_thread = run_in_new_thread(&mut |own| {
            // That handler has to know whose thread it is.
            let listed = roster::enter();
            // SAFETY: the block is nobody else's. What is a thread's is this one's meanwhile.
            unsafe {
                hand_over(support, own, block);
                run_within(support, own, block);
                hand_over(support, block, own);
                self.take_over(support.glibc(), block, own);
            }
            drop(listed);
        });
    }

    /// Copies the addresses of memory that libc has allocated for the block to the calling thread's own, where there is none. So it
    /// is freed with that.
    ///
    /// # Safety
    ///
    /// `own` is the calling thread's, and the block nobody's any more.
    unsafe fn take_over(&self, glibc: &Glibc, block: ThreadPointer, own: ThreadPointer) {
        // SAFETY: words of libc's in both.
        unsafe {
            self.mould.changed(block, |offset, is| {
                let is_address = is >= LEAST_ADDRESS && is % 16 == 0;
                if is_address && word(self.first, offset) == 0 && word(own, offset) == 0 {
                    own.at::<usize>(offset).write(is);
                }
            });
            // There may be tables of values of keys among it.
            keys::is_used(glibc, own).write(1);
        }
    }
}

/// Below it the kernel maps nothing.
const LEAST_ADDRESS: usize = 0x1_0000;

/// Ends the variables of a block, with it installed. Not inlined, and without thread-local variables of its own.
///
/// # Safety
///
/// `own` is the calling thread's, which has handed over to the block. Nobody else uses the block.
#[inline(never)]
unsafe fn run_within(support: &Support, own: ThreadPointer, block: ThreadPointer) {
    #[inline(never)]
    unsafe fn end_variables(support: &Support) {
        // SAFETY: the block is installed, and what used its variables is over.
        unsafe {
            finish_with(support);
            reset_with(support);
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        set_thread_pointer(block);
        core::hint::black_box(end_variables as unsafe fn(&Support))(support);
        set_thread_pointer(own);
    }
}
