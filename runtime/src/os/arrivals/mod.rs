//! Arrivals of signals: counted per signal, and announced on one descriptor.
//!
//! The handler does two things that are safe in a handler, in this order: it counts the arrival, and it writes to an eventfd
//! that is never read. Then it calls the handler that was installed before (`../handler.rs`). Each receiver watches the eventfd
//! edge-triggered, with an epoll instance of its own, so each write reaches all receivers. A receiver takes its events away
//! first and reads the counts then, so no arrival is missed. `count.rs` has these steps, and `model.rs` checks them.
//!
//! Rejected: signalfd(2). It sees only signals that are blocked in every thread of the process, also in threads that are not
//! ours, and in children, which inherit the mask.
//!
//! All state is static because it describes the process: a disposition, and the handler behind it, which gets only a number.
//! The descriptor lives as long as the process, since a handler may be running at any time.

#![expect(unsafe_code, reason = "signal dispositions, and a handler that runs between any two instructions")]

mod count;
#[cfg(all(test, loom))]
mod model;

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use self::count::{Count, SeenCount};
use super::epoll::{Epoll, EventFd};
use super::handler::{Delivery, Entry, LAYERS, Layers, Mask, with_errno_kept};

pub(crate) use self::count::look;

/// Linux has 64 signals, numbered from 1.
const SIGNALS: usize = 65;

#[cfg(not(loom))]
static COUNTS: [Count; SIGNALS] = [const { Count::new() }; SIGNALS];

/// Loom's atomics cannot be made in constants. Models have counts of their own.
#[cfg(loom)]
static COUNTS: std::sync::LazyLock<[Count; SIGNALS]> =
    std::sync::LazyLock::new(|| std::array::from_fn(|_| Count::new()));

static NOTIFIER: OnceLock<EventFd> = OnceLock::new();

/// The number of subscriptions for each signal. Locked when one begins or ends, never by the handler.
static WATCHERS: Mutex<[usize; SIGNALS]> = Mutex::new([0; SIGNALS]);

/// The dispositions of each signal that ours cover, by other libraries or by the program.
static COVERED: [Layers; SIGNALS] = [const { Layers::new() }; SIGNALS];

static ENTRIES: [Entry; LAYERS] = [on_signal::<0>, on_signal::<1>, on_signal::<2>, on_signal::<3>];

pub(crate) const HANGUP: i32 = libc::SIGHUP;
pub(crate) const INTERRUPT: i32 = libc::SIGINT;
pub(crate) const QUIT: i32 = libc::SIGQUIT;
pub(crate) const USER_1: i32 = libc::SIGUSR1;
pub(crate) const USER_2: i32 = libc::SIGUSR2;
pub(crate) const PIPE: i32 = libc::SIGPIPE;
pub(crate) const ALARM: i32 = libc::SIGALRM;
pub(crate) const TERMINATE: i32 = libc::SIGTERM;
pub(crate) const CHILD: i32 = libc::SIGCHLD;
pub(crate) const CONTINUE: i32 = libc::SIGCONT;
pub(crate) const WINDOW_CHANGE: i32 = libc::SIGWINCH;

/// Counts one signal while the value lives. A handler that was installed before is called as well. The default action of the
/// signal, or ignoring it, is off until the signal's last subscription is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    signal: i32,
    seen: SeenCount,
}

impl Subscription {
    pub(crate) fn new(signal: i32) -> io::Result<Self> {
        notifier()?;
        let mut watchers = WATCHERS.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the disposition changes: from then on each arrival must be reported.
        let seen = SeenCount::new(&COUNTS[index(signal)]);
        if watchers[index(signal)] == 0 {
            COVERED[index(signal)].cover(signal, &ENTRIES)?;
        }
        watchers[index(signal)] += 1;
        Ok(Self { signal, seen })
    }

    /// Whether the signal has arrived since the last call, or since the subscription began.
    pub(crate) fn has_arrived(&mut self) -> bool {
        self.seen.has_changed(&COUNTS[index(self.signal)])
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watchers = WATCHERS.lock().unwrap_or_else(PoisonError::into_inner);
        watchers[index(self.signal)] -= 1;
        if watchers[index(self.signal)] == 0 {
            COVERED[index(self.signal)].uncover(self.signal, &ENTRIES);
        }
    }
}

/// An epoll instance that has an event whenever a signal has been counted.
pub(crate) fn watch() -> io::Result<Epoll> {
    let epoll = Epoll::new()?;
    notifier()?.add_to(&epoll, 0)?;
    Ok(epoll)
}

fn notifier() -> io::Result<&'static EventFd> {
    if let Some(notifier) = NOTIFIER.get() {
        return Ok(notifier);
    }
    let made = EventFd::new()?;
    Ok(NOTIFIER.get_or_init(|| made))
}

fn index(signal: i32) -> usize {
    usize::try_from(signal).expect("a signal's number is positive")
}

/// The handler: neither allocates, nor locks, nor unwinds, nor yields. The handlers that it passes signals on to may.
extern "C" fn on_signal<const LAYER: usize>(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let Some(at) = usize::try_from(signal).ok().filter(|at| *at < SIGNALS) else { return };
    with_errno_kept(|| {
        if COVERED[at].is_top(LAYER) {
            COUNTS[at].arrive(|| {
                if let Some(notifier) = NOTIFIER.get() {
                    notifier.notify();
                }
            });
        }
        // SAFETY: these are the arguments of a handler that is installed with SA_SIGINFO.
        let delivery = unsafe { Delivery::new(signal, info, context) };
        COVERED[at].pass_on(LAYER, &delivery, Mask::Narrow);
    });
}
