//! Real-time signals that wait: each that was sent, in the order in which they came, with what its handler is told.
//!
//! They wait for the process, or for one fiber, which has a number here. A handler may put one in, which has interrupted any code: so there is
//! no lock, and who finds a place that somebody writes or reads takes another. What finds no place is lost.

#![expect(unsafe_code, reason = "keeps what handlers are told where no lock may be taken")]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use libc::siginfo_t;

/// The first real-time signal, of which libc keeps two for itself.
const FIRST: usize = 32;

/// Whether each signal of this number that is sent is told.
pub(super) const fn is_queued(signal: usize) -> bool {
    signal >= FIRST
}

/// Whom a signal waits for; 0 is the process.
pub(super) type Owner = u64;

pub(super) const PROCESS: Owner = 0;

/// A number for a fiber.
pub(super) fn new_owner() -> Owner {
    static LAST: AtomicU64 = AtomicU64::new(PROCESS);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Nobody's.
const EMPTY: u8 = 0;
/// Somebody writes or reads it, and has it alone.
const BUSY: u8 = 1;
const FULL: u8 = 2;

struct Place {
    state: AtomicU8,
    signal: AtomicU8,
    owner: AtomicU64,
    /// Which of all it is.
    turn: AtomicU64,
    info: UnsafeCell<MaybeUninit<siginfo_t>>,
}

// SAFETY: who has made it busy has it alone.
unsafe impl Sync for Place {}

/// How many may wait at once.
const PLACES: usize = 4096;

static QUEUE: [Place; PLACES] = [const {
    Place {
        state: AtomicU8::new(EMPTY),
        signal: AtomicU8::new(0),
        owner: AtomicU64::new(0),
        turn: AtomicU64::new(0),
        info: UnsafeCell::new(MaybeUninit::uninit()),
    }
}; PLACES];

/// How many places were ever used: those beyond need not be looked at.
static USED: AtomicUsize = AtomicUsize::new(0);

impl Place {
    fn change(&self, from: u8, to: u8) -> bool {
        // Acquire: pairs with the Release of who had it before.
        self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn leave(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }

    /// Its turn, if it has one of this owner's signals.
    fn turn_of(&self, owner: Owner, signal: usize) -> Option<u64> {
        let is_it = self.state.load(Ordering::Acquire) == FULL
            && self.owner.load(Ordering::Relaxed) == owner
            && usize::from(self.signal.load(Ordering::Relaxed)) == signal;
        is_it.then(|| self.turn.load(Ordering::Relaxed))
    }
}

fn used() -> &'static [Place] {
    &QUEUE[..USED.load(Ordering::SeqCst)]
}

/// Puts a signal in. May be called in a handler.
pub(super) fn put(owner: Owner, signal: usize, info: siginfo_t) {
    static TURNS: AtomicU64 = AtomicU64::new(0);
    let turn = TURNS.fetch_add(1, Ordering::Relaxed);
    for (index, place) in QUEUE.iter().enumerate() {
        if place.state.load(Ordering::Relaxed) == EMPTY && place.change(EMPTY, BUSY) {
            place.owner.store(owner, Ordering::Relaxed);
            place.signal.store(signal as u8, Ordering::Relaxed);
            place.turn.store(turn, Ordering::Relaxed);
            // SAFETY: the place is the caller's alone.
            unsafe { (*place.info.get()).write(info) };
            place.leave(FULL);
            USED.fetch_max(index + 1, Ordering::SeqCst);
            return;
        }
    }
}

/// Whether one of this owner's waits.
pub(super) fn has(owner: Owner, signal: usize) -> bool {
    used().iter().any(|place| place.turn_of(owner, signal).is_some())
}

/// Takes the first of this owner's.
pub(super) fn take(owner: Owner, signal: usize) -> Option<siginfo_t> {
    loop {
        let turns = used().iter().filter_map(|place| Some((place.turn_of(owner, signal)?, place)));
        let (turn, place) = turns.min_by_key(|(turn, _)| *turn)?;
        if !place.change(FULL, BUSY) {
            continue;
        }
        // Another may have taken it, and the place may have been used again.
        if place.turn.load(Ordering::Relaxed) != turn {
            place.leave(FULL);
            continue;
        }
        // SAFETY: the place is the caller's alone, and was written.
        let info = unsafe { (*place.info.get()).assume_init_read() };
        place.leave(EMPTY);
        return Some(info);
    }
}

/// Forgets those of an owner that is no more.
pub(super) fn forget(owner: Owner) {
    for place in used() {
        if place.state.load(Ordering::Acquire) == FULL
            && place.owner.load(Ordering::Relaxed) == owner
            && place.change(FULL, BUSY)
        {
            let is_owners = place.owner.load(Ordering::Relaxed) == owner;
            place.leave(if is_owners { EMPTY } else { FULL });
        }
    }
}

/// Forgets all.
pub(super) fn forget_all() {
    used().iter().for_each(|place| place.leave(EMPTY));
}

#[cfg(test)]
mod tests {
    use super::super::details::unknown;
    use super::*;

    fn numbered(number: i32) -> siginfo_t {
        let mut info = unknown(40);
        info.si_errno = number;
        info
    }

    #[test]
    fn what_each_sender_puts_in_comes_out_once_and_in_its_order() {
        const EACH: i32 = 2_000;
        let owners: Vec<Owner> = (0..2).map(|_| new_owner()).collect();
        std::thread::scope(|scope| {
            let senders = owners.iter().map(|owner| {
                scope.spawn(|| {
                    for number in 0..EACH {
                        put(*owner, 40, numbered(number));
                    }
                })
            });
            let senders: Vec<_> = senders.collect();
            let takers = owners.iter().map(|owner| {
                scope.spawn(|| {
                    let mut found = Vec::new();
                    while found.len() < EACH as usize {
                        match take(*owner, 40) {
                            Some(info) => found.push(info.si_errno),
                            None => std::thread::yield_now(),
                        }
                    }
                    found
                })
            });
            let takers: Vec<_> = takers.collect();
            for taker in takers {
                assert_eq!(taker.join().unwrap(), (0..EACH).collect::<Vec<_>>());
            }
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        });
        put(owners[0], 40, numbered(1));
        put(owners[0], 41, numbered(2));
        assert!(has(owners[0], 40) && has(owners[0], 41) && !has(owners[1], 40));
        forget(owners[0]);
        assert!(!has(owners[0], 40) && take(owners[0], 41).is_none());
    }
}
