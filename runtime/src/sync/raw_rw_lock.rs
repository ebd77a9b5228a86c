//! The readers-writer lock without its value: the word, the queues behind it, and the protocol between them.
//!
//! # The word
//!
//! | bits | set | cleared | means |
//! |---|---|---|---|
//! | `WRITER` | by whoever takes the lock to write, or by an unlocker on behalf of the one it hands over to | by the holder | a writer holds it |
//! | `WAITERS` | under the queues' lock, by one that joins a queue | under the queues' lock, when all are empty | whoever frees the lock must look at the queues |
//! | `WAKING` | under the queues' lock, by the unlocker that wakes a writer | by the woken one, when it has the lock or has joined the queue again | a woken writer is on its way: wake no other |
//! | `HAND_OVER` | under the queues' lock, by a writer that has lost for too long | under the queues' lock, when no such writer waits | nobody takes the lock but from an unlocker |
//! | the rest | by readers, and by unlockers on behalf of readers that waited | by readers | how many hold it to read |
//!
//! # The protocol
//!
//! *Read* adds one if neither `WRITER` nor `HAND_OVER` is set; *write* sets `WRITER` if nobody holds the lock and
//! `HAND_OVER` is not set. Who cannot spins briefly and joins its queue, under the queues' lock and only if the lock is
//! held in the same atomic operation that sets `WAITERS`. So whoever frees the lock comes after, and looks.
//!
//! *Patience.* A writer that waits lets others pass at first: it is only woken when the lock is free, and competes with
//! readers and writers that run (as in `raw_mutex`, and for the same reason: if each waiting writer sent the readers
//! that come into a queue, a lock that is contended once would hand over at every access from then on). One that has
//! lost for [`PATIENCE`], woken or not, goes over to the **impatient** and sets `HAND_OVER`: nobody passes any more, and
//! the lock is granted to it.
//!
//! *Phases.* When a writer leaves, all readers that wait by then are let in together, even if a writer has waited
//! longer. When the last reader leaves, the first writer is next, an impatient one if there is any. So neither kind
//! starves the other: a reader waits for at most the writers of one phase, and an impatient writer bars new readers.
//! Readers are granted the lock: their count is added before they are claimed. One for whom the count has no room is woken
//! without the lock, and panics as one that did not wait.
//!
//! An impatient writer that gives up (a cancellation) may leave readers that waited for nothing but it; it lets them in.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use crate::atomic::{AtomicU32, Backoff, Ordering, const_fn};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, SpinGuard, SpinLock, Woken};
use crate::park::wait_list::{self, End, WaitList};
use crate::queue::Hope;

const WRITER: u32 = 1;
const WAITERS: u32 = 1 << 1;
const WAKING: u32 = 1 << 2;
const HAND_OVER: u32 = 1 << 3;
const READER: u32 = 1 << 4;

/// Whatever holds the lock.
const HELD: u32 = WRITER | !(READER - 1);

/// Whether another reader can be counted: every place that adds one asks. (Guards that are forgotten stay counted.)
#[inline]
fn has_room(word: u32) -> bool {
    word <= u32::MAX - READER
}

/// How long a writer lets others pass before the lock is handed to it.
const PATIENCE: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(1) };

/// The pauses of a spin, in spin hints, with an attempt after each.
const SPIN: &[u32] = &[4, 8, 16, 32];

/// How many readers are let in under one hold of the queues' lock.
const BATCH: usize = 16;

/// What a waiter is given when its wait ends: `true` if the lock is already its own. Always so for a reader, unless there
/// are too many.
type Granted = bool;

/// Who waits for the lock, each kind in the order in which it came.
#[derive(Debug)]
struct Queues {
    readers: WaitList<Granted>,
    writers: WaitList<Granted>,
    /// The writers that have lost for too long: they came before those in `writers`.
    impatient: WaitList<Granted>,
}

impl Queues {
    const fn new() -> Self {
        Self { readers: WaitList::new(), writers: WaitList::new(), impatient: WaitList::new() }
    }

    fn readers(&mut self) -> &mut WaitList<Granted> {
        &mut self.readers
    }

    fn writers(&mut self) -> &mut WaitList<Granted> {
        &mut self.writers
    }

    fn impatient(&mut self) -> &mut WaitList<Granted> {
        &mut self.impatient
    }

    fn no_writer_waits(&self) -> bool {
        self.writers.is_empty() && self.impatient.is_empty()
    }

    /// Claims the first writer that still waits, an impatient one if there is any, and tells it that the lock is its own.
    fn grant_to_a_writer(&mut self) -> Option<Woken> {
        let granted = &mut true;
        let impatient = self.impatient.pop_front_exchanging(granted);
        impatient.or_else(|| self.writers.pop_front_exchanging(granted))
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RawRwLock {
    word: AtomicU32,
    hope: Hope<64>,
    queues: SpinLock<Queues>,
}

// Each change is whole before anything can panic: also for guards that refer to this, and not to the value's owner.
impl UnwindSafe for RawRwLock {}
impl RefUnwindSafe for RawRwLock {}

/// Whose turn it is when both kinds wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Readers,
    Writer,
}

impl RawRwLock {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { word: AtomicU32::new(0), hope: Hope::new(), queues: SpinLock::new(Queues::new()) }
        }
    }

    /// Takes the lock to read; unwinds if the fiber is cancelled while it waits.
    #[inline]
    pub(crate) fn read(&self) {
        // An attempt that expects nobody else: the load would cost a miss before the write's.
        let free = self.word.compare_exchange(0, READER, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() && !self.try_read() {
            self.read_contended();
        }
    }

    #[inline]
    pub(crate) fn try_read(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WRITER | HAND_OVER) == 0 {
            assert!(has_room(word), "too many readers");
            // Acquire: pairs with the Release of the writer that unlocked before.
            match self.word.compare_exchange_weak(word, word + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes the lock to write; unwinds if the fiber is cancelled while it waits.
    #[inline]
    pub(crate) fn write(&self) {
        if self.word.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.write_contended();
        }
    }

    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (HELD | HAND_OVER) == 0 {
            // Acquire: pairs with the Release of whoever unlocked before.
            match self.word.compare_exchange_weak(word, word | WRITER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Gives up a reader's hold.
    #[inline]
    pub(crate) fn unlock_read(&self) {
        // Release: pairs with the Acquire of the writer that comes next.
        let left = self.word.fetch_sub(READER, Ordering::Release) - READER;
        // A writer on its way will look itself, unless the lock is to be handed over.
        let is_ours = left & WAKING == 0 || left & HAND_OVER != 0;
        if left & (HELD | WAITERS) == WAITERS && is_ours {
            self.advance(Turn::Writer);
        }
    }

    /// Gives up the writer's hold.
    #[inline]
    pub(crate) fn unlock_write(&self) {
        // Release: pairs with the Acquire of whoever comes next.
        let left = self.word.fetch_sub(WRITER, Ordering::Release) - WRITER;
        if left & WAITERS != 0 {
            self.advance(Turn::Readers);
        }
    }

    /// Turns the writer's hold into a reader's, with nobody in between.
    pub(crate) fn downgrade(&self) {
        // Release: as in `unlock_write`.
        let left = self.word.fetch_add(READER - WRITER, Ordering::Release);
        if left & WAITERS != 0 {
            self.advance(Turn::Readers);
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
            match wait_list::wait(queues, Queues::readers, End::Back, false, Reason::RwLock, None, || ()) {
                (Outcome::Notified, true) => return,
                // There was no room for one more.
                (Outcome::Notified, false) => {}
                _ => park::unwind(),
            }
        }
    }

    /// Under the queues' lock: takes the lock to read if no writer has it or bars readers, else announces a waiting reader.
    /// Returns whether it was taken; `None` if there is no room for another reader, neither now nor later.
    fn join_readers(&self) -> Option<bool> {
        let mut word = self.word.load(Ordering::Relaxed);
        while has_room(word) {
            // A lock that is to be handed over is held, or the unlocker that does so waits for the queues' lock.
            let is_admitted = word & (WRITER | HAND_OVER) == 0;
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
        let (mut woken, mut end, mut patient_until) = (0, End::Back, None);
        loop {
            let is_impatient = patient_until.is_some_and(|until| Instant::now() >= until);
            let queues = self.queues.lock();
            if self.join_writers(woken, if is_impatient { HAND_OVER } else { 0 }) {
                return;
            }
            let until = *patient_until.get_or_insert_with(|| Instant::now() + PATIENCE);
            let (queue, deadline) = match is_impatient {
                true => (Queues::impatient as fn(&mut Queues) -> &mut WaitList<Granted>, None),
                false => (Queues::writers as _, Some(until)),
            };
            woken = 0;
            match wait_list::wait(queues, queue, end, false, Reason::RwLock, deadline, || ()) {
                (Outcome::Notified, true) => return,
                (Outcome::Notified, false) => {
                    (woken, end) = (WAKING, End::Front);
                    if self.try_write() || self.spin(Self::try_write) {
                        // Relaxed: the bit carries no data. Before our own unlock, so that it looks at the queues.
                        self.word.fetch_and(!WAKING, Ordering::Relaxed);
                        return;
                    }
                }
                // Behind those who lost their patience before.
                (Outcome::TimedOut, _) => end = End::Back,
                (Outcome::Cancelled, _) => {
                    // Readers may have waited for nothing but us.
                    self.advance(Turn::Writer);
                    park::unwind();
                }
            }
        }
    }

    /// Under the queues' lock: takes the lock to write if it is free, else announces a waiting writer. Gives up `woken`
    /// (nothing or `WAKING`) either way. Returns whether it was taken.
    fn join_writers(&self, woken: u32, hand_over: u32) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let free = word & (HELD | HAND_OVER) == 0;
            let joined = if free { WRITER } else { WAITERS | hand_over };
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

    /// Tries for about as long as it takes to park and be woken, if that has paid lately.
    fn spin(&self, attempt: fn(&Self) -> bool) -> bool {
        if !self.hope.says_spin() {
            return false;
        }
        let mut backoff = Backoff::new(SPIN);
        while !backoff.is_used_up() {
            backoff.pause();
            if attempt(self) {
                self.hope.confirm();
                return true;
            }
        }
        self.hope.disappoint();
        false
    }

    /// Lets in whoever can be let in; of a free lock for which both kinds wait, those whose `turn` it is.
    #[cold]
    fn advance(&self, turn: Turn) {
        loop {
            let queues = self.queues.lock();
            self.tidy(&queues);
            let word = self.word.load(Ordering::Relaxed);
            let (readers, writers) = (!queues.readers.is_empty(), !queues.no_writer_waits());
            let more = match word & HELD {
                0 if writers && (turn == Turn::Writer || !readers) => self.wake_a_writer(queues),
                0 if readers => self.let_readers_in(queues),
                // Held by readers: an impatient writer bars others, unless the holder was a writer until now.
                held if held & WRITER == 0 && readers && (word & HAND_OVER == 0 || turn == Turn::Readers) => {
                    self.let_readers_in(queues)
                }
                // Whoever holds it looks again.
                _ => false,
            };
            if !more {
                return;
            }
        }
    }

    /// Grants the lock to the first readers, unless a writer has taken it. Returns whether to look again.
    fn let_readers_in(&self, mut queues: SpinGuard<'_, Queues>) -> bool {
        let mut batch = [const { None::<Woken> }; BATCH];
        let mut count = 0;
        let mut in_vain = false;
        while count < BATCH && !queues.readers.is_empty() {
            let Some(is_admitted) = self.admit_reader() else { break };
            match queues.readers.pop_front_exchanging(&mut { is_admitted }) {
                Some(woken) => {
                    batch[count] = Some(woken);
                    count += 1;
                }
                // All that were left have given up. An unlock that saw our hold has left the queues to us.
                None if is_admitted => {
                    self.word.fetch_sub(READER, Ordering::Release);
                    in_vain = true;
                }
                None => {}
            }
        }
        let more = in_vain || (count == BATCH && !queues.readers.is_empty());
        self.tidy(&queues);
        drop(queues);
        batch[..count].iter_mut().filter_map(Option::take).for_each(park::wake);
        more
    }

    /// Adds a reader on behalf of one that waits; `None` if a writer has the lock, `false` if there is no room: the one that
    /// waits is to try again, and to panic.
    fn admit_reader(&self) -> Option<bool> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WRITER == 0 {
            if !has_room(word) {
                return Some(false);
            }
            // Acquire: the claim passes on what the writer before has published.
            match self.word.compare_exchange_weak(word, word + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(true),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Wakes the first writer to compete, or hands it the lock, unless somebody has taken it or another is on its way.
    /// Returns whether to look again.
    fn wake_a_writer(&self, mut queues: SpinGuard<'_, Queues>) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        if word & HELD != 0 {
            return false;
        }
        let woken = if word & HAND_OVER != 0 {
            // While the bit is set nobody takes the lock, and nobody clears it without the queues' lock.
            // Acquire: the claim passes on what the holder before has published.
            self.word.fetch_or(WRITER, Ordering::Acquire);
            let woken = queues.grant_to_a_writer();
            if woken.is_none() {
                self.word.fetch_and(!WRITER, Ordering::Release);
            }
            woken
        } else if word & WAKING != 0 {
            return false;
        } else {
            // Before the claim: the woken one may run, and clear the bit, at once.
            self.word.fetch_or(WAKING, Ordering::Relaxed);
            let woken = queues.writers.pop_front();
            if woken.is_none() {
                self.word.fetch_and(!WAKING, Ordering::Relaxed);
            }
            woken
        };
        self.tidy(&queues);
        drop(queues);
        match woken {
            Some(woken) => {
                park::wake(woken);
                false
            }
            None => true,
        }
    }

    /// Clears what the queues no longer justify.
    fn tidy(&self, queues: &Queues) {
        let mut done = 0;
        if queues.impatient.is_empty() {
            done |= HAND_OVER;
            if queues.writers.is_empty() && queues.readers.is_empty() {
                done |= WAITERS;
            }
        }
        // Only who holds the queues' lock sets these bits, so none that is there is missed.
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
