//! The readers-writer lock without its value: the word, the queues behind it, and the protocol between them.
//!
//! # The word
//!
//! | bits | set | cleared | means |
//! |---|---|---|---|
//! | `WRITER` | by the fiber or thread that takes the lock to write, or by an unlocker for the waiter that it hands off to | by the holder | a writer holds it |
//! | `WAITERS` | under the queues' lock, by a waiter that joins a queue | under the queues' lock, when all are empty | a fiber or thread that frees the lock must look at the queues |
//! | `WAKING` | under the queues' lock, by the unlocker that wakes a writer | by the woken writer, when it has the lock or has joined the queue again | a woken writer is on its way: wake no other |
//! | `HANDOFF` | under the queues' lock, by a starving writer | under the queues' lock, when no starving writer waits | the lock is only granted by an unlocker |
//! | the rest | by readers, and by unlockers for readers that waited | by readers | the number of readers that hold it |
//!
//! # The protocol
//!
//! *Read* adds one reader if neither `WRITER` nor `HANDOFF` is set. *Write* sets `WRITER` if the lock is not held and
//! `HANDOFF` is not set. A caller that fails spins briefly, and then joins its queue: under the queues' lock, and only if
//! the lock is held in the same atomic operation that sets `WAITERS`. So the fiber or thread that frees the lock comes
//! after, and looks at the queues.
//!
//! *Starvation.* A writer that waits lets others pass at first: it is only woken when the lock is free, and competes with
//! running readers and writers. (As in `raw_mutex`, and for the same reason: if each waiting writer sent new readers
//! into a queue, a lock that is contended once would be handed off at every access from then on.) A writer that has
//! lost for [`STARVATION_THRESHOLD`], woken or not, moves to the **starving** writers and sets `HANDOFF`: now no one
//! passes, and the lock is granted to it.
//!
//! *Phases.* When a writer leaves, all readers that wait by then are let in together, even if a writer has waited
//! longer. When the last reader leaves, the first writer is next, a starving one if there is any. So neither kind
//! starves the other: a reader waits for at most the writers of one phase, and a starving writer bars new readers.
//! Readers are granted the lock: they are added to the count before they are claimed. If the count has no room for a
//! reader, that reader is woken without the lock, and panics as a reader that did not wait.
//!
//! A starving writer that gives up (a cancellation) may leave readers that waited only for it; it lets them in.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::atomic::{AtomicU32, Backoff, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::holder::Holder;
use crate::park::primitive::{self as park, Cost, SpinGuard, SpinLock, Wakeup};
use crate::park::wait_list::{self, End, WaitList};
use crate::queue::AdaptiveSpin;

const WRITER: u32 = 1;
const WAITERS: u32 = 1 << 1;
const WAKING: u32 = 1 << 2;
const HANDOFF: u32 = 1 << 3;
const READER: u32 = 1 << 4;

/// The bits of all holders: a writer and the readers.
const HELD: u32 = WRITER | !(READER - 1);

/// Whether another reader can be counted. Every function that adds one checks this. (Guards that are forgotten stay counted.)
#[inline]
fn has_room(word: u32) -> bool {
    word <= u32::MAX - READER
}

/// How long a writer lets others pass before the lock is handed to it.
const STARVATION_THRESHOLD: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(1) };

/// The pauses of a spin, in spin hints, with an attempt after each.
const SPIN: &[u32] = &[4, 8, 16, 32];

/// Number of readers that are let in under one hold of the queues' lock.
const BATCH: usize = 16;

/// The result that a waiter is given when its wait ends: `true` if it already holds the lock. Always `true` for a reader,
/// unless there are too many readers.
type Granted = bool;

/// The waiters, each kind in the order in which they came.
#[derive(Debug)]
struct Queues {
    readers: WaitList<Granted>,
    writers: WaitList<Granted>,
    /// The writers that have lost for too long. They came before those in `writers`.
    starving: WaitList<Granted>,
}

impl Queues {
    const fn new() -> Self {
        Self { readers: WaitList::new(), writers: WaitList::new(), starving: WaitList::new() }
    }

    fn readers(&mut self) -> &mut WaitList<Granted> {
        &mut self.readers
    }

    fn writers(&mut self) -> &mut WaitList<Granted> {
        &mut self.writers
    }

    fn starving(&mut self) -> &mut WaitList<Granted> {
        &mut self.starving
    }

    fn has_no_writer(&self) -> bool {
        self.writers.is_empty() && self.starving.is_empty()
    }

    /// Claims the first writer that still waits, a starving one if there is any, and tells it that it holds the lock.
    fn grant_to_writer(&mut self) -> Option<Wakeup> {
        let granted = &mut true;
        let starving = self.starving.pop_front_exchanging(granted);
        starving.or_else(|| self.writers.pop_front_exchanging(granted))
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RawRwLock {
    word: AtomicU32,
    spin: AdaptiveSpin<64>,
    /// The writer.
    holder: Holder,
    queues: SpinLock<Queues>,
}

// Each change is complete before anything can panic. Guards refer to this, and not to the owner of the value, so they
// need this as well.
impl UnwindSafe for RawRwLock {}
impl RefUnwindSafe for RawRwLock {}

/// Who is next when both kinds wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Readers,
    Writer,
}

impl RawRwLock {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self {
                word: AtomicU32::new(0),
                spin: AdaptiveSpin::new(),
                holder: Holder::new(),
                queues: SpinLock::new(Queues::new()),
            }
        }
    }

    /// Takes the lock to read, and spends. Unwinds if the fiber is cancelled while it waits.
    #[inline]
    pub(crate) fn read(&self) {
        // This attempt expects a free lock: a load first would cost a cache miss before that of the write.
        if self.word.compare_exchange(0, READER, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return park::spend_locked(Cost::Wait, || self.unlock_read(), || self.read_contended());
        }
        park::spend(Cost::Wait);
        if !self.try_read() {
            self.read_contended();
        }
    }

    #[inline]
    pub(crate) fn try_read(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WRITER | HANDOFF) == 0 {
            assert!(has_room(word), "too many readers");
            // Acquire: pairs with the Release of the writer that unlocked before.
            match self.word.compare_exchange_weak(word, word + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes the lock to write, and spends. Unwinds if the fiber is cancelled while it waits.
    #[inline]
    pub(crate) fn write(&self) {
        if self.word.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            park::spend_locked(Cost::Wait, || self.unlock_write(), || self.write_contended());
        } else {
            park::spend(Cost::Wait);
            self.write_contended();
        }
        self.holder.note();
    }

    /// An address on the stack of the fiber or thread that holds the lock to write, as of late, and the number of readers.
    pub(crate) fn holders(&self) -> (Option<usize>, usize) {
        let word = self.word.load(Ordering::Relaxed);
        let writer = if word & WRITER == 0 { None } else { self.holder.address() };
        (writer, (word / READER) as usize)
    }

    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (HELD | HANDOFF) == 0 {
            // Acquire: pairs with the Release of the holder that unlocked before.
            match self.word.compare_exchange_weak(word, word | WRITER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    self.holder.note();
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    /// Releases a reader's lock.
    #[inline]
    pub(crate) fn unlock_read(&self) {
        // Release: pairs with the Acquire of the writer that comes next.
        let left = self.word.fetch_sub(READER, Ordering::Release) - READER;
        // A writer that is on its way will look itself, unless the lock must be handed off.
        let is_ours = left & WAKING == 0 || left & HANDOFF != 0;
        if left & (HELD | WAITERS) == WAITERS && is_ours {
            self.advance(Next::Writer);
        }
    }

    /// Releases the writer's lock.
    #[inline]
    pub(crate) fn unlock_write(&self) {
        // Release: pairs with the Acquire of the next holder.
        let left = self.word.fetch_sub(WRITER, Ordering::Release) - WRITER;
        if left & WAITERS != 0 {
            self.advance(Next::Readers);
        }
    }

    /// Turns the writer's lock into a reader's. No other writer gets in between.
    pub(crate) fn downgrade(&self) {
        // Release: as in `unlock_write`.
        let left = self.word.fetch_add(READER - WRITER, Ordering::Release);
        if left & WAITERS != 0 {
            self.advance(Next::Readers);
        }
    }

    #[cold]
    fn read_contended(&self) {
        if self.spin(Self::try_read) {
            return;
        }
        loop {
            let queues = self.queues.lock();
            let Some(is_admitted) = self.join_readers() else {
                drop(queues);
                panic!("too many readers");
            };
            if is_admitted {
                return;
            }
            match wait_list::wait(
                queues,
                Queues::readers,
                End::Back,
                false,
                Reason::RwLock.of(self),
                None,
                || (),
            ) {
                (Outcome::Notified, true) => return,
                // There was no room for one more.
                (Outcome::Notified, false) => {}
                _ => park::unwind(),
            }
        }
    }

    /// Under the queues' lock: takes the lock to read if no writer has it or bars readers, else sets `WAITERS`.
    /// Returns whether it was taken; `None` if there is no room for another reader, neither now nor later.
    fn join_readers(&self) -> Option<bool> {
        let mut word = self.word.load(Ordering::Relaxed);
        while has_room(word) {
            // While `HANDOFF` is set the lock is held, or the unlocker that will hand it off waits for the queues' lock.
            let is_admitted = word & (WRITER | HANDOFF) == 0;
            let to = if is_admitted { word + READER } else { word | WAITERS };
            // Acquire: as in `try_read`.
            match self.word.compare_exchange_weak(word, to, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(is_admitted),
                Err(now) => word = now,
            }
        }
        None
    }

    #[cold]
    fn write_contended(&self) {
        if self.try_write() || self.spin(Self::try_write) {
            return;
        }
        let (mut woken, mut end, mut starves_at) = (0, End::Back, None);
        loop {
            let is_starving = starves_at.is_some_and(|at| Instant::now() >= at);
            let queues = self.queues.lock();
            if self.join_writers(woken, if is_starving { HANDOFF } else { 0 }) {
                return;
            }
            let at = *starves_at.get_or_insert_with(|| Instant::now() + STARVATION_THRESHOLD);
            let (queue, deadline) = match is_starving {
                true => (Queues::starving as fn(&mut Queues) -> &mut WaitList<Granted>, None),
                false => (Queues::writers as _, Some(at)),
            };
            woken = 0;
            match wait_list::wait(queues, queue, end, false, Reason::RwLock.of(self), deadline, || ()) {
                (Outcome::Notified, true) => return,
                (Outcome::Notified, false) => {
                    (woken, end) = (WAKING, End::Front);
                    if self.try_write() || self.spin(Self::try_write) {
                        // Relaxed: the bit carries no data. Cleared before our own unlock, so that it looks at the queues.
                        self.word.fetch_and(!WAKING, Ordering::Relaxed);
                        return;
                    }
                }
                // Behind the writers that began to starve before.
                (Outcome::TimedOut, _) => end = End::Back,
                (Outcome::Cancelled, _) => {
                    // Readers may have waited only for this writer.
                    self.advance(Next::Writer);
                    park::unwind();
                }
            }
        }
    }

    /// Under the queues' lock: takes the lock to write if it is free, else sets `WAITERS` and `handoff`. Clears `woken`
    /// (nothing or `WAKING`) either way. Returns whether the lock was taken.
    fn join_writers(&self, woken: u32, handoff: u32) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let free = word & (HELD | HANDOFF) == 0;
            let joined = if free { WRITER } else { WAITERS | handoff };
            // Acquire: as in `try_write`.
            match self.word.compare_exchange_weak(
                word,
                (word & !woken) | joined,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return free,
                Err(now) => word = now,
            }
        }
    }

    /// Tries for about as long as parking and being woken takes, if that has paid lately.
    fn spin(&self, try_lock: fn(&Self) -> bool) -> bool {
        if !self.spin.should_spin() {
            return false;
        }
        let mut backoff = Backoff::new(SPIN);
        while !backoff.is_used_up() {
            backoff.pause();
            if try_lock(self) {
                self.spin.succeeded();
                return true;
            }
        }
        self.spin.failed();
        false
    }

    /// Lets in the waiters that can be let in. If the lock is free and both kinds wait, `next` decides.
    #[cold]
    fn advance(&self, next: Next) {
        loop {
            let queues = self.queues.lock();
            self.clear_stale_bits(&queues);
            let word = self.word.load(Ordering::Relaxed);
            let (readers, writers) = (!queues.readers.is_empty(), !queues.has_no_writer());
            let more = match word & HELD {
                0 if writers && (next == Next::Writer || !readers) => self.wake_writer(queues),
                0 if readers => self.admit_readers(queues),
                // Held by readers: a starving writer bars others, unless the holder was a writer until now.
                held if held & WRITER == 0 && readers && (word & HANDOFF == 0 || next == Next::Readers) => {
                    self.admit_readers(queues)
                }
                // The holder looks again when it unlocks.
                _ => false,
            };
            if !more {
                return;
            }
        }
    }

    /// Grants the lock to the first readers, unless a writer has taken it. Returns whether to look again.
    fn admit_readers(&self, mut queues: SpinGuard<'_, Queues>) -> bool {
        let mut batch = [const { None::<Wakeup> }; BATCH];
        let mut count = 0;
        let mut in_vain = false;
        while count < BATCH && !queues.readers.is_empty() {
            let Some(is_admitted) = self.admit_reader() else { break };
            match queues.readers.pop_front_exchanging(&mut { is_admitted }) {
                Some(woken) => {
                    batch[count] = Some(woken);
                    count += 1;
                }
                // All waiters that were left have given up. An unlock that saw our count has left the queues to us.
                None if is_admitted => {
                    self.word.fetch_sub(READER, Ordering::Release);
                    in_vain = true;
                }
                None => {}
            }
        }
        let more = in_vain || (count == BATCH && !queues.readers.is_empty());
        self.clear_stale_bits(&queues);
        drop(queues);
        batch[..count].iter_mut().filter_map(Option::take).for_each(park::wake);
        more
    }

    /// Adds a reader for a waiter. `None`: a writer has the lock. `false`: there is no room, so the waiter must try again,
    /// and will panic.
    fn admit_reader(&self) -> Option<bool> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WRITER == 0 {
            if !has_room(word) {
                return Some(false);
            }
            // Acquire: the claim passes on what the last writer has published.
            match self.word.compare_exchange_weak(word, word + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(true),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Wakes the first writer to compete, or hands it the lock, unless the lock was taken or another writer is on its way.
    /// Returns whether to look again.
    fn wake_writer(&self, mut queues: SpinGuard<'_, Queues>) -> bool {
        self.holder.forget();
        let word = self.word.load(Ordering::Relaxed);
        if word & HELD != 0 {
            return false;
        }
        let woken = if word & HANDOFF != 0 {
            // While the bit is set no one takes the lock, and it is cleared only under the queues' lock.
            // Acquire: the claim passes on what the last holder has published.
            self.word.fetch_or(WRITER, Ordering::Acquire);
            let woken = queues.grant_to_writer();
            if woken.is_none() {
                self.word.fetch_and(!WRITER, Ordering::Release);
            }
            woken
        } else if word & WAKING != 0 {
            return false;
        } else {
            // Before the claim: the woken writer may run at once, and clear the bit.
            self.word.fetch_or(WAKING, Ordering::Relaxed);
            let woken = queues.writers.pop_front();
            if woken.is_none() {
                self.word.fetch_and(!WAKING, Ordering::Relaxed);
            }
            woken
        };
        self.clear_stale_bits(&queues);
        drop(queues);
        match woken {
            Some(woken) => {
                park::wake(woken);
                false
            }
            None => true,
        }
    }

    /// Clears the bits that the queues no longer justify.
    fn clear_stale_bits(&self, queues: &Queues) {
        let mut done = 0;
        if queues.starving.is_empty() {
            done |= HANDOFF;
            if queues.writers.is_empty() && queues.readers.is_empty() {
                done |= WAITERS;
            }
        }
        // These bits are set only under the queues' lock, so none is missed.
        if self.word.load(Ordering::Relaxed) & done != 0 {
            self.word.fetch_and(!done, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, loom))]
#[path = "model_rw_lock.rs"]
mod model;

#[cfg(all(test, not(loom)))]
#[path = "tests_rw_lock.rs"]
mod tests;
