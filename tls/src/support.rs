//! Whether this process can have blocks, and what was learned of its libc to make, end and reset them. It is found out once.
#![expect(unsafe_code, reason = "maps memory for the template, and shares what is learned")]

use core::ops::Range;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use std::sync::OnceLock;

use crate::arch;
use crate::birth;
use crate::block::Block;
use crate::glibc::{self, Glibc};
use crate::loaded::{self, LastLibrary};
use crate::modules::Segment;
use crate::observe::{Seen, observe};
use crate::plan::{Parts, Plan};
use crate::pointer::ThreadPointer;
use crate::trial;
use crate::unsupported::Unsupported;

/// The proof that this process can have [blocks](crate::Block), and what is known of its libc. See [`support()`].
#[derive(Debug)]
pub struct Support {
    glibc: Glibc,
    seen: Seen,
    template: ThreadPointer,
    last_library: LastLibrary,
    block_bytes: usize,
    plan: AtomicPtr<Plan>,
    /// The template and another new block: what they have in common is the same in each.
    new_blocks: [ThreadPointer; 2],
}

static SUPPORT: OnceLock<Result<Support, Unsupported>> = OnceLock::new();

/// The same, once it is known to be there.
static KNOWN: AtomicPtr<Support> = AtomicPtr::new(null_mut());

/// Whether this process can have [blocks](crate::Block).
///
/// The first call looks at the processor and at libc, makes a few threads that end at once, and tries all that this crate relies on:
/// a fraction of a millisecond. Later calls return the same.
///
/// # Errors
///
/// The reason, an [`Unsupported`].
///
/// ```
/// match abaca_tls::support() {
///     Ok(support) => println!("{} bytes of each stack", support.block_bytes()),
///     Err(why) => println!("{why}"),
/// }
/// ```
pub fn support() -> Result<&'static Support, Unsupported> {
    let found = SUPPORT.get_or_init(examine).as_ref().map_err(|why| *why)?;
    // Release: pairs with the Acquire in `known`.
    KNOWN.store(core::ptr::from_ref(found).cast_mut(), Ordering::Release);
    Ok(found)
}

/// What [`support()`] has returned to whoever made the block that is installed.
#[inline(always)]
pub(crate) fn known() -> &'static Support {
    // SAFETY: null, or a part of a static variable.
    match unsafe { KNOWN.load(Ordering::Acquire).as_ref() } {
        Some(support) => support,
        None => none_known(),
    }
}

#[cold]
fn none_known() -> ! {
    panic!("a block is installed, so somebody has asked for support")
}

fn examine() -> Result<Support, Unsupported> {
    if cfg!(any(abaca_asan, abaca_tsan)) || has_sanitizer() {
        return Err(Unsupported::Sanitizer);
    }
    if cfg!(abaca_valgrind) || crate::valgrind::is_running() {
        return Err(Unsupported::Valgrind);
    }
    if !arch::CODE {
        return Err(Unsupported::Architecture);
    }
    if !arch::may_write() {
        return Err(Unsupported::Register);
    }
    let glibc = Glibc::look_up()?;
    let seen = observe(&glibc)?;
    if seen.malloc.len() > Support::MOST_MALLOC_WORDS {
        return Err(Unsupported::Trial("malloc has more words in a thread than are lent"));
    }
    let last_library = loaded::last_library()?;
    let template = spare_block(&glibc, &seen)?;
    let other = spare_block(&glibc, &seen)?;
    let mut support = Support {
        block_bytes: 0,
        glibc,
        seen,
        template: template.pointer(),
        last_library,
        plan: AtomicPtr::new(null_mut()),
        new_blocks: [template.pointer(), other.pointer()],
    };
    support.block_bytes = support.top_of(template.pointer()) - template.frames_end().addr();
    support.plan_anew(core::iter::empty())?;
    trial::try_everything(&support, spare_block(&support.glibc, &support.seen)?)?;
    // They stay as they are for ever.
    core::mem::forget((template, other));
    Ok(support)
}

/// Whether the process has a sanitizer's runtime, which has not told us by a cfg.
fn has_sanitizer() -> bool {
    [c"__asan_init", c"__tsan_init", c"__msan_init", c"__hwasan_init"].into_iter().any(glibc::exists)
}

/// A block on memory of its own, which stays.
fn spare_block(glibc: &Glibc, seen: &Seen) -> Result<Block, Unsupported> {
    let storage: usize = seen.segments.iter().map(|segment| segment.bytes).sum();
    let bytes = (128 * 1024 + 2 * storage).next_multiple_of(64 * 1024);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    let thread = |error: std::io::Error| Unsupported::Thread(error.raw_os_error().unwrap_or(libc::EAGAIN));
    // SAFETY: new memory at an address of the kernel's choice, which nobody else has and which is never unmapped.
    unsafe {
        let lowest = libc::mmap(null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if lowest == libc::MAP_FAILED {
            return Err(thread(std::io::Error::last_os_error()));
        }
        // A huge page would commit 2 MiB for the few kilobytes at the top.
        libc::madvise(lowest, bytes, libc::MADV_NOHUGEPAGE);
        Block::make(glibc, lowest.cast(), bytes).map_err(thread)
    }
}

impl Support {
    /// As many words of malloc's as are lent without a loop that looks for more.
    pub(crate) const MOST_MALLOC_WORDS: usize = 2;

    /// The bytes at the top of each stack that its block takes, from [`Block::frames_end`](crate::Block::frames_end) to the end of
    /// the block: libc's record of a thread, all thread-local variables of fixed places, libc's reserve for libraries that are
    /// loaded later, and the frames with which libc's thread will end.
    ///
    /// A program with large thread-local variables needs larger stacks: by so much as this is more than a few kilobytes.
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// The least size that libc takes for a thread's stack, its block included: 16 KiB on x86_64 and riscv64, 128 KiB on aarch64.
    ///
    /// Blocks in less memory work as well. But libc is told of so much, so what it tells of the fiber's stack is wrong:
    /// `pthread_getattr_np` says that it begins below the memory that there is. Collectors of garbage and checks for room that ask
    /// libc need stacks of this size.
    ///
    /// ```
    /// if let Ok(support) = abaca_tls::support() {
    ///     assert!(support.least_stack_bytes() >= 16 * 1024);
    /// }
    /// ```
    pub fn least_stack_bytes(&self) -> usize {
        birth::least_stack()
    }

    /// The two numbers of glibc's version.
    pub fn glibc_version(&self) -> (u32, u32) {
        self.glibc.version
    }

    pub(crate) fn glibc(&self) -> &Glibc {
        &self.glibc
    }

    pub(crate) fn malloc_words(&self) -> &[isize] {
        &self.seen.malloc
    }

    pub(crate) fn carrier_word(&self) -> isize {
        self.seen.carrier
    }

    /// What libc remembers of the library that has registered a destructor last.
    pub(crate) fn last_library_words(&self) -> &[isize] {
        &self.seen.last_library
    }

    /// Where libc's list of the calling thread's destructors begins.
    #[inline(always)]
    pub(crate) fn destructors(&self) -> isize {
        self.seen.destructors
    }

    #[inline(always)]
    pub(crate) fn robust_list(&self) -> Option<isize> {
        self.seen.robust
    }

    #[inline(always)]
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    #[inline(always)]
    pub(crate) fn template(&self) -> ThreadPointer {
        self.template
    }

    #[inline(always)]
    pub(crate) fn last_library(&self) -> LastLibrary {
        self.last_library
    }

    /// What a reset copies.
    #[inline(always)]
    pub(crate) fn plan(&self) -> &Plan {
        // SAFETY: set at the start, and never freed. Acquire: pairs with the Release in `plan_anew`.
        unsafe { NonNull::new_unchecked(self.plan.load(Ordering::Acquire)).as_ref() }
    }

    /// Plans resets that leave alone, besides what is libc's, the ranges that are `kept`. The former plan may be in use: it stays.
    /// There are as many as there are ranges.
    pub(crate) fn plan_anew(&self, kept: impl Iterator<Item = Range<isize>>) -> Result<(), Unsupported> {
        let seen = &self.seen;
        let lists = [&seen.malloc, &seen.last_library, &seen.buffers].into_iter().flatten();
        let words: Vec<_> = lists.copied().chain([seen.carrier]).collect();
        let looked_at = [&seen.cancelling, &seen.loader_error].into_iter().flatten();
        let checked: Vec<_> = looked_at.copied().chain([seen.resolver_options]).collect();
        let kept: Vec<_> = kept.collect();
        let parts = Parts { segments: &seen.segments, checked: &checked, words: &words, kept: &kept };
        // SAFETY: new blocks, which stay as they are.
        let plan = unsafe { Plan::new(&parts, self.new_blocks) }?;
        self.plan.store(Box::into_raw(Box::new(plan)), Ordering::Release);
        Ok(())
    }

    /// The segment that a range of fixed places lies in.
    pub(crate) fn segment_of(&self, range: &Range<isize>) -> Option<&Segment> {
        self.seen.segments.iter().find(|segment| segment.offset <= range.start && range.end <= segment.end())
    }

    /// The addresses of the variables of fixed places in a block, from the first to the last.
    pub(crate) fn range_of(&self, block: ThreadPointer) -> Range<usize> {
        let first = self.seen.segments.iter().map(|segment| segment.offset).min().unwrap_or(0);
        let past = self.seen.segments.iter().map(Segment::end).max().unwrap_or(0);
        block.at::<u8>(first).addr()..block.at::<u8>(past).addr()
    }

    /// The end of the memory of a spare block.
    fn top_of(&self, block: ThreadPointer) -> usize {
        // They end at the end of a mapping: libc's record, or the variables, are directly below it.
        self.range_of(block).end.max(block.address() + 1).next_multiple_of(4096)
    }
}
