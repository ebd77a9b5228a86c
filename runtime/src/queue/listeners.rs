//! Threads that wait in the kernel for what others put down, and are told of it by a signal that ends the wait.
//!
//! A thread takes a place, then looks for what it wants, and then waits. Who puts something down looks at the places afterwards: either the
//! thread finds it, or it is told. The signal stays pending until the thread waits, so it may be sent before that.
//!
//! When a thread has left its place no signal comes any more: one that is about to be sent is waited for. A handler of a signal may be on either
//! side, in the middle of any code. So there is no lock, and no memory is asked for.
//!
//! ```text
//!           listen                  tell                    tell: the signal is sent
//!   EMPTY ─────────▶ LISTENING ───────────▶ TELLING ──────────────────────────────▶ TOLD
//!     ▲  ◀──────────     ▲  ◀──────────────────────────────────────────────────────── │
//!     │     leave                              listen_again                           │
//!     └───────────────────────────────────────────────────────────────────────────────┘
//!                           leave: there is a signal to take
//! ```

#![cfg_attr(loom, expect(unreachable_pub, reason = "the hooks export it, which the models do without"))]

use crate::atomic::{AtomicU64, Ordering, const_fn, fence, thread_yield};

/// Nobody's.
const EMPTY: u64 = 0;
/// A thread is about to write what it wants.
const ENTERING: u64 = 1 << 32;
/// The thread waits, or is about to look.
const LISTENING: u64 = 2 << 32;
/// Somebody is about to send the signal.
const TELLING: u64 = 3 << 32;
/// The signal was sent, and the thread has not listened again.
const TOLD: u64 = 4 << 32;

/// The lower half of a place's word is the thread's number.
const PHASE: u64 = !(u32::MAX as u64);

#[derive(Debug)]
struct Entry {
    /// A phase, and the thread.
    word: AtomicU64,
    /// The bits that the thread waits for.
    wanted: AtomicU64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Listeners<const PLACES: usize> {
    places: [Entry; PLACES],
}

/// What has become of a signal to a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is pending, or has come.
    Done,
    /// There is no such thread: it has ended in its place.
    NoThread,
    /// The kernel keeps no more.
    NoRoom,
}

/// A thread's place.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    place: usize,
    thread: u32,
}

impl Listening {
    fn word(self, phase: u64) -> u64 {
        phase | u64::from(self.thread)
    }
}

impl Entry {
    const_fn! {
        const fn new() -> Self {
            Self { word: AtomicU64::new(EMPTY), wanted: AtomicU64::new(0) }
        }
    }

    fn change(&self, from: u64, to: u64) -> Result<u64, u64> {
        // Acquire, Release: what is written to a place is its owner's of the moment.
        self.word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// The word, once nobody is about to send a signal to this thread.
    fn settled(&self, thread: Listening) -> u64 {
        loop {
            match self.word.load(Ordering::Acquire) {
                word if word == thread.word(TELLING) => thread_yield(),
                word => return word,
            }
        }
    }
}

impl<const PLACES: usize> Default for Listeners<PLACES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const PLACES: usize> Listeners<PLACES> {
    /// Nobody listens.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { places: [const { Entry::new() }; PLACES] }
    }

    #[cfg(loom)]
    pub fn new() -> Self {
        Self { places: std::array::from_fn(|_| Entry::new()) }
    }

    /// Takes a place for the calling thread, whose number in the kernel this is; `None` if there is none. The caller then looks for what it wants,
    /// a bit each, and waits if there is nothing.
    pub fn listen(&self, thread: u32, wanted: u64) -> Option<Listening> {
        let listening = |(index, place): (usize, &Entry)| {
            let listening = Listening { place: index, thread };
            place.change(EMPTY, listening.word(ENTERING)).ok()?;
            place.wanted.store(wanted, Ordering::Relaxed);
            place.word.store(listening.word(LISTENING), Ordering::Release);
            Some(listening)
        };
        let listening = self.places.iter().enumerate().find_map(listening)?;
        // Pairs with the fence in `tell`: this thread sees what was put down, or the other one sees it here.
        fence(Ordering::SeqCst);
        Some(listening)
    }

    /// Whether the thread was told since it has listened.
    #[must_use]
    pub fn was_told(&self, listening: Listening) -> bool {
        let word = self.places[listening.place].word.load(Ordering::Acquire);
        word == listening.word(TELLING) || word == listening.word(TOLD)
    }

    /// The signal, if one was sent, has ended the wait: the caller looks again.
    pub fn listen_again(&self, listening: Listening) {
        let place = &self.places[listening.place];
        if place.settled(listening) == listening.word(TOLD) {
            place.word.store(listening.word(LISTENING), Ordering::Release);
        }
        // As in `listen`.
        fence(Ordering::SeqCst);
    }

    /// Leaves the place. Whether the thread was told: then there may be a signal to take, and what it was told of, and has not taken, is to be told
    /// to somebody else. No signal comes when this has returned.
    pub fn leave(&self, listening: Listening) -> bool {
        let place = &self.places[listening.place];
        loop {
            match place.settled(listening) {
                word if word == listening.word(LISTENING) => {
                    if place.change(word, EMPTY).is_ok() {
                        return false;
                    }
                }
                word if word == listening.word(TOLD) => {
                    place.word.store(EMPTY, Ordering::Release);
                    // As in `listen`: who has seen it told relies on the look that follows.
                    fence(Ordering::SeqCst);
                    return true;
                }
                // In a copy by fork(2) the place is nobody's.
                _ => return false,
            }
        }
    }

    /// The calling thread, which ends, leaves all places that it has. Whether it was told.
    pub fn leave_all(&self, thread: u32) -> bool {
        let mut was_told = false;
        for (index, place) in self.places.iter().enumerate() {
            let word = place.word.load(Ordering::Relaxed);
            if word != EMPTY && word & !PHASE == u64::from(thread) {
                was_told |= self.leave(Listening { place: index, thread });
            }
        }
        was_told
    }

    /// Tells one thread that waits for one of these bits, which the caller has put down, by `signal`. Whether there was one, or one was told before
    /// and has not looked since.
    pub fn tell(&self, bits: u64, signal: impl Fn(u32) -> Sent) -> bool {
        // See `listen`.
        fence(Ordering::SeqCst);
        for place in &self.places {
            let mut word = place.word.load(Ordering::Acquire);
            while matches!(word & PHASE, LISTENING | TELLING | TOLD)
                && place.wanted.load(Ordering::Relaxed) & bits != 0
            {
                let thread = word as u32;
                if word & PHASE != LISTENING {
                    return true;
                }
                match place.change(word, TELLING | u64::from(thread)) {
                    Ok(_) => {
                        let sent = signal(thread);
                        let next = match sent {
                            Sent::Done => TOLD | u64::from(thread),
                            Sent::NoThread => EMPTY,
                            Sent::NoRoom => word,
                        };
                        place.word.store(next, Ordering::Release);
                        if sent == Sent::Done {
                            return true;
                        }
                        break;
                    }
                    Err(now) => word = now,
                }
            }
        }
        false
    }

    /// Nobody listens: in a copy by fork(2), whose only thread is the caller.
    pub fn begin_anew(&self) {
        self.places.iter().for_each(|place| place.word.store(EMPTY, Ordering::Relaxed));
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of one that listens with others that put something down: it is taken, or somebody knows that it is there; and no signal
    //! is left.

    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    struct World {
        listeners: Listeners<1>,
        /// What was put down.
        bits: AtomicU64,
        /// The signals that are pending for the thread.
        signals: (Mutex<u32>, Condvar),
        /// The bits of which those who have put them down say that nobody listens.
        unheard: AtomicU64,
    }

    impl World {
        fn new() -> Arc<Self> {
            let signals = (Mutex::new(0), Condvar::new());
            let [bits, unheard] = [0, 0].map(AtomicU64::new);
            Arc::new(Self { listeners: Listeners::new(), bits, signals, unheard })
        }

        fn put(&self, bit: u64) {
            self.bits.fetch_or(bit, Ordering::Relaxed);
            let is_told = self.listeners.tell(bit, |thread| {
                assert_eq!(thread, 7);
                *self.signals.0.lock().unwrap() += 1;
                self.signals.1.notify_one();
                Sent::Done
            });
            if !is_told {
                self.unheard.fetch_or(bit, Ordering::Relaxed);
            }
        }

        /// Waits in the kernel until a signal comes, and takes it.
        fn wait(&self) {
            let mut signals = self.signals.0.lock().unwrap();
            while *signals == 0 {
                signals = self.signals.1.wait(signals).unwrap();
            }
            *signals -= 1;
        }

        fn take(&self, wanted: u64) -> u64 {
            self.bits.fetch_and(!wanted, Ordering::Relaxed) & wanted
        }
    }

    fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }

    #[test]
    fn model_who_listens_finds_it_or_is_told() {
        check(3, || {
            let world = World::new();
            let other = thread::spawn({
                let world = world.clone();
                move || world.put(1)
            });
            let listening = world.listeners.listen(7, 1).unwrap();
            while world.take(1) == 0 {
                world.wait();
                world.listeners.listen_again(listening);
            }
            world.listeners.leave(listening);
            other.join().unwrap();
        });
    }

    #[test]
    fn model_who_leaves_has_all_signals_and_passes_on_what_it_was_told_of() {
        check(2, || {
            let world = World::new();
            let others: Vec<_> = [1, 2]
                .map(|bit| {
                    let world = world.clone();
                    thread::spawn(move || world.put(bit))
                })
                .into();
            let listening = world.listeners.listen(7, 3).unwrap();
            // One is enough, and none as well.
            let taken = world.take(1);
            if world.listeners.leave(listening) {
                *world.signals.0.lock().unwrap() -= 1;
                world.unheard.fetch_or(world.bits.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(*world.signals.0.lock().unwrap(), 0, "a signal came afterwards");
            let known = taken | world.unheard.load(Ordering::Relaxed);
            assert_eq!(world.bits.load(Ordering::Relaxed) & !known, 0, "nobody knows of it");
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;
    use std::thread::{self, Thread};

    use super::*;

    /// A stress test: the threads wait by std's park, whose token stands for the pending signal.
    #[test]
    fn nothing_is_lost_among_threads_that_come_and_go() {
        const EACH: u64 = 20_000;
        let (listeners, count, taken) = (Listeners::<2>::new(), AtomicU64::new(0), AtomicU64::new(0));
        let threads = [const { OnceLock::<Thread>::new() }; 3];
        let is_over = AtomicBool::new(false);
        let tell = || {
            listeners.tell(1, |thread| {
                threads[thread as usize].get().into_iter().for_each(Thread::unpark);
                Sent::Done
            })
        };
        let take = || count.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1)).is_ok();
        let comes_and_goes = &|number: u32| {
            threads[number as usize].set(thread::current()).unwrap();
            while !is_over.load(SeqCst) {
                let listening = listeners.listen(number, 1).unwrap();
                let mut has_taken = take();
                while !has_taken && !is_over.load(SeqCst) {
                    thread::park();
                    listeners.listen_again(listening);
                    has_taken = take();
                }
                taken.fetch_add(has_taken.into(), SeqCst);
                if listeners.leave(listening) && count.load(SeqCst) != 0 {
                    tell();
                }
            }
        };
        thread::scope(|scope| {
            let running = [1, 2].map(|number| scope.spawn(move || comes_and_goes(number)));
            for _ in 0..EACH {
                count.fetch_add(1, SeqCst);
                tell();
                // What nobody was there for is found by who listens later.
                while count.load(SeqCst) > 16 {
                    thread::yield_now();
                }
            }
            while count.load(SeqCst) != 0 {
                thread::yield_now();
            }
            is_over.store(true, SeqCst);
            while running.iter().any(|thread| !thread.is_finished()) {
                running.iter().for_each(|running| running.thread().unpark());
                thread::yield_now();
            }
        });
        assert_eq!(taken.load(SeqCst), EACH);
    }
}
