//! signalfd(2). The kernel's tells of signals that all OS threads block, and what a fiber blocks is blocked for no OS thread. So what a fiber gets
//! is one end of a pair of sockets: what would wait for a fiber is written to the other end instead, as a record of the kernel's form.
//!
//! Reads, `poll` and `epoll` are as with the kernel's, without a hook's doing. What differs: a signal is taken when it comes, not when it is
//! read, so that a fiber that unblocks it afterwards does not get it, one that is sent twice may be told twice, and of two descriptors for it the newer
//! one has it; the descriptor is a socket to `fstat`; some 200 signals wait at most, and
//! others as they would without it; a copy of the process by fork(2) reads the same socket.

#![expect(unsafe_code, reason = "takes the place of a function of libc, and writes in handlers")]

use std::ffi::c_int;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::null;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use abaca::hook::PerProcess;
use libc::{EMFILE, SIG_BLOCK, siginfo_t, signalfd_siginfo, sigset_t};

use super::masks::{bit, bits_of};
use super::waiting;
use crate::answer::{answer, failed, of_c};
use crate::calls::kick::set_mask;
use crate::descriptors::kind::{Kind, about, kind_of};
use crate::descriptors::numbers::made;
use crate::descriptors::poll::look_at;
use crate::enter::enter;
use crate::hooks::hooks;
use crate::kernel::kernel;
use crate::own::own;

/// A pair of sockets.
struct Pair {
    /// The signals that go there, and `IS_THERE`; 0 if there is no pair.
    mask: AtomicU64,
    /// The end that is written to. It is replaced, never closed: a handler may be about to write there.
    written: AtomicI32,
    /// Which file that is. A program that closes all descriptors that it does not know may have another one under the number.
    file: AtomicU64,
    /// Which file the user's end is, under whatever numbers.
    read: AtomicU64,
    /// The pairs in the order in which they were made.
    turn: AtomicU64,
}

/// Part of the mask of a pair, which may be for no signal: the bit of one that is libc's alone, and is never delivered.
const IS_THERE: u64 = 1 << 31;

/// There are as many at once; more are the kernel's.
static PAIRS: [Pair; 32] = [const {
    Pair {
        mask: AtomicU64::new(0),
        written: AtomicI32::new(-1),
        file: AtomicU64::new(0),
        read: AtomicU64::new(0),
        turn: AtomicU64::new(0),
    }
}; 32];

/// Held by who changes the pairs.
fn changing() -> MutexGuard<'static, ()> {
    static CHANGING: PerProcess<()> = PerProcess::new(|| ());
    CHANGING.lock()
}

/// The number of a file among those of its kind; 0 if the descriptor is not open.
fn file_of(fd: c_int) -> u64 {
    about(fd).map_or(0, |about| about.st_ino)
}

impl Pair {
    fn is_ours(&self) -> bool {
        file_of(self.written.load(Ordering::SeqCst)) == self.file.load(Ordering::SeqCst)
    }

    /// Whether the user has closed the other end, or a program ours.
    fn is_over(&self) -> bool {
        look_at(self.written.load(Ordering::SeqCst), 0) != Ok(0) || !self.is_ours()
    }

    /// From now on it is told of these signals, and at once of those that wait already.
    fn is_for(&self, mask: u64) {
        self.mask.store(mask | IS_THERE, Ordering::SeqCst);
        while let Some((signal, info)) = waiting::take_first(mask) {
            if !self.write(&record(signal, Some(&info))) {
                // It has just left a place.
                let _ = waiting::hold_back(signal, Some(&info));
                break;
            }
        }
    }

    /// Writes a record; false if there is no room, or nobody to read it.
    fn write(&self, record: &signalfd_siginfo) -> bool {
        let (flags, bytes) = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL, size_of::<signalfd_siginfo>());
        let fd = self.written.load(Ordering::SeqCst);
        // SAFETY: the record is the caller's; no address.
        unsafe { kernel!(libc::SYS_sendto, fd, &raw const *record, bytes, flags, 0, 0) == bytes as isize }
    }
}

/// Gives a signal that a fiber blocks to a descriptor that is for it, of several to the newest; false if there is none. May be called in a
/// handler.
pub(super) fn deliver(signal: usize, info: Option<&siginfo_t>) -> bool {
    let is_for_it = |pair: &&Pair| pair.mask.load(Ordering::SeqCst) & bit(signal) != 0;
    let mut tried = u64::MAX;
    loop {
        let older = PAIRS.iter().filter(is_for_it).filter(|pair| pair.turn.load(Ordering::SeqCst) < tried);
        let Some(pair) = older.max_by_key(|pair| pair.turn.load(Ordering::SeqCst)) else { return false };
        if pair.is_ours() && pair.write(&record(signal, info)) {
            return true;
        }
        tried = tried.min(pair.turn.load(Ordering::SeqCst));
    }
}

/// What the kernel's descriptor would tell. Which of its fields count depends on the signal, as in the kernel.
fn record(signal: usize, info: Option<&siginfo_t>) -> signalfd_siginfo {
    // SAFETY: all zeros are valid.
    let mut record: signalfd_siginfo = unsafe { zeroed() };
    record.ssi_signo = signal as u32;
    let Some(info) = info else { return record };
    record.ssi_errno = info.si_errno;
    record.ssi_code = info.si_code;
    // SAFETY: the fields lie within the structure, whichever of them the sender has set; the kernel has zeros in the others.
    unsafe {
        record.ssi_pid = info.si_pid() as u32;
        record.ssi_uid = info.si_uid();
        match signal as c_int {
            libc::SIGCHLD => {
                record.ssi_status = info.si_status();
                record.ssi_utime = info.si_utime() as u64;
                record.ssi_stime = info.si_stime() as u64;
            }
            _ if info.si_code < 0 => {
                let value = info.si_value().sival_ptr.addr();
                record.ssi_ptr = value as u64;
                record.ssi_int = value as i32;
            }
            _ => {}
        }
    }
    record
}

/// A copy of the process by fork(2) does not write to the original's sockets.
pub(super) fn lose_pairs() {
    PAIRS.iter().for_each(|pair| pair.mask.store(0, Ordering::SeqCst));
}

/// Makes a pair for these signals. `None` if there are as many as may be.
fn make(mask: u64, flags: c_int) -> Option<isize> {
    let place = PAIRS.iter().find(|pair| pair.mask.load(Ordering::SeqCst) == 0 || pair.is_over())?;
    place.mask.store(0, Ordering::SeqCst);
    let mut ends = [-1; 2];
    // The flags have the same values, which both calls check.
    let kind = libc::SOCK_STREAM | flags | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two numbers, and uses no other memory; a number that is closed here is of this function's.
    unsafe {
        let result = kernel!(libc::SYS_socketpair, libc::AF_UNIX, kind, 0, ends.as_mut_ptr());
        if result < 0 {
            return Some(result);
        }
        let [read, mut written] = ends;
        if flags & libc::SFD_CLOEXEC == 0 {
            kernel!(libc::SYS_fcntl, read, libc::F_SETFD, 0);
        }
        let before = place.written.load(Ordering::SeqCst);
        if before >= 0 && place.is_ours() {
            kernel!(libc::SYS_dup3, written, before, libc::O_CLOEXEC);
            kernel!(libc::SYS_close, written);
            written = before;
        }
        place.written.store(written, Ordering::SeqCst);
        place.file.store(file_of(written), Ordering::SeqCst);
        place.read.store(file_of(read), Ordering::SeqCst);
        static TURN: AtomicU64 = AtomicU64::new(0);
        place.turn.store(TURN.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        place.is_for(mask);
        Some(made(read) as isize)
    }
}

/// The pair whose end for the user this is, or a copy of it.
fn pair_of(fd: c_int) -> Option<&'static Pair> {
    let file = if kind_of(fd) == Kind::Socket { file_of(fd) } else { return None };
    PAIRS.iter().find(|pair| {
        pair.mask.load(Ordering::SeqCst) != 0 && pair.read.load(Ordering::SeqCst) == file && !pair.is_over()
    })
}

hooks! {
    /// signalfd(2).
    fn signalfd(fd: c_int, mask: *const sigset_t, flags: c_int) -> c_int, |_| -> always {
        let own = || {
            // SAFETY: the caller's promise.
            let made_fd = unsafe { own!(fn signalfd(c_int, *const sigset_t, c_int) -> c_int)(fd, mask, flags) };
            if made_fd == fd { made_fd } else { made(made_fd) }
        };
        let Some(within) = enter().filter(|_| flags & !(libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) == 0) else { return own() };
        // SAFETY: the caller's promise, and a set to be written.
        let (wanted, kernels) = unsafe {
            let mut now = MaybeUninit::uninit();
            set_mask(SIG_BLOCK, null(), now.as_mut_ptr());
            (bits_of(mask), bits_of(now.as_ptr()))
        };
        // What the kernel keeps back from the worker's thread, it keeps back from all. An empty set may be filled later.
        let result = if wanted & kernels != 0 {
            of_c(own() as isize)
        } else {
            let _changing = changing();
            match pair_of(fd) {
                _ if fd == -1 => make(wanted, flags).unwrap_or(failed(EMFILE)),
                Some(pair) => {
                    pair.is_for(wanted);
                    fd as isize
                }
                None => of_c(own() as isize),
            }
        };
        drop(within);
        answer(result) as c_int
    }
}
