//! Whether the user wants an error instead of waiting: O_NONBLOCK, which the kernel keeps with the open file.
//!
//! The kernel knows it, and to ask costs a system call. So the answer "waits" is kept with the number, and serves later waits as well, as
//! long as nobody can have changed it. "Wants errors" is never kept: such a user's call does not wait, so it is the one that asks.
//!
//! Who changes the mode of an open file, and how that is noticed:
//!
//! | who | by what | noticed |
//! |---|---|---|
//! | this process | `fcntl`, `ioctl`, `syscall` of libc, under this number or another of the same file | at once: [`mode_changes`] and [`modes_changed`] make all answers old |
//! | another process | it has the file: by fork(2), posix_spawn(3) or SCM_RIGHTS | at once: of a file that may be shared nothing is kept |
//! | this process | a system call that is no function of libc's | within a second: see below |
//! | nobody | the number became another file's behind the hooks' back | within a second, as its registration |
//!
//! A file may be shared unless a hook has seen it made ([`born`](super::table::born)), after the last fork(2), the last posix_spawn(3) and
//! the last message with descriptors, and it is closed by exec(2). A call of libc's that leaves a file to exec(2) makes all answers old.
//! Of a connection all of this is known from the accept4(2) that has made it: its first wait asks nothing
//! ([`born_of_listener`](super::table::born_of_listener)).
//!
//! For the last two rows `renewal` makes all answers old in each of its rounds, and asks anew for the waits that began on a kept answer: if
//! the user wants errors by now, such a wait ends in one. So no wait is lost: one that should have been an error becomes one
//! after a second at most. A wait that has begun before a change that a hook sees goes on, as in the kernel: the hook asks the kernel before it
//! makes the change, for all numbers of the file that dup(2) and its kin have made ([`mode_changes`]), and before another process can get the
//! file.
//!
//! The hooks themselves change the mode of a socket for the time of one system call, for calls that have no flag of their own
//! ([`in_changed_mode`]). Who asks meanwhile sees that mode, and asks again.

#![expect(unsafe_code, reason = "descriptors are known by their numbers")]

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::borrow::borrow;
use super::table::{for_each_of_file, for_each_watched};
use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::hook::{Slept, pause_until, yield_now};
use crate::os::socket;
use crate::park::trust::Trust;

/// How often an answer may have become old. Starts at 1: 0 is of no answer.
static CHANGES: AtomicU64 = AtomicU64::new(1);

/// How often files that were there may have become another process's as well. Starts at 1: 0 is the birth of no file.
static SHARINGS: AtomicU64 = AtomicU64::new(1);

/// How often the hooks have begun to change the mode of a file for one system call, and how often they have ended that. Files share a place by
/// their inodes, which all numbers of a file have in common.
struct Changing {
    begun: AtomicU64,
    ended: AtomicU64,
}

static CHANGING: [Changing; 64] =
    [const { Changing { begun: AtomicU64::new(0), ended: AtomicU64::new(0) } }; 64];

fn changing(fd: RawFd) -> &'static Changing {
    // SAFETY: the number is only asked about.
    &CHANGING[socket::inode(unsafe { borrow(fd) }) as usize % CHANGING.len()]
}

/// How often who asks may see a changed mode before it sleeps: who has changed it may not be running.
const LOOKS: u32 = 8;

/// How long it sleeps.
const PAUSE: Duration = Duration::from_micros(200);

/// Notes that the mode of some open file may have been changed by the user.
#[inline]
pub fn modes_changed() {
    // Release: pairs with the Acquire in `Moment::now`. The kernel has the new mode by now.
    CHANGES.fetch_add(1, Ordering::Release);
}

/// Notes that somebody is about to change the mode of this number's file, or may do so from now on. Waits for it that have begun, by whatever
/// number, are not concerned.
pub fn mode_changes(fd: RawFd) {
    settle(fd, begin_change());
}

/// Notes that all files of this process may be another's as well from now on.
pub fn files_shared() {
    let now = begin_sharing();
    // They may be many, and it is the rare child that changes a mode while somebody is about to wait.
    for_each_watched(|watched| {
        watched.wish.trust.settle_if_noted(now, || !is_nonblocking_now(watched.number))
    });
}

/// Notes that this number's file may be another process's as well from now on, whoever hands it on.
pub fn file_shared(fd: RawFd) {
    settle(fd, begin_sharing());
}

/// Makes all answers old, before a mode changes. Returns which change that is.
fn begin_change() -> u64 {
    // SeqCst: see `park/trust.rs`.
    CHANGES.fetch_add(1, Ordering::SeqCst) + 1
}

fn begin_sharing() -> u64 {
    SHARINGS.fetch_add(1, Ordering::SeqCst);
    begin_change()
}

/// Waits for a number's file that have begun before the change go on, as in the kernel, if the answer was right.
fn settle(fd: RawFd, change: u64) {
    for_each_of_file(fd, |watched| watched.wish.trust.settle(change, || !is_nonblocking_now(watched.number)));
}

/// The birth of a file that is made now.
pub(super) fn birth() -> u64 {
    SHARINGS.load(Ordering::SeqCst)
}

/// A moment before a file is made.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    changes: u64,
    pub(super) birth: u64,
}

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        // Acquire: pairs with the Release in `modes_changed`. What becomes old or shared from now on is seen by a later look.
        Self { changes: CHANGES.load(Ordering::Acquire), birth: birth() }
    }
}

/// Makes a call during which the mode of a number's file is not the user's.
pub fn in_changed_mode<R>(fd: RawFd, call: impl FnOnce() -> R) -> R {
    struct End(&'static Changing);
    impl Drop for End {
        fn drop(&mut self) {
            self.0.ended.fetch_add(1, Ordering::SeqCst);
        }
    }
    let changing = changing(fd);
    changing.begun.fetch_add(1, Ordering::SeqCst);
    let _end = End(changing);
    call()
}

/// Whether the user wants errors instead of waiting; true if the number is not open.
#[must_use]
pub fn is_nonblocking(fd: RawFd) -> bool {
    is_nonblocking_now(fd) && is_nonblocking_for_good(fd)
}

/// Whether it was not one of the hooks that has set the mode.
#[cold]
fn is_nonblocking_for_good(fd: RawFd) -> bool {
    let changing = changing(fd);
    let mut looks = 0;
    loop {
        // A change that the question sees was not ended before this, and had begun before the look at `begun`.
        let ended = changing.ended.load(Ordering::SeqCst);
        if !is_nonblocking_now(fd) {
            return false;
        }
        if changing.begun.load(Ordering::SeqCst) == ended {
            return true;
        }
        looks += 1;
        if looks < LOOKS {
            yield_now();
        } else if pause_until(Instant::now() + PAUSE) == Slept::Cancelled {
            return true;
        }
    }
}

/// What is known of one number. What each wait looks at comes first.
#[repr(C)]
pub(super) struct Wish {
    /// How often a kept answer was wrong.
    errors: AtomicU32,
    /// As of which change the user waits; 0 if that is not known.
    waits_as_of: AtomicU64,
    /// Whether a wait has begun on a kept answer since the last round.
    trust: Trust,
    /// When the file was made, as [`birth`]; 0 if nobody knows.
    born: u64,
}

impl Wish {
    pub(super) fn new(born: u64) -> Self {
        Self { errors: AtomicU32::new(0), waits_as_of: AtomicU64::new(0), trust: Trust::new(), born }
    }

    /// Notes that the file was made after `moment`, without O_NONBLOCK, and is closed by exec(2).
    pub(super) fn waits_since(&self, moment: Moment) {
        self.waits_as_of.store(moment.changes, Ordering::Relaxed);
    }

    /// Whether the user wants an error, of a call that is about to wait. Calls `asks` before it does, for which the caller may have to wait.
    #[inline]
    pub(super) fn wants_errors(&self, fd: RawFd, asks: impl FnOnce()) -> bool {
        // Relaxed: each value that is stored says all. The trust is noted before the wait's node is linked, so a round that sees the wait sees it.
        if self.trust.begin(self.waits_as_of.load(Ordering::Relaxed), &CHANGES) {
            return false;
        }
        asks();
        self.ask(fd)
    }

    #[cold]
    fn ask(&self, fd: RawFd) -> bool {
        let changes = CHANGES.load(Ordering::Acquire);
        if is_nonblocking(fd) {
            return true;
        }
        self.trust.settle(changes, || true);
        // SAFETY: the number is only asked about.
        if self.born == birth() && socket::is_closed_by_exec(unsafe { borrow(fd) }) {
            self.waits_as_of.store(changes, Ordering::Relaxed);
        }
        false
    }

    /// Forgets what is known.
    pub(super) fn forget(&self) {
        self.waits_as_of.store(0, Ordering::Relaxed);
    }

    /// How often a kept answer was found wrong.
    #[inline]
    pub(super) fn errors(&self) -> u32 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Whether a wait has begun on an answer that is wrong: the user wants errors by now, and nobody knows since when.
    pub(super) fn was_wrong(&self, fd: RawFd) -> bool {
        let was_wrong = self.trust.take() && is_nonblocking_now(fd);
        if was_wrong {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        was_wrong
    }
}

/// As the kernel says at this moment.
fn is_nonblocking_now(fd: RawFd) -> bool {
    // SAFETY: the number is only asked about.
    socket::is_nonblocking(unsafe { borrow(fd) })
}
