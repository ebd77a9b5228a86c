//! A file of stdio from which a fiber reads: where its buffer is empty, the fiber waits, and then libc fills the buffer with what has come.
//! So a call whose bytes come in several parts waits before each, and a cancellation or a handler of a signal ends it there, as it ends
//! libc's read: the file has an error, and what was read before is the caller's, or lost, as with libc's function.

#![expect(unsafe_code, reason = "looks into files of libc, and fills their buffers")]

use std::ffi::c_int;

use abaca::hook::descriptors::{Attempt, Direction, Ended, WaitLimit, is_nonblocking, retry};
use libc::{EOF, FILE};

use super::file::{
    BY_LINES, END_SEEN, ERROR_SEEN, Head, IS_NOT_READ, IS_NOT_WRITTEN, Lock, READS_PUT_BACK, UNBUFFERED,
    is_wide, waiting_number,
};
use super::puts::stdout;
use super::sink::Sink;
use crate::answer::{errno, failed, set_errno};
use crate::descriptors::fifo::has_no_writer;
use crate::descriptors::poll::look_at;
use crate::descriptors::terminals::{Patience, patience};
use crate::enter::Within;
use crate::threads::wait_at_point;

// SAFETY: as glibc defines it.
unsafe extern "C" {
    fn __underflow(file: *mut FILE) -> c_int;
}

/// What is in the buffer.
///
/// # Safety
///
/// The file is open. Another thread that reads from it at the same time makes the result a guess, unless the caller has the file's lock.
pub(super) unsafe fn buffered<'a>(file: *mut FILE) -> &'a [u8] {
    // SAFETY: the caller's promise; libc keeps the two addresses in order, and the bytes between them.
    unsafe {
        let Head { read_from, read_to, .. } = *file.cast::<Head>();
        let count = read_to.addr().saturating_sub(read_from.addr());
        if count == 0 { &[] } else { std::slice::from_raw_parts(read_from.cast(), count) }
    }
}

/// See the module's documentation. It has the file's lock, if it takes one.
pub(super) struct Stream<'a> {
    within: &'a Within,
    file: *mut FILE,
    fd: c_int,
    _lock: Lock,
}

impl<'a> Stream<'a> {
    /// `Ok(None)`: libc's own function need not wait, or its user wants errors. `Err`: the caller was cancelled while another had the lock.
    ///
    /// # Safety
    ///
    /// The file is open.
    pub(super) unsafe fn begin(within: &'a Within, file: *mut FILE, locks: bool) -> Result<Option<Self>, ()> {
        // SAFETY: the caller's promise, here and below.
        let Some(fd) = (unsafe { waiting_number(file) }) else { return Ok(None) };
        // SAFETY: as above.
        if is_nonblocking(fd) || unsafe { (*file.cast::<Head>()).flags } & IS_NOT_READ != 0 {
            return Ok(None);
        }
        // SAFETY: as above.
        let lock = unsafe { Lock::take(within, file, locks) }?;
        Ok(Some(Self { within, file, fd, _lock: lock }))
    }

    fn head(&self) -> *mut Head {
        self.file.cast()
    }

    /// What is in the buffer, after it was filled if it was empty. Empty at the end, and if there is an error.
    pub(super) fn fill(&mut self) -> &[u8] {
        // SAFETY: the file is open.
        let is_empty = unsafe { buffered(self.file) }.is_empty();
        if is_empty && (self.has_more_aside() || self.write_pending() && self.wait()) {
            set_errno(self.within.errno());
            // SAFETY: as above.
            if unsafe { __underflow(self.file) } == EOF {
                self.within.fails_with(errno());
            }
        }
        // SAFETY: as above.
        unsafe { buffered(self.file) }
    }

    /// Whether what was put back has been read, and there is a rest of what was read before.
    fn has_more_aside(&self) -> bool {
        // SAFETY: the file is open.
        let Head { flags, saved: [begin, _, end], .. } = unsafe { &*self.head() };
        flags & READS_PUT_BACK != 0 && begin < end
    }

    /// Writes what is in the buffer, as libc does before it reads; false if there is an error now.
    fn write_pending(&self) -> bool {
        // SAFETY: the file is open, and has a number.
        let mut sink = unsafe { Sink::held(self.within, self.file) };
        // SAFETY: as above.
        let is_wide = unsafe { is_wide(self.file) };
        is_wide || sink.pending() == 0 || sink.flush()
    }

    /// Writes what waits in `stdout` for the end of its line, if this is a file of lines or without a buffer: libc does so before it reads, for
    /// prompts.
    fn show_prompt(&self) {
        // SAFETY: the file is open. Where it has no buffer yet, libc will look what it is.
        let shows = unsafe {
            let Head { flags, buffer, .. } = *self.head();
            flags & (BY_LINES | UNBUFFERED) != 0 || buffer.is_null() && libc::isatty(self.fd) != 0
        };
        // SAFETY: libc's variable, and a file that is open.
        if shows && unsafe { (*stdout.cast::<Head>()).flags } & (IS_NOT_WRITTEN | BY_LINES) == BY_LINES {
            // SAFETY: as above.
            if let Ok(Some(mut sink)) = unsafe { Sink::begin(self.within, stdout, true) } {
                sink.flush();
            }
        }
    }

    /// Waits until a read has something; false if there is an error now.
    pub(super) fn wait(&mut self) -> bool {
        // SAFETY: the file is open.
        if unsafe { (*self.head()).flags } & END_SEEN != 0 {
            return true;
        }
        self.show_prompt();
        let limit = &mut WaitLimit::until(None).restarted();
        let call = |fd| match look_at(fd, libc::POLLIN) {
            Ok(0) if patience(fd) == Patience::Endless && !has_no_writer(fd) => failed(libc::EAGAIN),
            _ => 1,
        };
        let attempt = Attempt { fd: self.fd, direction: Direction::Read, wanted: 0, limit, call };
        let error = match wait_at_point(|| Ended::Cancelled, || retry(attempt)) {
            Ended::Cancelled => libc::ECANCELED,
            Ended::Interrupted => libc::EINTR,
            _ => return true,
        };
        self.within.fails_with(error);
        // SAFETY: as above.
        unsafe { (*self.head()).flags |= ERROR_SEEN };
        false
    }

    /// Takes so many bytes out of the buffer, which has them.
    pub(super) fn consume(&mut self, count: usize) {
        // SAFETY: the file is open, and the address stays in the buffer.
        unsafe { (*self.head()).read_from = (*self.head()).read_from.add(count) };
    }

    /// Whether there is an error.
    pub(super) fn has_error(&self) -> bool {
        // SAFETY: the file is open.
        unsafe { (*self.head()).flags & ERROR_SEEN != 0 }
    }

    /// What `errno` will be.
    pub(super) fn error(&self) -> c_int {
        self.within.errno()
    }

    /// Calls `read`, during which only its own errors count; then those from before are there again.
    pub(super) fn with_own_errors<R>(&mut self, read: impl FnOnce(&mut Self) -> R) -> R {
        // SAFETY: the file is open, here and below.
        let before = unsafe { (*self.head()).flags } & ERROR_SEEN;
        // SAFETY: as above.
        unsafe { (*self.head()).flags &= !ERROR_SEEN };
        let result = read(self);
        // SAFETY: as above.
        unsafe { (*self.head()).flags |= before };
        result
    }
}
