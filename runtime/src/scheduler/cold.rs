//! Cold stacks: the frames of fibers that have waited for long are kept elsewhere, without the page or two that they lie in, until
//! anybody touches them. `COLD.md` beside this file argues why that is sound, and says what it costs.
//!
//! There is one store for the process, with a thread that serves the faults. All that it does, it does under one lock. Who holds the
//! lock touches no cold stack, so the thread never waits for itself.

#![expect(unsafe_code, reason = "takes pages of stacks away")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::os::page_faults::{self, PageFaults, SignalsBlocked};

/// The most pages of a stack that are kept elsewhere. Who has more is left alone.
const MOST_PAGES: usize = 4;

/// How many pages are taken before their memory is given back at once.
const PLACES: usize = 64;

/// The process's store. It stays.
static STORE: OnceLock<&Store> = OnceLock::new();

/// See the module's documentation.
struct Store {
    faults: PageFaults,
    page_bytes: usize,
    state: Mutex<State>,
}

struct State {
    /// The cold stacks, by the first address of their guards. All of them, from there to their ends, are registered.
    stacks: BTreeMap<usize, Frames>,
    /// Where pages are moved to. Of those up to `used`, the memory is still to be given back.
    places: Range<usize>,
    used: usize,
    /// What is put back next.
    image: Box<[u64]>,
    /// Whether this is a child of fork(2), which the descriptor of its parent is not for.
    is_child: bool,
}

/// What a cold stack held.
struct Frames {
    /// Where the stack ends.
    end: usize,
    /// The saved stack pointer.
    from: usize,
    /// The words from there to the end: for each 64 a mask of those that are not zero, and then these.
    words: Box<[u64]>,
}

/// Makes the store, if it was not made yet.
///
/// # Errors
///
/// * Those of [`PageFaults::open`].
/// * `Unsupported` where a stack pointer does not tell what a fiber needs.
/// * The operating system's, if it refuses memory or a thread.
pub(crate) fn prepare() -> io::Result<()> {
    /// Held while the store is made.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if STORE.get().is_some() {
        return Ok(());
    }
    if cfg!(any(abaca_corosensei, abaca_asan, abaca_tsan, abaca_valgrind)) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "stacks are compacted only where the switch is written by hand, without a sanitizer and without valgrind",
        ));
    }
    let store: &'static Store = Box::leak(Box::new(Store::new()?));
    let serve = move || loop {
        store.faults.wait(|address| store.serve(address));
    };
    page_faults::start_thread("abaca-cold", serve)?;
    if !page_faults::around_each_fork(before_fork, after_fork, in_child) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    // Last: from now on there may be cold stacks.
    let _ = STORE.set(store);
    Ok(())
}

/// How many stacks of the process are cold.
pub(crate) fn count() -> usize {
    STORE.get().map_or(0, |store| store.lock().stacks.len())
}

/// Keeps the frames of a fiber elsewhere, until anybody touches its stack. Returns false if that cannot be.
///
/// # Safety
///
/// The fiber is suspended, and is not resumed before this function has returned. `guard` is the first address of its stack, and `frames`
/// all that it needs of it, to the stack's end.
pub(super) unsafe fn compact(guard: usize, frames: Range<usize>) -> bool {
    // SAFETY: the caller's promise.
    STORE.get().is_some_and(|store| unsafe { store.compact(guard, frames) })
}

impl Store {
    fn new() -> io::Result<Self> {
        let (faults, page_bytes) = (PageFaults::open()?, page_faults::page_bytes());
        let first = page_faults::map_places(PLACES * page_bytes)?;
        let places = first..first + PLACES * page_bytes;
        faults.register(&places)?;
        let image = vec![0; page_bytes / WORD].into();
        let state = State { stacks: BTreeMap::new(), used: first, places, image, is_child: false };
        Ok(Self { faults, page_bytes, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Safety
    ///
    /// As for [`compact`].
    unsafe fn compact(&self, guard: usize, frames: Range<usize>) -> bool {
        let first = frames.start & !(self.page_bytes - 1);
        let bytes = frames.end - first;
        // A handler that touched a cold stack while this thread holds the lock would wait for ever.
        let _blocked = SignalsBlocked::new();
        let mut state = self.lock();
        if bytes > MOST_PAGES * self.page_bytes || state.is_child || state.stacks.contains_key(&guard) {
            return false;
        }
        let stack = guard..frames.end;
        if self.faults.register(&stack).is_err() {
            return false;
        }
        if state.places.end - state.used < bytes {
            state.empty_places();
        }
        let to = state.used;
        for offset in (0..bytes).step_by(self.page_bytes) {
            // SAFETY: both are registered; nothing is at this place, which nobody else uses. Whoever touches the page from now on
            // waits for the lock, which is held until its contents are in the list.
            if unsafe { self.faults.take(first + offset, to + offset, self.page_bytes) }.is_err() {
                self.give_back(first, to, offset);
                state.used += offset;
                self.forget(&stack);
                return false;
            }
        }
        state.used += bytes;
        let begin = to + (frames.start - first);
        // SAFETY: the pages were moved there, and stay until the places are emptied.
        let words = unsafe { page_faults::words(begin, (to + bytes - begin) / WORD) };
        let frames = Frames { end: frames.end, from: frames.start, words: packed(words) };
        state.stacks.insert(guard, frames);
        true
    }

    /// Puts pages back that were taken to `from`.
    fn give_back(&self, page: usize, from: usize, bytes: usize) {
        for offset in (0..bytes).step_by(self.page_bytes) {
            // SAFETY: the page was moved there just now.
            let words = unsafe { page_faults::words(from + offset, self.page_bytes / WORD) };
            self.put(page + offset, words);
        }
    }

    /// Puts a page back. What it held is needed, so this goes on until there is memory.
    fn put(&self, page: usize, words: &[u64]) {
        while let Err(error) = self.faults.put(page, words) {
            if !is_for_now(&error) {
                // The page is there, or the process ends.
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Serves the fault at an address: of a cold stack, or of one that is cold no more.
    fn serve(&self, address: usize) {
        let mut state = self.lock();
        let found = state.stacks.range(..=address).next_back();
        match found.filter(|(_, frames)| address < frames.end).map(|(guard, _)| *guard) {
            Some(guard) => self.restore(&mut state, guard),
            None => self.faults.put_zeros(address & !(self.page_bytes - 1), self.page_bytes),
        }
    }

    /// Gives a cold stack back what it held.
    fn restore(&self, state: &mut State, guard: usize) {
        let Some(frames) = state.stacks.remove(&guard) else { return };
        let mut words = Unpacked::new(&frames.words);
        let mut skipped = (frames.from & (self.page_bytes - 1)) / WORD;
        let mut page = frames.from & !(self.page_bytes - 1);
        while page < frames.end {
            state.image[..skipped].fill(0);
            state.image[skipped..].fill_with(|| words.next());
            self.put(page, &state.image);
            (skipped, page) = (0, page + self.page_bytes);
        }
        self.forget(&(guard..frames.end));
    }

    /// Leaves the faults of a stack to the kernel. If it refuses that, for want of mappings, they are served with zeros, as the kernel
    /// does.
    fn forget(&self, stack: &Range<usize>) {
        let _ = self.faults.unregister(stack);
    }
}

impl State {
    /// Gives back the memory of what was taken.
    fn empty_places(&mut self) {
        // SAFETY: all that was taken has been packed, under the lock.
        unsafe { page_faults::discard(&(self.places.start..self.used)) };
        self.used = self.places.start;
    }
}

/// Whether an error may be another the next time.
fn is_for_now(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

const WORD: usize = size_of::<u64>();

/// The words as [`Frames::words`] has them.
fn packed(words: &[u64]) -> Box<[u64]> {
    let mut packed = Vec::with_capacity(words.len() + words.len().div_ceil(64));
    for some in words.chunks(64) {
        let mask = some.iter().enumerate().filter(|(_, word)| **word != 0);
        packed.push(mask.fold(0, |mask, (index, _)| mask | 1 << index));
        packed.extend(some.iter().filter(|word| **word != 0));
    }
    packed.into()
}

/// The words that were [`packed`], and zeros behind them.
struct Unpacked<'a> {
    left: std::slice::Iter<'a, u64>,
    mask: u64,
    /// How many words the mask still is for.
    count: u32,
}

impl<'a> Unpacked<'a> {
    fn new(packed: &'a [u64]) -> Self {
        Self { left: packed.iter(), mask: 0, count: 0 }
    }

    fn next(&mut self) -> u64 {
        if self.count == 0 {
            (self.mask, self.count) = (self.left.next().copied().unwrap_or(0), 64);
        }
        let is_there = self.mask & 1 != 0;
        (self.mask, self.count) = (self.mask >> 1, self.count - 1);
        if is_there { self.left.next().copied().unwrap_or(0) } else { 0 }
    }
}

thread_local! {
    /// The lock, while this thread forks. Of each thread: of two that fork at once, one may have begun before there was a store. Without a
    /// destructor, so a thread may fork at its very end.
    static HELD: Cell<Option<ManuallyDrop<Held>>> = const { Cell::new(None) };
}

/// The lock and the signals that wait for it, given back in this order.
type Held = (MutexGuard<'static, State>, SignalsBlocked);

/// A child reads its own copy of the stacks, of which a descriptor of its parent knows nothing: so none may be cold.
extern "C" fn before_fork() {
    let Some(store) = STORE.get() else { return };
    let blocked = SignalsBlocked::new();
    let mut state = store.lock();
    while let Some(guard) = state.stacks.first_key_value().map(|(guard, _)| *guard) {
        store.restore(&mut state, guard);
    }
    HELD.set(Some(ManuallyDrop::new((state, blocked))));
}

extern "C" fn after_fork() {
    drop(HELD.take().map(ManuallyDrop::into_inner));
}

extern "C" fn in_child() {
    if let Some((mut state, _blocked)) = HELD.take().map(ManuallyDrop::into_inner) {
        state.is_child = true;
        drop(state);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were() {
        for count in [0, 1, 63, 64, 65, 130, 512] {
            for step in [1, 2, 7, 1000] {
                let words: Vec<u64> = (0..count).map(|n| if n % step == 0 { n + 1 } else { 0 }).collect();
                let packed = packed(&words);
                let mut unpacked = Unpacked::new(&packed);
                assert!(words.iter().all(|word| unpacked.next() == *word), "{count} words, each {step}th");
                assert_eq!(unpacked.next(), 0);
            }
        }
    }
}
