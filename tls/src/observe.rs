//! What is learned about libc by watching a thread of its own: which words of its thread-local storage hold malloc's cache, the
//! list of destructors, and memory that is freed with the thread. No symbol tells, and no version's layout is relied on.
//!
//! Such a word is one that changes when a thing is done for the first time in a thread.
#![expect(unsafe_code, reason = "compares thread-local storage before and after calls into libc")]

use core::ffi::{c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::null_mut;

use crate::birth::SignalsBlocked;
use crate::carrier;
use crate::glibc::Glibc;
use crate::modules::{self, Segment};
use crate::mould::RSEQ_WORDS;
use crate::pointer::{ThreadPointer, thread_pointer};
use crate::robust;
use crate::unsupported::Unsupported;

/// The most modules with thread-local storage that are looked at, and the most words of libc's.
const MOST_MODULES: usize = 1024;
const MOST_WORDS: usize = 1024;

/// All categories of a locale: glibc's `LC_ALL_MASK` of `locale.h`.
pub(crate) const LC_ALL_MASK: c_int = 0x1fbf;

/// What was seen. Offsets are from the thread pointer.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Of all modules whose variables are in the block, libc among them.
    pub(crate) segments: Vec<Segment>,
    /// Those of malloc.
    pub(crate) malloc: Vec<isize>,
    /// Where the list of destructors begins.
    pub(crate) destructors: isize,
    /// What `__cxa_thread_atexit_impl` remembers of the library that registered last.
    pub(crate) last_library: Vec<isize>,
    /// Buffers that are made once in a thread and freed with it.
    pub(crate) buffers: Vec<isize>,
    /// The error that `dlerror` has yet to tell.
    pub(crate) loader_error: Vec<isize>,
    /// The thread's locale, and its tables of characters: of kinds, of lower case, of upper case.
    pub(crate) locale: isize,
    pub(crate) characters: [isize; 3],
    /// Whether and how the thread can be cancelled, with other things.
    pub(crate) cancelling: Vec<isize>,
    pub(crate) resolver_state: isize,
    pub(crate) resolver_options: isize,
    pub(crate) robust: Option<isize>,
    /// The u32 that the kernel clears, and wakes who waits for it, when a thread ends.
    pub(crate) cleared: isize,
    /// Of the crate's own variable.
    pub(crate) carrier: isize,
    error: Option<Unsupported>,
}

struct Probe<'a> {
    glibc: &'a Glibc,
    seen: Seen,
    /// What the kernel and other threads write meanwhile.
    foreign: [Range<isize>; 2],
    /// Room for libc's words: before and after.
    words: [Vec<usize>; 2],
}

/// A word of the thread's, without the mark of `setuid`, which others set.
fn word(glibc: &Glibc, own: ThreadPointer, offset: isize) -> usize {
    // SAFETY: the callers ask for words of the calling thread's block.
    unsafe { modules::word(own, offset) & !glibc.setxid_mark(offset) }
}

/// Where others write again and again while a thread does nothing: the kernel notes on which processor it runs, if libc has asked for that; and who begins
/// or ends beside it on libc's list of threads changes its entry.
fn foreign(glibc: &Glibc) -> [Range<isize>; 2] {
    let words =
        |offset: Option<isize>, count| offset.map_or(0..0, |offset| offset..offset + count * modules::WORD);
    [words(glibc.rseq, RSEQ_WORDS), words(glibc.list, 2)]
}

/// Nothing, with room for what there may be: nothing is allocated while a thread is looked at.
fn empty() -> Seen {
    Seen {
        segments: Vec::with_capacity(MOST_MODULES),
        malloc: Vec::with_capacity(MOST_WORDS),
        destructors: 0,
        last_library: Vec::with_capacity(MOST_WORDS),
        buffers: Vec::with_capacity(MOST_WORDS),
        loader_error: Vec::with_capacity(MOST_WORDS),
        locale: 0,
        characters: [0; 3],
        cancelling: Vec::with_capacity(MOST_WORDS),
        resolver_state: 0,
        resolver_options: 0,
        robust: None,
        cleared: 0,
        carrier: 0,
        error: None,
    }
}

/// Looks at a thread that is made for it.
pub(crate) fn observe(glibc: &Glibc) -> Result<Seen, Unsupported> {
    let words = [Vec::with_capacity(MOST_WORDS), Vec::with_capacity(MOST_WORDS)];
    let mut probe = Probe { glibc, seen: empty(), foreign: foreign(glibc), words };
    run_in_new_thread(&mut |_| probe.look())?;
    let seen = probe.seen;
    if let Some(error) = seen.error {
        return Err(error);
    }
    if seen.carrier != carrier::word_offset() {
        return Err(Unsupported::LoadedLater);
    }
    Ok(seen)
}

type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    extern "C" fn(*mut c_void) -> *mut c_void,
    *mut c_void,
) -> c_int;

/// libc's own `pthread_create`. Where another function has taken its name, that might make something else than a thread, which waits for
/// the caller.
fn libcs_create() -> Create {
    // SAFETY: the name ends in a zero byte.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr()) };
    if next.is_null() {
        return libc::pthread_create;
    }
    // SAFETY: the function has this type.
    unsafe { core::mem::transmute::<*mut c_void, Create>(next) }
}

/// Runs `f` in a thread of libc's that has done nothing yet, not even what std does in one.
pub(crate) fn run_in_new_thread(f: &mut dyn FnMut(ThreadPointer)) -> Result<(), Unsupported> {
    run_in_new_thread_beside(f, || ())
}

/// The same; the caller does something before it waits for the thread.
fn run_in_new_thread_beside(
    f: &mut dyn FnMut(ThreadPointer),
    before_join: impl FnOnce(),
) -> Result<(), Unsupported> {
    extern "C" fn run(f: *mut c_void) -> *mut c_void {
        // SAFETY: the creator passed the address of such a reference, and waits.
        unsafe { (*f.cast::<&mut dyn FnMut(ThreadPointer)>())(thread_pointer()) };
        null_mut()
    }
    let mut f = f;
    // The thread inherits the mask: no handler changes what is looked at.
    let _blocked = SignalsBlocked::new();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: `f` lives until the thread is joined.
    let code = unsafe { libcs_create()(thread.as_mut_ptr(), core::ptr::null(), run, (&raw mut f).cast()) };
    if code != 0 {
        return Err(Unsupported::Thread(code));
    }
    before_join();
    // SAFETY: the thread was made above, and is joined once.
    unsafe { libc::pthread_join(thread.assume_init(), null_mut()) };
    Ok(())
}

unsafe extern "C" {
    fn strsignal(signal: c_int) -> *mut c_char;
    fn strerror_l(error: c_int, locale: libc::locale_t) -> *mut c_char;
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    fn pthread_setcanceltype(kind: c_int, before: *mut c_int) -> c_int;
    fn __ctype_b_loc() -> *mut *const u16;
    fn __ctype_tolower_loc() -> *mut *const i32;
    fn __ctype_toupper_loc() -> *mut *const i32;
    fn __errno_location() -> *mut c_int;
    /// An address within the program or library that this is part of.
    static __dso_handle: u8;
}

impl Probe<'_> {
    fn look(&mut self) {
        if let Err(error) = self.try_to_look() {
            self.seen.error = Some(error);
        }
    }

    fn try_to_look(&mut self) -> Result<(), Unsupported> {
        let own = thread_pointer();
        if !modules::segments(self.glibc.at_thread_exit as *const () as usize, &mut self.seen.segments) {
            return Err(Unsupported::Trial("there are more than 1,024 modules with thread-local variables"));
        }
        let libc_segment = self.seen.segments.iter().find(|segment| segment.is_wanted).copied();
        let libc_segment = libc_segment.ok_or(Unsupported::Trial("libc has no thread-local variables"))?;
        if libc_segment.words().count() > MOST_WORDS {
            return Err(Unsupported::Trial("libc has more thread-local variables than this crate looks at"));
        }
        self.note(libc_segment, own);
        // SAFETY: calls of libc that a thread may make. What they allocate is freed by them or with the thread.
        unsafe {
            for bytes in [40, 3_000, 40] {
                let memory = core::hint::black_box(libc::malloc(bytes));
                let memory = core::hint::black_box(libc::realloc(memory, bytes * 2));
                libc::free(memory);
            }
            self.changed(libc_segment, own, |seen| &mut seen.malloc);

            strsignal(core::hint::black_box(1_000));
            strerror_l(
                core::hint::black_box(100_000),
                libc::newlocale(LC_ALL_MASK, c"C".as_ptr(), null_mut()),
            );
            self.changed(libc_segment, own, |seen| &mut seen.buffers);

            libc::dlopen(c"/nowhere/abaca-tls".as_ptr(), libc::RTLD_LAZY);
            self.changed(libc_segment, own, |seen| &mut seen.loader_error);
            libc::dlerror();
            libc::dlerror();
            self.note(libc_segment, own);

            unsafe extern "C" fn nothing(_: *mut c_void) {}
            (self.glibc.at_thread_exit)(nothing, null_mut(), (&raw const __dso_handle).cast_mut().cast());
            self.changed(libc_segment, own, |seen| &mut seen.last_library);
            (self.glibc.call_destructors)();
            // The list is empty again, the rest stays.
            let empty = |offset: &isize| modules::word(own, *offset) == 0;
            let list: Option<isize> = self.seen.last_library.iter().copied().find(empty);
            self.seen.destructors = list.ok_or(Unsupported::Trial("destructors are on no list"))?;
            self.seen.last_library.retain(|offset| Some(*offset) != list);

            let offset = |place: usize| place.wrapping_sub(own.address()).cast_signed();
            let state = (self.glibc.resolver_state)();
            self.seen.resolver_state = offset(state.addr());
            self.seen.resolver_options = offset((&raw const (*state).options).addr());
            let tables = [__ctype_b_loc().addr(), __ctype_tolower_loc().addr(), __ctype_toupper_loc().addr()];
            self.seen.characters = tables.map(offset);
            let other = libc::newlocale(LC_ALL_MASK, c"C".as_ptr(), null_mut());
            libc::uselocale(other);
            let locale = libc_segment.words().find(|word| modules::word(own, *word) == other.addr());
            self.seen.locale = locale.ok_or(Unsupported::Trial("a thread has no locale"))?;

            let record =
                Segment { offset: self.glibc.thread, bytes: self.glibc.record_bytes, is_wanted: false };
            if record.words().count() > MOST_WORDS {
                return Err(Unsupported::Trial("`struct pthread` is larger than expected"));
            }
            self.look_at_cancelling(record, own, &mut || ());
        }
        self.seen.robust = robust::offset(own);
        self.seen.cleared = self.cleared(own)?;
        self.seen.carrier = carrier::word_offset();
        Ok(())
    }

    /// The words that say whether and how the thread can be cancelled: those that are otherwise each time that it cannot, and as before each time
    /// that it can again. What others write does not come and go with that: the address of who joins the thread, the mark of `setuid` and the word
    /// at which that waits. `meanwhile` is called before each look.
    ///
    /// # Safety
    ///
    /// The thread is the calling one.
    unsafe fn look_at_cancelling(
        &mut self,
        record: Segment,
        own: ThreadPointer,
        meanwhile: &mut dyn FnMut(),
    ) {
        self.note(record, own);
        let Self { glibc, seen: Seen { cancelling, .. }, foreign, words: [before, _] } = self;
        let is_foreign = |offset: &isize| foreign.iter().any(|words| words.contains(offset));
        // There is room.
        cancelling.extend(record.words().filter(|offset| !is_foreign(offset)));
        for cannot in [1, 0, 1, 0, 1, 0] {
            // SAFETY: calls that a thread may make.
            unsafe {
                pthread_setcancelstate(cannot, null_mut());
                pthread_setcanceltype(cannot, null_mut());
            }
            meanwhile();
            let index = |offset: isize| ((offset - record.offset) / modules::WORD).unsigned_abs();
            cancelling.retain(|&offset| (word(glibc, own, offset) != before[index(offset)]) == (cannot != 0));
        }
    }

    /// The word that libc has told the kernel to clear: the thread's id, up to glibc 2.41 at least. A kernel that does not tell is
    /// taken to clear that.
    fn cleared(&self, own: ThreadPointer) -> Result<isize, Unsupported> {
        let mut address = 0_usize;
        // SAFETY: the kernel writes a pointer.
        let told = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut address, 0, 0, 0) } == 0;
        let offset = address.wrapping_sub(own.address()).cast_signed();
        let record = self.glibc.thread..self.glibc.thread + self.glibc.record_bytes.cast_signed();
        if told && record.contains(&offset) {
            Ok(offset)
        } else if self.glibc.version <= (2, 41) {
            Ok(self.glibc.tid)
        } else {
            Err(Unsupported::Trial("the kernel does not tell which word it clears at the end of a thread"))
        }
    }

    /// Notes libc's words as they are.
    fn note(&mut self, segment: Segment, own: ThreadPointer) {
        let [before, _] = &mut self.words;
        before.clear();
        // There is room for them.
        before.extend(segment.words().map(|offset| word(self.glibc, own, offset)));
    }

    /// The words that have changed since, but for the one with errno; notes them as they are.
    fn changed(&mut self, segment: Segment, own: ThreadPointer, list: fn(&mut Seen) -> &mut Vec<isize>) {
        // SAFETY: a public function of libc.
        let errno = unsafe { __errno_location() }.addr().wrapping_sub(own.address()).cast_signed();
        let [before, after] = &mut self.words;
        after.clear();
        after.extend(segment.words().map(|offset| word(self.glibc, own, offset)));
        let changed = segment.words().zip(before.iter().zip(after.iter()));
        let changed = changed.filter(|(_, (before, after))| before != after).map(|(offset, _)| offset);
        let changed = changed.filter(|offset| !(*offset..offset + modules::WORD).contains(&errno));
        // There is room.
        list(&mut self.seen).extend(changed);
        self.words.swap(0, 1);
    }
}

#[cfg(test)]
mod tests;
