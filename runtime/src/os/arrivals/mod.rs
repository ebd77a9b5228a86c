//! Signals that have arrived: counted per signal, and announced on one descriptor.
//!
//! The handler does two things that a handler may do, in this order: it counts, and it writes to an eventfd that is never
//! read. Who waits watches that eventfd edge-triggered, with an epoll instance of its own, so each write reaches
//! everybody; it takes its events away first and looks at the counts then, so none is missed. `count.rs` holds these
//! steps, and `model.rs` checks them.
//!
//! Rejected: signalfd(2). It sees only signals that are blocked, in every thread of the process, also in those that are
//! not ours and in children, which inherit the mask.
//!
//! All state is static because what it describes belongs to the process: a disposition, and the handler behind it, which
//! gets nothing but a number. The descriptor lives as long as the process, since a handler may be running at any time.

#![expect(unsafe_code, reason = "signal dispositions, and a handler that runs between any two instructions")]

mod count;
#[cfg(all(test, loom))]
mod model;

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use self::count::{Count, Seen};
use super::epoll::{Epoll, EventFd};

pub(crate) use self::count::look;

/// Linux has 64 signals, numbered from 1.
const SIGNALS: usize = 65;

#[cfg(not(loom))]
static COUNTS: [Count; SIGNALS] = [const { Count::new() }; SIGNALS];

/// Loom's atomics are not made in constants; models have counts of their own.
#[cfg(loom)]
static COUNTS: std::sync::LazyLock<[Count; SIGNALS]> =
    std::sync::LazyLock::new(|| std::array::from_fn(|_| Count::new()));

static BELL: OnceLock<EventFd> = OnceLock::new();

/// Who is on for each signal. Locked by those who come and go, never by the handler.
static WATCHES: Mutex<[Watch; SIGNALS]> =
    Mutex::new([const { Watch { watchers: 0, before: None } }; SIGNALS]);

struct Watch {
    watchers: usize,
    /// The disposition that ours replaced.
    before: Option<libc::sigaction>,
}

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

/// Counts one signal, for as long as the value lives; the disposition that was there before returns with the last one.
#[derive(Debug)]
pub(crate) struct Subscription {
    signal: i32,
    seen: Seen,
}

impl Subscription {
    pub(crate) fn new(signal: i32) -> io::Result<Self> {
        bell()?;
        let mut watches = WATCHES.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = &mut watches[index(signal)];
        // Before the disposition changes: from then on each signal is ours to report.
        let seen = Seen::new(&COUNTS[index(signal)]);
        if watch.watchers == 0 {
            // SAFETY: an all-zero sigaction is a valid value: no flags, an empty mask.
            let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
            ours.sa_sigaction = on_signal as *const () as usize;
            // On the alternate stack: a fiber's own may be nearly used up.
            ours.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            watch.before = Some(exchange(signal, Some(&ours))?);
        }
        watch.watchers += 1;
        Ok(Self { signal, seen })
    }

    /// Whether the signal has arrived since this was last asked, or since the making.
    pub(crate) fn has_arrived(&mut self) -> bool {
        self.seen.has_changed(&COUNTS[index(self.signal)])
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watches = WATCHES.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = &mut watches[index(self.signal)];
        watch.watchers -= 1;
        if watch.watchers > 0 {
            return;
        }
        let before = watch.before.take().expect("kept by the first");
        // Somebody may have put a handler over ours: then it stays.
        let is_ours = |now: libc::sigaction| now.sa_sigaction == on_signal as *const () as usize;
        if exchange(self.signal, None).is_ok_and(is_ours) {
            // The number was valid before.
            let _ = exchange(self.signal, Some(&before));
        }
    }
}

/// An epoll instance that has an event whenever a signal has been counted.
pub(crate) fn watch() -> io::Result<Epoll> {
    let epoll = Epoll::new()?;
    bell()?.add_to(&epoll, 0)?;
    Ok(epoll)
}

fn bell() -> io::Result<&'static EventFd> {
    if let Some(bell) = BELL.get() {
        return Ok(bell);
    }
    let made = EventFd::new()?;
    Ok(BELL.get_or_init(|| made))
}

fn index(signal: i32) -> usize {
    usize::try_from(signal).expect("a signal's number is positive")
}

/// Sets a disposition, or only asks for it; returns the one before.
fn exchange(signal: i32, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut before = MaybeUninit::uninit();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `new` is null or a live value whose handler has the signature that goes without SA_SIGINFO, or what
    // sigaction(2) returned earlier; `before` is a live local.
    if unsafe { libc::sigaction(signal, new, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written it.
    Ok(unsafe { before.assume_init() })
}

/// The handler: neither allocates, nor locks, nor unwinds, nor yields.
extern "C" fn on_signal(signal: libc::c_int) {
    // SAFETY: errno is the interrupted code's, so it is put back afterwards.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the location is the calling thread's.
    let before = unsafe { *errno };
    if let Some(count) = usize::try_from(signal).ok().and_then(|at| COUNTS.get(at)) {
        count.arrive(|| {
            if let Some(bell) = BELL.get() {
                bell.poke();
            }
        });
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}
