//! The readers-writer lock without its value: the word, the two queues behind it, and the protocol between them.
//!
//! # The word
//!
//! | bits | set | cleared | means |
//! |---|---|---|---|
//! | `WRITER` | by whoever takes the lock to write, or by an unlocker on behalf of the one it hands over to | by the holder | a writer holds it |
//! | `WAITERS` | under the queues' lock, by one that joins a queue | under the queues' lock, when both are empty | whoever frees the lock must look at the queues |
//! | `BARRED` | under the queues' lock, while a writer waits | likewise | new readers join the queue |
//! | `WAKING` | under the queues' lock, by the unlocker that wakes a writer | by the woken one, when it has the lock or has joined the queue again | a woken writer is on its way: wake no other |
//! | `HAND_OVER` | under the queues' lock, by a woken writer that lost for too long | by the unlocker that hands over | nobody takes the lock but from an unlocker |
//! | the rest | by readers, and by unlockers on behalf of readers that waited | by readers | how many hold it to read |
//!
//! # The protocol
//!
//! *Read* adds one if neither `WRITER` nor `BARRED` nor `HAND_OVER` is set; *write* sets `WRITER` if nobody holds the lock
//! and `HAND_OVER` is not set. Who cannot spins briefly and joins its queue, under the queues' lock and only if the lock
//! is held in the same atomic operation that sets `WAITERS`. So whoever frees the lock comes after, and looks.
//!
//! *Phases.* When a writer leaves, all readers that wait by then are let in together, even if a writer has waited
//! longer. When the last reader leaves, the first writer is next. So neither kind starves the other: a reader waits for
//! at most the writers of one phase, and a waiting writer bars new readers. Readers are **granted** the lock: their count is
//! added before they are claimed. A writer is only woken, and competes with writers that run (as in `raw_mutex`, and
//! for the same reason); one that has lost for [`PATIENCE`] sets `HAND_OVER` and is granted the lock as well.
//!
//! A writer that gives up (a cancellation) may leave readers that waited for nothing but it; it lets them in.

use std::time::{Duration, Instant};

use super::parking::{self, SpinGuard, SpinLock, Woken};
use super::wait_list::{self, End, WaitList};
use crate::atomic::{AtomicU32, Ordering, spin_loop};
use crate::fiber::{Outcome, Reason};
use crate::queue::Hope;

const WRITER: u32 = 1;
const WAITERS: u32 = 1 << 1;
const BARRED: u32 = 1 << 2;
const WAKING: u32 = 1 << 3;
const HAND_OVER: u32 = 1 << 4;
const READER: u32 = 1 << 5;

/// Whatever holds the lock.
const HELD: u32 = WRITER | !(READER - 1);

/// How long a writer loses to those who barge before the lock is handed to it.
const PATIENCE: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(1) };

/// The pauses of a spin, in spin hints, with an attempt after each.
const SPIN: &[u32] = if cfg!(loom) { &[] } else { &[4, 8, 16, 32] };

/// How many readers are let in under one hold of the queues' lock.
const BATCH: usize = 16;

/// What a waiter is given when its wait ends: `true` if the lock is already its own. Always so for a reader.
type Granted = bool;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RawRwLock {
    word: AtomicU32,
    hope: Hope<64>,
    queues: SpinLock<Queues>,
}

#[derive(Debug)]
struct Queues {
    readers: WaitList<Granted>,
    writers: WaitList<Granted>,
}

impl Queues {
    fn readers(&mut self) -> &mut WaitList<Granted> {
        &mut self.readers
    }

    fn writers(&mut self) -> &mut WaitList<Granted> {
        &mut self.writers
    }
}

/// Whose turn it is when both kinds wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Readers,
    Writer,
}

impl RawRwLock {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        let queues = Queues { readers: WaitList::new(), writers: WaitList::new() };
        Self { word: AtomicU32::new(0), hope: Hope::new(), queues: SpinLock::new(queues) }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        let queues = Queues { readers: WaitList::new(), writers: WaitList::new() };
        Self { word: AtomicU32::new(0), hope: Hope::new(), queues: SpinLock::new(queues) }
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
        while word & (WRITER | BARRED | HAND_OVER) == 0 {
            assert!(word <= u32::MAX - READER, "too many readers");
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
        if left & (HELD | WAITERS | WAKING) == WAITERS {
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
        let queues = self.queues.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // A lock that nobody holds has no unlock to come that would wake us. (If it is being handed over, the
            // unlocker that does so waits for the queues' lock.)
            let admitted = word & (WRITER | BARRED | HAND_OVER) == 0 || word & (HELD | HAND_OVER) == 0;
            let to = if admitted { word + READER } else { word | WAITERS };
            // Acquire: as in `try_read`.
            match self.word.compare_exchange_weak(word, to, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) if admitted => return,
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        let end = wait_list::wait(queues, Queues::readers, End::Back, false, Reason::RwLock, None, || ());
        if end.0 != Outcome::Notified {
            parking::unwind();
        }
    }

    #[cold]
    fn write_contended(&self) {
        if self.try_write() || self.spin(Self::try_write) {
            return;
        }
        let (mut woken, mut end, mut since) = (0, End::Back, None);
        loop {
            let impatient = woken != 0 && since.is_some_and(|since: Instant| since.elapsed() >= PATIENCE);
            let queues = self.queues.lock();
            if self.join_writers(woken, if impatient { HAND_OVER } else { 0 }) {
                return;
            }
            since.get_or_insert_with(Instant::now);
            match wait_list::wait(queues, Queues::writers, end, false, Reason::RwLock, None, || ()) {
                (Outcome::Notified, true) => return,
                (Outcome::Notified, false) => {
                    (woken, end) = (WAKING, End::Front);
                    if self.try_write() || self.spin(Self::try_write) {
                        // Relaxed: the bit carries no data. Before our own unlock, so that it looks at the queues.
                        self.word.fetch_and(!WAKING, Ordering::Relaxed);
                        return;
                    }
                }
                (Outcome::TimedOut | Outcome::Cancelled, _) => {
                    if impatient {
                        // Under the lock, as who hands over relies on the bit.
                        let _queues = self.queues.lock();
                        self.word.fetch_and(!HAND_OVER, Ordering::Relaxed);
                    }
                    // Readers may have waited for nothing but us.
                    self.advance(Turn::Writer);
                    parking::unwind();
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
            let joined = if free { WRITER } else { WAITERS | BARRED | hand_over };
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
        for hints in SPIN {
            (0..*hints).for_each(|_| spin_loop());
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
            let word = self.word.load(Ordering::Relaxed);
            let (readers, writers) = (!queues.readers.is_empty(), !queues.writers.is_empty());
            let writers_turn = turn == Turn::Writer || word & HAND_OVER != 0;
            let more = match word & HELD {
                0 if writers && (writers_turn || !readers) => self.wake_a_writer(queues),
                0 if readers => self.let_readers_in(queues),
                // Held by readers: waiting writers bar others, unless the holder was a writer until now.
                held if held & WRITER == 0 && readers && (!writers || turn == Turn::Readers) => {
                    self.let_readers_in(queues)
                }
                // Whoever holds it looks again.
                _ => {
                    self.tidy(&queues);
                    false
                }
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
        while count < BATCH && !queues.readers.is_empty() && self.admit_reader() {
            match queues.readers.pop_front_exchanging(&mut true) {
                Some(woken) => {
                    batch[count] = Some(woken);
                    count += 1;
                }
                // All that were left have given up. An unlock that saw our hold has left the queues to us.
                None => {
                    self.word.fetch_sub(READER, Ordering::Release);
                    in_vain = true;
                }
            }
        }
        let more = in_vain || (count == BATCH && !queues.readers.is_empty());
        self.tidy(&queues);
        drop(queues);
        batch[..count].iter_mut().filter_map(Option::take).for_each(parking::wake);
        more
    }

    /// Adds a reader on behalf of one that waits.
    fn admit_reader(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WRITER == 0 {
            // Acquire: the claim passes on what the writer before has published.
            match self.word.compare_exchange_weak(word, word + READER, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Wakes the first writer to compete, or hands it the lock, unless somebody has taken it or another is on its way.
    /// Returns whether to look again.
    fn wake_a_writer(&self, mut queues: SpinGuard<'_, Queues>) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        if word & (HELD | WAKING) != 0 {
            return false;
        }
        let woken = if word & HAND_OVER != 0 {
            // While the bit is set nobody takes the lock, and only we, with the queues' lock, clear it.
            // Acquire: the claim passes on what the holder before has published.
            self.word.fetch_xor(HAND_OVER | WRITER, Ordering::Acquire);
            let woken = queues.writers.pop_front_exchanging(&mut true);
            if woken.is_none() {
                self.word.fetch_and(!WRITER, Ordering::Release);
            }
            woken
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
                parking::wake(woken);
                false
            }
            None => true,
        }
    }

    /// Clears what the queues no longer justify.
    fn tidy(&self, queues: &Queues) {
        let mut done = 0;
        if queues.writers.is_empty() {
            done |= BARRED | HAND_OVER;
            if queues.readers.is_empty() {
                done |= WAITERS;
            }
        }
        if done != 0 {
            self.word.fetch_and(!done, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, loom))]
#[path = "model_rw_lock.rs"]
mod model;
