//! Signals that wait: for a fiber that blocks them, or for the process until a fiber takes them. A real-time signal waits as often as it was
//! sent (`queued.rs`), another one once.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::siginfo_t;

use super::defaults::does_nothing;
use super::masks::{awaited, bit, blocked, is_in_any_handler, signals};
use super::queued::{self, NoPlace, Owner, PROCESS, is_queued, new_owner};
use super::record::Record;
use super::relay::ring;
use super::signal_fd;
use super::{details, listening};

/// The signals that wait for a fiber that does not block them.
static OF_PROCESS: AtomicU64 = AtomicU64::new(0);

/// Forgets the real-time signals that a fiber has sent to itself, and that wait when it ends.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        queued::forget(NUMBER.get());
    }
}

thread_local! {
    /// What the fiber, which is no thread, has sent to itself, and blocks. Its handlers send as well: atomic for these, and relaxed.
    static OF_FIBER: AtomicU64 = const { AtomicU64::new(0) };
    /// The fiber's number where real-time signals wait; 0 before the first that it sends to itself.
    static NUMBER: Cell<Owner> = const { Cell::new(PROCESS) };
    static FORGET: Forget = const { Forget };
}

/// A signal that was taken, and what its handler is told, if that is known.
pub(super) type Taken = (usize, Option<siginfo_t>);

/// What waits for the process does not wait for its copy by fork(2), nor what waits for any fiber.
pub(super) fn lose_waiting() {
    OF_PROCESS.store(0, Ordering::SeqCst);
    listening::lose_listeners();
    queued::forget_all();
    signal_fd::lose_pairs();
}

/// Notes a signal of the process's that must wait, with what its handler is told, if that is known. Returns whether somebody takes it
/// who waits in the kernel. May be called in a handler.
pub(super) fn hold_back(signal: usize, info: Option<&siginfo_t>) -> Result<bool, NoPlace> {
    if signal_fd::deliver(signal, info) {
        return Ok(true);
    }
    if is_queued(signal) {
        queued::put(PROCESS, signal, info.copied().unwrap_or_else(|| details::unknown(signal)))?;
    } else if let Some(info) = info {
        details::keep(signal, *info);
    }
    OF_PROCESS.fetch_or(bit(signal), Ordering::SeqCst);
    let is_told = listening::tell(bit(signal));
    if !is_told {
        ring();
    }
    Ok(is_told)
}

/// Notes a signal that the calling fiber sends to itself; `None` if it does not block it. May be called in a handler.
pub(super) fn hold_back_own(signal: usize, info: siginfo_t) -> Option<Result<(), NoPlace>> {
    if blocked() & bit(signal) == 0 {
        return None;
    }
    if signal_fd::deliver(signal, Some(&info)) {
        return Some(Ok(()));
    }
    if let Some(record) = Record::current() {
        return Some(record.pending.keep(signal, info));
    }
    let mut result = Ok(());
    if is_queued(signal) {
        if NUMBER.get() == PROCESS {
            if is_in_any_handler() {
                return None;
            }
            NUMBER.set(new_owner());
            // What is sent while the fiber's storage goes is not forgotten, and nobody's.
            let _ = FORGET.try_with(|_| ());
        }
        result = queued::put(NUMBER.get(), signal, info);
    }
    if result.is_ok() {
        note_of_fiber(signal);
    }
    Some(result)
}

fn note_of_fiber(signal: usize) {
    OF_FIBER.with(|signals| signals.fetch_or(bit(signal), Ordering::Relaxed));
}

/// The signals of the process that wait.
pub(super) fn of_process() -> u64 {
    OF_PROCESS.load(Ordering::SeqCst)
}

/// Takes a signal that waits for the process. May be called in a handler.
pub(super) fn take_of_process(signal: usize) -> Option<siginfo_t> {
    if is_queued(signal) {
        // The bit may stay, as one of a signal that somebody else takes just now.
        return queued::take(PROCESS, signal);
    }
    let was_there = OF_PROCESS.fetch_and(!bit(signal), Ordering::SeqCst) & bit(signal) != 0;
    was_there.then(|| details::take(signal).unwrap_or_else(|| details::unknown(signal)))
}

/// A set of signals that wait for somebody.
enum Set<'a> {
    OfFiber(Owner, u64),
    Shared(Owner, &'a AtomicU64),
}

impl Set<'_> {
    /// Those of the calling fiber, its own first, and the process's.
    fn all() -> impl Iterator<Item = Set<'static>> {
        let own = Set::OfFiber(NUMBER.get(), OF_FIBER.with(|signals| signals.load(Ordering::Relaxed)));
        let of_thread =
            Record::current_within().map(|record| Set::Shared(record.pending.owner, &record.pending.signals));
        [Some(own), of_thread, Some(Set::Shared(PROCESS, &OF_PROCESS))].into_iter().flatten()
    }

    fn owner(&self) -> Owner {
        match self {
            Self::OfFiber(owner, _) | Self::Shared(owner, _) => *owner,
        }
    }

    /// What there is to know of a signal that is told once, and was in this set.
    fn details(&self, signal: usize) -> Option<siginfo_t> {
        match self {
            Self::OfFiber(..) => None,
            Self::Shared(PROCESS, _) => {
                Some(details::take(signal).unwrap_or_else(|| details::unknown(signal)))
            }
            Self::Shared(owner, _) => queued::take_known(*owner, signal),
        }
    }

    fn signals(&self) -> u64 {
        match self {
            Self::OfFiber(_, signals) => *signals,
            Self::Shared(_, signals) => signals.load(Ordering::SeqCst),
        }
    }

    /// Takes those of the signals that are there.
    fn clear(&self, wanted: u64) -> u64 {
        match self {
            Self::OfFiber(..) => {
                OF_FIBER.with(|signals| signals.fetch_and(!wanted, Ordering::Relaxed)) & wanted
            }
            Self::Shared(_, signals) => match signals.load(Ordering::SeqCst) & wanted {
                0 => 0,
                _ => signals.fetch_and(!wanted, Ordering::SeqCst) & wanted,
            },
        }
    }

    fn put_back(&self, signal: usize) {
        match self {
            Self::OfFiber(..) => note_of_fiber(signal),
            Self::Shared(_, signals) => _ = signals.fetch_or(bit(signal), Ordering::SeqCst),
        }
    }
}

/// Those of these signals, which the caller does not block, that wait for it or for any. What does nothing is taken, and told to nobody.
pub(super) fn with_effect(unblocked: u64) -> u64 {
    let waiting = waiting() & unblocked;
    let idle =
        signals(waiting).filter(|signal| does_nothing(*signal)).fold(0, |bits, signal| bits | bit(signal));
    if idle != 0 {
        discard(idle);
    }
    waiting & !idle
}

/// Takes these signals, which wait for the caller or for any, for nobody.
fn discard(idle: u64) {
    for set in Set::all() {
        for signal in signals(set.clear(idle)) {
            if is_queued(signal) {
                while queued::take(set.owner(), signal).is_some() {}
            } else {
                set.details(signal);
            }
        }
    }
}

/// Whether something waits for the calling fiber, or for any, that it neither blocks nor waits for.
pub(super) fn has_unblocked() -> bool {
    with_effect(!(blocked() | awaited())) != 0
}

/// Takes what the calling fiber neither blocks nor waits for: of each number in turn, and those of one number as they were sent.
pub(super) fn take_unblocked() -> Vec<Taken> {
    let wanted = with_effect(!(blocked() | awaited()));
    if wanted == 0 {
        return Vec::new();
    }
    let mut taken = Vec::new();
    for set in Set::all() {
        for signal in signals(set.clear(wanted)) {
            if is_queued(signal) {
                taken.extend(
                    std::iter::from_fn(|| queued::take(set.owner(), signal)).map(|info| (signal, Some(info))),
                );
            } else {
                taken.push((signal, set.details(signal)));
            }
        }
    }
    taken.sort_by_key(|(signal, _)| *signal);
    taken
}

/// What waits for the calling fiber, or for any.
pub(super) fn waiting() -> u64 {
    Set::all().fold(0, |all, set| {
        // One that somebody else takes just now may have left its bit.
        let queued =
            signals(set.signals()).filter(|signal| is_queued(*signal) && !queued::has(set.owner(), *signal));
        all | set.signals() & !queued.fold(0, |bits, signal| bits | bit(signal))
    })
}

/// Whether there is something that the calling fiber takes by sigwait(3).
pub(super) fn has_awaited() -> bool {
    awaited() != 0 && waiting() & awaited() != 0
}

/// Takes the first of these that waits, with what there is to know of it.
pub(super) fn take_first(wanted: u64) -> Option<(usize, siginfo_t)> {
    loop {
        let signal = signals(waiting() & wanted).next()?;
        for set in Set::all().filter(|set| set.signals() & bit(signal) != 0) {
            if set.clear(bit(signal)) == 0 {
                continue;
            }
            if !is_queued(signal) {
                return Some((
                    signal,
                    set.details(signal).unwrap_or_else(|| details::sent(signal, libc::SI_TKILL, None)),
                ));
            }
            let info = queued::take(set.owner(), signal);
            if queued::has(set.owner(), signal) {
                set.put_back(signal);
                // Who has looked meanwhile, or was told of several, has not seen it.
                ring();
            }
            if let Some(info) = info {
                return Some((signal, info));
            }
        }
    }
}
