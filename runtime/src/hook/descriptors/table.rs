//! What is known of each descriptor's number: its registration with a poller.

#![expect(unsafe_code, reason = "descriptors are known by their numbers")]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::{Arc, OnceLock};

use super::borrow::borrow;
use super::limit::Timeouts;
use super::renewal::Waits;
use super::wish::{self, Moment, Wish};
use crate::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::hook::sleepers::in_turn_of;
use crate::os::fork::{self, Generation};
use crate::os::socket;
use crate::park::turn::Turn;
use crate::poller::{Snapshot, Source};
use crate::queue::{SpinGuard, SpinLock};

/// A file that somebody has waited for, under a number. What each wait looks at comes first, on as few lines of the cache as it takes.
#[repr(C)]
pub(super) struct Watched {
    pub(super) source: Source,
    pub(super) number: RawFd,
    /// Whether a short transfer means that the kernel's buffer is empty: a stream of TCP.
    pub(super) is_stream: bool,
    /// Set when the number became another file's behind the runtime's back.
    is_lost: AtomicBool,
    /// Whether the last read of a stream has moved less than it wanted while nobody watched: the next one would have to wait.
    is_drained: AtomicBool,
    /// A duplicate, if the number was closed while calls were under way, which go on with it: as in a thread's call, the file stays open.
    moved: OnceLock<OwnedFd>,
    pub(super) waits: Waits,
    pub(super) wish: Wish,
    pub(super) timeouts: Timeouts,
    /// Of those who are in a call for which there is no way not to wait but to look before.
    turn: Turn,
}

impl Watched {
    fn new(number: RawFd, is_stream: bool, born: u64) -> Self {
        Self {
            source: Source::new(),
            number,
            is_stream,
            is_lost: AtomicBool::new(false),
            is_drained: AtomicBool::new(false),
            moved: OnceLock::new(),
            waits: Waits::new(),
            wish: Wish::new(born),
            timeouts: Timeouts::new(),
            turn: Turn::new(),
        }
    }

    /// The number under which the file is open now; `None` if there is none any more.
    #[inline]
    pub(super) fn number(&self) -> Option<RawFd> {
        match self.moved.get() {
            Some(moved) => Some(moved.as_raw_fd()),
            // Relaxed: it publishes nothing.
            None => (!self.is_lost.load(Ordering::Relaxed)).then_some(self.number),
        }
    }

    /// Notes whether a call that read after `seen` moved less than it wanted.
    #[inline]
    pub(super) fn note(&self, seen: Snapshot<'_>, is_short: bool) {
        if seen.is_registered() {
            seen.note(is_short);
        } else if is_short != self.is_drained.load(Ordering::Relaxed) {
            // Relaxed: a guess. Who goes by it registers the file, and is told what has come meanwhile.
            self.is_drained.store(is_short, Ordering::Relaxed);
        }
    }

    /// Whether a call that reads would have to wait, as the last one has left it, although nobody watches yet. Then it may wait at once: the
    /// kernel tells who registers the file whether it is ready.
    #[inline]
    pub(super) fn is_drained(&self, seen: Snapshot<'_>) -> bool {
        !seen.is_registered() && self.is_drained.load(Ordering::Relaxed)
    }
}

impl Watched {
    /// Notes that the number became another file's, or is not open any more, behind the runtime's back: calls that wait end in EBADF.
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    /// Watches the number anew.
    ///
    /// # Errors
    ///
    /// The error of `epoll_ctl`: EBADF if the number is not open.
    pub(super) fn renew(&self) -> std::io::Result<()> {
        if self.number() != Some(self.number) {
            // The kernel watches the file under a number that is another file's by now.
            return Ok(());
        }
        // SAFETY: the number is only passed to epoll.
        self.source.renew(unsafe { borrow(self.number) })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Who closes the number deregisters the source before. Otherwise the kernel forgets by itself, with the last descriptor of
        // the file; if it lives on, its events find no registration.
        self.source.abandon();
    }
}

/// The numbers, in rows that are made when they are first used.
const ROWS: usize = 1024;
const ROW: usize = 1024;

/// What is known of a number.
struct Entry {
    watched: SpinLock<Option<Arc<Watched>>>,
    /// When a hook has seen its file made (`wish`); 0 if none has.
    born: AtomicU64,
    /// Which file it is of, among those that have several numbers; 0 if it is of none.
    file: AtomicU64,
}

impl Entry {
    fn new() -> Self {
        Self { watched: SpinLock::new(None), born: AtomicU64::new(0), file: AtomicU64::new(0) }
    }

    /// Notes that the number is another file's from now on, or none's.
    #[inline]
    fn begin_anew(&self) {
        self.born.store(0, Ordering::Relaxed);
        self.file.store(0, Ordering::Relaxed);
    }

    /// Calls `visit` with what is watched, without the lock.
    fn visit(&self, visit: &mut impl FnMut(&Watched)) {
        let watched = self.lock().clone();
        if let Some(watched) = watched {
            visit(&watched);
        }
    }

    fn lock(&self) -> SpinGuard<'_, Option<Arc<Watched>>> {
        self.watched.lock()
    }
}

/// The entries, and the process whose numbers they are of.
struct Table {
    generation: Generation,
    process_id: i32,
    rows: Box<[OnceLock<Box<[Entry]>>]>,
}

/// Null before the first use: in a copy of the process as well, in which a plain thread has forked (`hook/forked.rs`). A table is never freed.
static TABLE: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());

/// The table, if it is in use.
#[inline]
fn table() -> Option<&'static Table> {
    // Acquire: pairs with the Release of who made it.
    // SAFETY: null, or a table that is never freed.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }
}

/// The table, which is made if there is none.
#[cold]
fn make_table() -> &'static Table {
    // Never on the stack, which may be as small as a thread's can be.
    let rows = (0..ROWS).map(|_| OnceLock::new()).collect();
    let made = Box::new(Table { generation: Generation::current(), process_id: fork::process_id(), rows });
    let made = Box::into_raw(made);
    // Release: pairs with the Acquire of those who find it.
    match TABLE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: it is never freed from now on.
        Ok(_) => unsafe { &*made },
        Err(other) => {
            // SAFETY: nobody has seen it.
            drop(unsafe { Box::from_raw(made) });
            // SAFETY: as of `table`.
            unsafe { &*other }
        }
    }
}

/// Leaves the table to the threads of the process that was copied, none of which is in the copy.
pub(super) fn begin_anew() {
    TABLE.store(ptr::null_mut(), Ordering::Relaxed);
}

/// The entry of a number, if its row exists. Numbers beyond the table are unknown.
#[inline]
fn peek(fd: RawFd) -> Option<&'static Entry> {
    let fd = usize::try_from(fd).ok()?;
    Some(&table()?.rows.get(fd / ROW)?.get()?[fd % ROW])
}

/// The entry of a number, whose row is made if it does not exist; `None` beyond the table.
fn entry(fd: RawFd) -> Option<&'static Entry> {
    let table = table().unwrap_or_else(make_table);
    let fd = usize::try_from(fd).ok()?;
    let row = table.rows.get(fd / ROW)?.get_or_init(|| (0..ROW).map(|_| Entry::new()).collect());
    Some(&row[fd % ROW])
}

/// What is known of a number.
#[inline]
pub(super) fn find(fd: RawFd) -> Option<Arc<Watched>> {
    peek(fd)?.lock().clone()
}

/// What is known of a number, or will be.
pub(super) fn watched(fd: RawFd) -> Arc<Watched> {
    // SAFETY: the number is only asked about.
    let is_stream = || socket::is_tcp_stream(unsafe { borrow(fd) });
    let make = |born| Arc::new(Watched::new(fd, is_stream(), born));
    let Some(entry) = entry(fd) else { return make(0) };
    if let Some(known) = &*entry.lock() {
        return Arc::clone(known);
    }
    // Relaxed: who has the number has it from whom it was born for.
    let made = make(entry.born.load(Ordering::Relaxed));
    Arc::clone(entry.lock().get_or_insert(made))
}

/// Calls `visit` for all that is known.
pub(super) fn for_each_watched(mut visit: impl FnMut(&Watched)) {
    entries().for_each(|entry| entry.visit(&mut visit));
}

/// Takes what is known of a number out of the table.
fn take(fd: RawFd) -> Option<Arc<Watched>> {
    let entry = peek(fd)?;
    let Table { generation, process_id, .. } = table()?;
    // A copy of the process, in which a fiber has forked, leaves the entries, and the locks, as they were copied.
    if !generation.is_current() {
        return None;
    }
    let mut entry = entry.lock();
    // A child of vfork(2) changes its own descriptors, and the memory of its parent.
    if entry.is_none() || *process_id != fork::process_id() {
        return None;
    }
    entry.take()
}

/// Forgets a number that has just become a new file's. If it was closed behind the runtime's back, calls that still wait for the old
/// file end in EBADF.
#[inline]
pub fn forget(fd: RawFd) {
    if let Some(entry) = peek(fd) {
        entry.begin_anew();
    }
    if let Some(old) = take(fd) {
        old.lose();
        if Arc::strong_count(&old) > 1 {
            old.source.wake_all(crate::park::wake);
        }
    }
}

/// [`forget`]s a number that is a new file's, which no other process has.
pub fn born(fd: RawFd) {
    if let Some(entry) = entry_of_new(fd) {
        entry.born.store(wish::birth(), Ordering::Relaxed);
    }
}

/// [`born`], of a connection that was accepted from `listener` after `moment`: it waits, unlike one with O_NONBLOCK, exec(2) closes it, and
/// whether its address is one of the internet's is known. So nothing has to be asked of the kernel when it is first waited for.
pub fn born_of_listener(listener: RawFd, fd: RawFd, moment: Moment, is_of_internet: bool) {
    let Some(entry) = entry_of_new(fd) else { return };
    entry.born.store(moment.birth, Ordering::Relaxed);
    let listener = find(listener);
    // It is of the listener's protocol. The number may be another file's by now: then the address tells.
    let is_stream = is_of_internet && listener.as_ref().is_some_and(|listener| listener.is_stream);
    let watched = Watched::new(fd, is_stream, moment.birth);
    watched.wish.waits_since(moment);
    if let Some(listener) = listener {
        watched.timeouts.follow(&listener.timeouts);
    }
    let watched = Arc::new(watched);
    entry.lock().get_or_insert(watched);
}

/// The entry of a number that is a new file's, of which it knows nothing any more.
fn entry_of_new(fd: RawFd) -> Option<&'static Entry> {
    forget(fd);
    // In a copy of the process, rows may be as they were copied, half made.
    let is_copy = table().is_some_and(|table| !table.generation.is_current());
    if is_copy { None } else { entry(fd) }
}

/// Notes that a number has become another one of the same file as `original`.
pub fn duplicated(original: RawFd, fd: RawFd) {
    /// The last file that got a second number.
    static FILES: AtomicU64 = AtomicU64::new(0);
    // Of a file whose birth nobody has seen nothing is kept.
    let Some(first) = peek(original).filter(|entry| entry.born.load(Ordering::Relaxed) != 0) else { return };
    // A child of vfork(2) has descriptors of its own, and the memory of its parent.
    let is_own = |table: &Table| table.generation.is_current() && table.process_id == fork::process_id();
    if !table().is_some_and(is_own) {
        return;
    }
    let new = FILES.fetch_add(1, Ordering::Relaxed) + 1;
    let file = match first.file.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => new,
        Err(known) => known,
    };
    if let Some(entry) = entry(fd) {
        entry.file.store(file, Ordering::Relaxed);
        entry.born.store(first.born.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Calls `visit` with what is known of the number, and of the others of its file.
pub(super) fn for_each_of_file(fd: RawFd, mut visit: impl FnMut(&Watched)) {
    let Some(entry) = peek(fd) else { return };
    match entry.file.load(Ordering::Relaxed) {
        0 => entry.visit(&mut visit),
        // A file with several numbers is seldom one of many: its numbers are not listed.
        file => {
            entries()
                .filter(|entry| entry.file.load(Ordering::Relaxed) == file)
                .for_each(|entry| entry.visit(&mut visit));
        }
    }
}

/// All entries whose rows exist.
fn entries() -> impl Iterator<Item = &'static Entry> {
    table().into_iter().flat_map(|table| &table.rows).filter_map(OnceLock::get).flatten()
}

/// Forgets a number that is about to be closed, or to become another file's. Calls that are under way go on with the file, as a thread's
/// do: for them it stays open.
#[inline]
pub fn close_under(fd: RawFd) {
    if let Some(entry) = peek(fd) {
        entry.begin_anew();
    }
    if let Some(old) = take(fd) {
        close_watched(fd, old);
    }
}

/// [`close_under`] for all numbers from `first` to `last`.
pub fn close_range_under(first: u32, last: u32) {
    let rows = table().into_iter().flat_map(|table| &table.rows);
    for row in rows.enumerate().filter_map(|(row, made)| made.get().map(|_| row)) {
        let numbers = row * ROW..(row + 1) * ROW;
        for fd in numbers.filter(|fd| (first as usize..=last as usize).contains(fd)) {
            close_under(fd as RawFd);
        }
    }
}

#[cold]
fn close_watched(fd: RawFd, old: Arc<Watched>) {
    match Arc::try_unwrap(old) {
        Ok(mut old) => {
            // SAFETY: the caller has not closed it yet.
            old.source.deregister(unsafe { borrow(fd) });
        }
        // The kernel watches the file under the old number as long as it is open.
        // SAFETY: as above.
        Err(old) => match unsafe { borrow(fd) }.try_clone_to_owned() {
            Ok(duplicate) => drop(old.moved.set(duplicate)),
            Err(_) => old.lose(),
        },
    }
}

/// Calls `f` while no other caller of this function does so for the same number: `f` looks whether a call would wait, and makes it. `None`
/// if the caller was cancelled before.
pub fn in_turn<R>(fd: RawFd, f: impl FnOnce() -> R) -> Option<R> {
    in_turn_of(&watched(fd).turn, f)
}
