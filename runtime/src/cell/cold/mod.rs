//! Cold stacks: the frames of fibers that have waited for long are kept elsewhere, without the page or two that they lie in, until
//! anybody touches them. `README.md` beside this file argues why that is sound, and says what it costs.
//!
//! There is one store for the process, with a thread that serves the faults. Who is about to wake a fiber brings its stack back himself
//! ([`warm`]). All that either does, it does under one lock. Who holds the lock touches no cold stack, so the thread never waits for itself.

#![expect(unsafe_code, reason = "takes pages of stacks away")]

mod hints;
mod packed;
mod tables;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use packed::{Unpacked, packed};
use tables::Tables;

use crate::atomic::thread_yield;
use crate::os::fork::PerProcess;
use crate::os::mask::SignalsBlocked;
use crate::os::page::page_bytes;
use crate::os::page_faults::{self, PageFaults};

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
    /// What they have of the page table.
    tables: Tables,
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
    /// From the first address of the guard to the stack's end.
    stack_bytes: usize,
    guard_bytes: u32,
    /// From the saved stack pointer to the stack's end.
    needed_bytes: u32,
    /// Whether the guard is there. If not, all faults of it are the store's as well.
    is_guarded: bool,
    /// The words that are needed, [`packed`](fn@packed).
    words: Box<[u64]>,
}

impl Frames {
    /// The addresses that are needed, if the guard begins there.
    fn needed(&self, guard: usize) -> Range<usize> {
        let end = guard + self.stack_bytes;
        end - self.needed_bytes as usize..end
    }
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
    static MAKING: PerProcess<()> = PerProcess::new(|| ());
    let _making = MAKING.lock();
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
/// The fiber is suspended, and is not resumed before this function has returned. `guard` is that of its stack, which begins behind it, and
/// `frames` all that the fiber needs, to the stack's end.
pub(crate) unsafe fn compact(guard: Range<usize>, frames: Range<usize>) -> bool {
    // SAFETY: the caller's promise.
    STORE.get().is_some_and(|store| unsafe { store.compact(guard, frames) })
}

/// Brings the stack back in which `place` lies, if it is cold. The caller is about to touch it, mostly to wake its fiber: to bring it back
/// takes less than to wait until the thread has done it.
#[inline(always)]
pub(crate) fn warm<T>(place: *const T) {
    if hints::are_there() {
        warm_hinted(place.addr());
    }
}

/// [`warm`] for the first of a list.
#[inline(always)]
pub(crate) fn warmed<T>(first: Option<NonNull<T>>) -> Option<NonNull<T>> {
    first.inspect(|place| warm(place.as_ptr()))
}

#[cold]
#[inline(never)]
fn warm_hinted(address: usize) {
    let Some(store) = STORE.get().filter(|_| hints::may_be_cold(address)) else { return };
    let _blocked = SignalsBlocked::new();
    // If another thread has the lock, the caller touches the stack, and so waits for the thread: a fiber must not wait for a lock here.
    if let Ok(mut state) = store.state.try_lock() {
        store.restore_at(&mut state, address);
    }
}

impl Store {
    fn new() -> io::Result<Self> {
        let (faults, page_bytes) = (PageFaults::open()?, page_bytes());
        let first = page_faults::map_places(PLACES * page_bytes)?;
        let places = first..first + PLACES * page_bytes;
        faults.register(&places)?;
        let image = vec![0; page_bytes / WORD].into();
        let (stacks, tables) = (BTreeMap::new(), Tables::new(page_bytes));
        let state = State { stacks, tables, used: first, places, image, is_child: false };
        hints::prepare()?;
        Ok(Self { faults, page_bytes, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Safety
    ///
    /// As for [`compact`].
    unsafe fn compact(&self, guard: Range<usize>, frames: Range<usize>) -> bool {
        let first = frames.start & !(self.page_bytes - 1);
        let bytes = frames.end - first;
        let sizes = (u32::try_from(guard.len()), u32::try_from(frames.len()));
        let (Ok(guard_bytes), Ok(needed_bytes)) = sizes else { return false };
        let stack = guard.start..frames.end;
        // A handler that touched a cold stack while this thread holds the lock would wait for ever.
        let _blocked = SignalsBlocked::new();
        let mut state = self.lock();
        if bytes > MOST_PAGES * self.page_bytes || state.is_child || state.stacks.contains_key(&stack.start) {
            return false;
        }
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
        let words = packed(unsafe { page_faults::words(begin, (to + bytes - begin) / WORD) });
        let kept = Frames { stack_bytes: stack.len(), guard_bytes, needed_bytes, is_guarded: true, words };
        state.stacks.insert(stack.start, kept);
        hints::add(&frames);
        state.free_tables(&stack);
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
            thread_yield();
        }
    }

    /// Serves the fault at an address: of a cold stack, or of one that is cold no more.
    fn serve(&self, address: usize) {
        let mut state = self.lock();
        let is_back = self.restore_at(&mut state, address).is_some_and(|pages| pages.contains(&address));
        // Or it is another page of the stack, or its guard.
        if !is_back {
            self.faults.put_zeros(address & !(self.page_bytes - 1), self.page_bytes);
        }
    }

    /// Gives the stack in which the address lies back what it held, if it is cold. Returns the pages that are back.
    fn restore_at(&self, state: &mut State, address: usize) -> Option<Range<usize>> {
        let (&guard, frames) = state.stacks.range(..=address).next_back()?;
        if address - guard < frames.stack_bytes { self.restore(state, guard) } else { None }
    }

    /// Gives a cold stack back what it held. Returns the pages that are back.
    fn restore(&self, state: &mut State, guard: usize) -> Option<Range<usize>> {
        let frames = state.stacks.remove(&guard)?;
        let (stack, needed) = (guard..guard + frames.stack_bytes, frames.needed(guard));
        hints::remove(&needed);
        state.tables.remove(&stack);
        if !frames.is_guarded {
            // Before anybody runs on the stack.
            // SAFETY: it was a guard, in which nothing lies.
            unsafe { page_faults::guard(&(guard..guard + frames.guard_bytes as usize)) };
        }
        let mut words = Unpacked::new(&frames.words);
        let mut skipped = (needed.start & (self.page_bytes - 1)) / WORD;
        let pages = needed.start & !(self.page_bytes - 1)..needed.end;
        for page in pages.clone().step_by(self.page_bytes) {
            state.image[..skipped].fill(0);
            state.image[skipped..].fill_with(|| words.next());
            self.put(page, &state.image);
            skipped = 0;
        }
        self.forget(&stack);
        Some(pages)
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

    /// Gives back what the page table has for nothing but cold stacks, since this one is cold.
    fn free_tables(&mut self, stack: &Range<usize>) {
        let whole = self.tables.add(stack);
        if whole.is_empty() {
            return;
        }
        let down = self.stacks.range_mut(..whole.end).rev();
        let guards = down.take_while(|(guard, frames)| **guard + frames.guard_bytes as usize > whole.start);
        guards.for_each(|(_, frames)| frames.is_guarded = false);
        // SAFETY: the stacks there are registered, and what was needed of them has been packed. Whoever touches them, or a guard among
        // them, waits for the lock, and then finds the guard.
        unsafe { page_faults::discard_tables(&whole) };
    }
}

/// Whether an error may be another the next time.
fn is_for_now(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

const WORD: usize = size_of::<u64>();

thread_local! {
    /// The lock, while this thread forks. Of each thread: of two that fork at once, one may have begun before there was a store. Without a
    /// destructor, so a thread may fork at its very end; in a box, since each fiber with storage of its own has one of these.
    static HELD: Cell<Option<ManuallyDrop<Box<Held>>>> = const { Cell::new(None) };
}

/// The lock and the signals that wait for it, given back in this order.
type Held = (MutexGuard<'static, State>, SignalsBlocked);

fn take_held() -> Option<Held> {
    HELD.take().map(|held| *ManuallyDrop::into_inner(held))
}

/// A child reads its own copy of the stacks, of which a descriptor of its parent knows nothing: so none may be cold.
extern "C" fn before_fork() {
    let Some(store) = STORE.get() else { return };
    let blocked = SignalsBlocked::new();
    let mut state = store.lock();
    while let Some(guard) = state.stacks.first_key_value().map(|(guard, _)| *guard) {
        store.restore(&mut state, guard);
    }
    HELD.set(Some(ManuallyDrop::new(Box::new((state, blocked)))));
}

extern "C" fn after_fork() {
    drop(take_held());
}

extern "C" fn in_child() {
    if let Some((mut state, _blocked)) = take_held() {
        state.is_child = true;
        drop(state);
    }
}
