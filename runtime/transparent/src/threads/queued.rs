//! Real-time signals that wait: each that was sent, in the order in which they came, with what its handler is told. They wait for the process,
//! or for one fiber, which has a number here, as does what is told of other signals that one is sent. A handler may put one in. What finds no place does not wait.

use std::sync::atomic::{AtomicU64, Ordering};

use abaca::hook::Keyed;
use libc::siginfo_t;

use super::timers;

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

/// How many may wait at once.
const PLACES: usize = 4096;

static QUEUE: Keyed<Told, PLACES> = Keyed::new();

/// What a handler is told.
#[derive(Clone, Copy)]
struct Told(siginfo_t);

#[expect(unsafe_code, reason = "it has addresses, which are only passed on")]
// SAFETY: a value of plain words: what they lead to is the sender's matter.
unsafe impl Send for Told {}

/// Signals are below 128.
const SIGNAL_BITS: u32 = 7;

const fn key(owner: Owner, signal: usize) -> u64 {
    owner << SIGNAL_BITS | signal as u64
}

/// As many signals wait as can: the error EAGAIN of a function that sends one.
pub(super) struct NoPlace;

/// Puts a signal in. May be called in a handler.
pub(super) fn put(owner: Owner, signal: usize, info: siginfo_t) -> Result<(), NoPlace> {
    if QUEUE.put(key(owner, signal), Told(info)) { Ok(()) } else { Err(NoPlace) }
}

/// Whether one of this owner's waits.
pub(super) fn has(owner: Owner, signal: usize) -> bool {
    QUEUE.has(key(owner, signal))
}

/// Takes the first of this owner's.
pub(super) fn take(owner: Owner, signal: usize) -> Option<siginfo_t> {
    QUEUE.take(key(owner, signal)).map(|Told(mut info)| {
        timers::note_told(&mut info);
        info
    })
}

/// Takes what is known of a signal of this owner's that is told once, if it is.
pub(super) fn take_known(owner: Owner, signal: usize) -> Option<siginfo_t> {
    let first = take(owner, signal)?;
    // What came at the same moment is told with it.
    while take(owner, signal).is_some() {}
    Some(first)
}

/// Forgets those of an owner that is no more.
pub(super) fn forget(owner: Owner) {
    QUEUE.forget(|key| key >> SIGNAL_BITS == owner);
}

/// Forgets all.
pub(super) fn forget_all() {
    QUEUE.begin_anew();
}
