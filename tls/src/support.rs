//! Whether this process can have blocks, and what was learned of its libc to make, end and reset them. It is found out once.
#![expect(unsafe_code, reason = "maps memory for the template, and shares what is learned")]

use core::mem::ManuallyDrop;
use core::ops::Range;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::arch;
use crate::birth;
use crate::block::Block;
use crate::glibc::{self, Glibc};
use crate::loaded::{self, LastLibrary};
use crate::loader::Loader;
use crate::modules::Segment;
use crate::mould::{Model, ToldStack, image};
use crate::observe::{Seen, observe};
use crate::per_process::PerProcess;
use crate::plan::{Parts, Plan};
use crate::pointer::ThreadPointer;
use crate::replica::{Replica, Sample};
use crate::tid;
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
    replica: Result<Replica, &'static str>,
    /// The template and another new block: what they have in common is the same in each.
    new_blocks: [ThreadPointer; 2],
}

type Examined = Result<Support, Unsupported>;

/// What was found out; null before. It stays.
static EXAMINED: AtomicPtr<Examined> = AtomicPtr::new(null_mut());

/// Held by who finds out. A copy of the process does it itself, whoever is about to in the original.
static EXAMINING: PerProcess<()> = PerProcess::new(|| ());

/// The support, once it is known to be there.
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
    let found = examined().as_ref().map_err(|why| *why)?;
    // Release: pairs with the Acquire in `known`.
    KNOWN.store(core::ptr::from_ref(found).cast_mut(), Ordering::Release);
    Ok(found)
}

fn examined() -> &'static Examined {
    // Acquire, here and below: pairs with the Release below.
    // SAFETY: null, or from a box that is never freed.
    let there = || unsafe { EXAMINED.load(Ordering::Acquire).as_ref() };
    there().unwrap_or_else(|| {
        let _examining = EXAMINING.lock();
        there().unwrap_or_else(|| {
            let examined = Box::leak(Box::new(examine()));
            EXAMINED.store(examined, Ordering::Release);
            examined
        })
    })
}

/// What [`support()`] has returned to whoever made the block that is installed.
#[inline(always)]
pub(crate) fn known() -> &'static Support {
    // SAFETY: null, or a part of what is never freed.
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
    let template = Spare::new(&glibc, &seen, 0)?;
    // Its size is another, so that it is told apart from other numbers.
    let other = Spare::new(&glibc, &seen, 1)?;
    let mut support = Support {
        // One that a thread makes, as in a child of `fork`, has frames below it, and takes more.
        block_bytes: template.memory.end() - template.block.frames_end().addr(),
        glibc,
        seen,
        template: template.block.pointer(),
        last_library,
        plan: AtomicPtr::new(null_mut()),
        replica: Err("it was not tried"),
        new_blocks: [template.block.pointer(), other.block.pointer()],
    };
    support.plan_anew(core::iter::empty())?;
    match support.learn_again([&template, &other]) {
        Ok((replica, block)) => {
            support.block_bytes = support.block_bytes.max(replica.block_bytes());
            support.replica = Ok(replica);
            if let Err(why) = trial::try_everything(&support, block) {
                support.replica = Err(why);
            }
        }
        Err(why) => support.replica = Err(why),
    }
    if support.replica.is_err() {
        let spare = Spare::new(&support.glibc, &support.seen, 0)?;
        trial::try_everything(&support, ManuallyDrop::into_inner(spare.block)).map_err(Unsupported::Trial)?;
    }
    Ok(support)
}

/// Whether the process has a sanitizer's runtime, which has not told us by a cfg.
fn has_sanitizer() -> bool {
    [c"__asan_init", c"__tsan_init", c"__msan_init", c"__hwasan_init"].into_iter().any(glibc::exists)
}

fn is_by_thread_wanted() -> bool {
    std::env::var_os("ABACA_BLOCKS").is_some_and(|how| how == "thread")
}

const NO_MEMORY: &str = "there is no memory, or no thread, to compare with";

/// How often it is tried to learn how blocks are made.
const ATTEMPTS: usize = 3;

/// Memory that is never unmapped.
#[derive(Clone, Copy)]
struct Memory {
    lowest: *mut u8,
    bytes: usize,
}

/// So much more memory has each next spare block.
const STEP: usize = 64 * 1024;

impl Memory {
    fn new(seen: &Seen, steps: usize) -> Result<Self, Unsupported> {
        let storage: usize = seen.segments.iter().map(|segment| segment.bytes).sum();
        let bytes = (2 * STEP + 2 * storage).next_multiple_of(STEP) + steps * STEP;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: new memory at an address of the kernel's choice, which nobody else has.
        unsafe {
            let lowest = libc::mmap(null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if lowest == libc::MAP_FAILED {
                return Err(refused(&std::io::Error::last_os_error()));
            }
            // A huge page would commit 2 MiB for the few kilobytes at the top.
            libc::madvise(lowest, bytes, libc::MADV_NOHUGEPAGE);
            Ok(Self { lowest: lowest.cast(), bytes })
        }
    }

    fn end(&self) -> usize {
        self.lowest.addr() + self.bytes
    }

    fn block(&self, glibc: &Glibc) -> Result<Block, Unsupported> {
        // SAFETY: the memory is used for one block after the other, and stays.
        unsafe { Block::by_thread(glibc, self.lowest, self.bytes) }.map_err(|error| refused(&error))
    }
}

fn refused(error: &std::io::Error) -> Unsupported {
    Unsupported::Thread(error.raw_os_error().unwrap_or(libc::EAGAIN))
}

/// A block on memory of its own.
struct Spare {
    memory: Memory,
    /// It stays, or [ends](Block::end_with): to drop it is for those who know what is supported.
    block: ManuallyDrop<Block>,
}

impl Spare {
    fn new(glibc: &Glibc, seen: &Seen, steps: usize) -> Result<Self, Unsupported> {
        let memory = Memory::new(seen, steps)?;
        Ok(Self { memory, block: ManuallyDrop::new(memory.block(glibc)?) })
    }

    fn model(&self) -> Option<Model> {
        let stack = ToldStack::of(self.memory.lowest, self.memory.bytes);
        Some(Model { pointer: self.block.pointer(), stack, argument: self.block.argument()? })
    }
}

impl Support {
    /// As many words of malloc's as are lent without a loop that looks for more.
    pub(crate) const MOST_MALLOC_WORDS: usize = 2;

    /// Where the number is by which libc knows a thread, and writes whose a lock is: so many bytes from where the thread pointer points. It is 32 bits
    /// wide.
    pub fn number_offset(&self) -> isize {
        self.glibc().tid
    }

    /// The bytes at the top of each stack that its block takes, from [`Block::frames_end`](crate::Block::frames_end) to the end of
    /// the block, at most: libc's record of a thread, all thread-local variables of fixed places, libc's reserve for libraries that are
    /// loaded later, and the frames with which libc's thread will end, if one has made the block.
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

    /// Why each block is made by a thread of its own, which takes some 10 microseconds, and as many for its end. None if blocks are
    /// made and ended without one, in half a microsecond.
    ///
    /// They are on x86_64 with a glibc whose way of making threads is known, if a block that was made so is word for word as
    /// a thread's. `ABACA_BLOCKS=thread` in the environment has all made by threads. In a child of `fork` all are, whatever this says.
    ///
    /// ```
    /// if let Ok(support) = abaca_tls::support() {
    ///     println!("made by threads: {:?}", support.by_thread());
    /// }
    /// ```
    pub fn by_thread(&self) -> Option<&'static str> {
        self.replica.as_ref().err().copied()
    }

    pub(crate) fn replica(&self) -> Result<&Replica, &'static str> {
        self.replica.as_ref().map_err(|why| *why)
    }

    /// [`learn`](Self::learn), and from other models if that was in vain. A thread may have begun meanwhile; or somebody may have set the
    /// process's ids, which leaves traces in all records that there are by then.
    fn learn_again(&self, first: [&Spare; 2]) -> Result<(Replica, Block), &'static str> {
        Loader::look_up(&self.glibc)?;
        let mut result = self.learn(first);
        for _ in 1..ATTEMPTS {
            if result.is_ok() || is_by_thread_wanted() {
                return result;
            }
            let spare = |steps| Spare::new(&self.glibc, &self.seen, steps).map_err(|_| NO_MEMORY);
            result = self.learn([&spare(0)?, &spare(1)?]);
        }
        result
    }

    /// Learns to make blocks without a thread. Returns a block that was made so.
    fn learn(&self, [first, second]: [&Spare; 2]) -> Result<(Replica, Block), &'static str> {
        if is_by_thread_wanted() {
            return Err("ABACA_BLOCKS=thread in the environment");
        }
        let (Some(first), Some(second)) = (first.model(), second.model()) else { return Err(NO_MEMORY) };
        let memory = Memory::new(&self.seen, 2).map_err(|_| NO_MEMORY)?;
        // Stacks do not all end at the end of a page.
        let memory = Memory { bytes: memory.bytes - 192, ..memory };
        let block = memory.block(&self.glibc).map_err(|_| NO_MEMORY)?;
        let pointer = block.pointer();
        // SAFETY: the block is new.
        let image = unsafe { image(&self.glibc, pointer) }.ok_or("it is not known where a block begins")?;
        block.end_with(self);
        let id = tid::take().ok_or(NO_MEMORY)?;
        let sample = Sample { lowest: memory.lowest, bytes: memory.bytes, pointer, image, id };
        // SAFETY: the models are never used nor ended, and the memory is the sample's alone.
        let (replica, block) = unsafe { Replica::learn(&self.glibc, &self.seen, [first, second], &sample) }
            .inspect_err(|_| tid::give(id))?;
        let block = Block::of_replica(&replica, block);
        Ok((replica, block))
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
}
