//! A file of stdio to which a fiber writes: what fits into its buffer is copied there, and what does not is written by the fiber's own
//! write(2), which waits for room as a fiber, where libc's function would write by a system call of its own.
//!
//! The steps are libc's: the buffer is filled, and written whole; then as much of the rest is written as makes whole buffers; what is left stays
//! in the buffer, but for what ends in a line, if the file is written by lines. After an error the buffer is empty, and what was in it is lost.
//!
//! The file's lock is held meanwhile, as libc's functions hold it. Its owner is a fiber, so others of the thread do not have it as well.

#![expect(unsafe_code, reason = "looks into files of libc, and fills and empties their buffers")]

use std::ffi::{c_char, c_int};

use libc::{EOF, FILE};

use super::file::{
    APPENDS, BY_LINES, ERROR_SEEN, Head, IS_NOT_WRITTEN, IS_WRITING, Lock, UNBUFFERED, is_wide,
    waiting_number, write,
};
use crate::answer::{errno, set_errno};
use crate::enter::Within;
use crate::own::own;

/// What has become of bytes that were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Put {
    /// How many libc's function would say that it has taken: what was in the buffer when that was lost counts.
    pub(super) taken: usize,
    pub(super) has_failed: bool,
}

/// See the module's documentation. It has the file's lock, if it takes one.
pub(super) struct Sink<'a> {
    within: &'a Within,
    file: *mut FILE,
    _lock: Lock,
}

impl<'a> Sink<'a> {
    /// `Ok(None)`: only libc's own function can write to the file. `Err`: the caller was cancelled while another had the lock.
    ///
    /// # Safety
    ///
    /// The file is open.
    pub(super) unsafe fn begin(within: &'a Within, file: *mut FILE, locks: bool) -> Result<Option<Self>, ()> {
        // SAFETY: the caller's promise, here and below.
        let lock = unsafe { Lock::take(within, file, locks) }?;
        let sink = Self { within, file, _lock: lock };
        // SAFETY: as above. One in memory has no number.
        let is_plain = unsafe { libc::fileno(file) >= 0 && !is_wide(file) };
        Ok((is_plain && sink.flags() & IS_NOT_WRITTEN == 0).then_some(sink))
    }

    /// The file of a caller that has its lock, or does without.
    ///
    /// # Safety
    ///
    /// The file is open, takes bytes, and has a number.
    pub(super) unsafe fn held(within: &'a Within, file: *mut FILE) -> Self {
        Self { within, file, _lock: Lock::none() }
    }

    fn head(&self) -> *mut Head {
        self.file.cast()
    }

    fn flags(&self) -> c_int {
        // SAFETY: the file is open.
        unsafe { (*self.head()).flags }
    }

    /// How many bytes of the buffer are to be written.
    pub(super) fn pending(&self) -> usize {
        // SAFETY: the file is open.
        let (from, to) = unsafe { ((*self.head()).write_from, (*self.head()).write_to) };
        if self.is_writing() { to.addr().saturating_sub(from.addr()) } else { 0 }
    }

    fn is_writing(&self) -> bool {
        // SAFETY: the file is open.
        self.flags() & IS_WRITING != 0 && unsafe { !(*self.head()).write_from.is_null() }
    }

    /// Whether a write to the file waits for others.
    pub(super) fn may_wait(&self) -> bool {
        // SAFETY: the file is open.
        unsafe { waiting_number(self.file).is_some() }
    }

    /// Puts these bytes into the file. `None`, and nothing was done: that is for libc's own function.
    pub(super) fn put(&mut self, data: &[u8]) -> Option<Put> {
        if !self.is_writing() {
            if !self.may_wait() {
                return None;
            }
            // Makes the buffer one to be written, if it need be that; there is nothing to write yet.
            // SAFETY: the file is open.
            if unsafe { own!(fn __overflow(*mut FILE, c_int) -> c_int)(self.file, EOF) } == EOF {
                self.within.fails_with(errno());
                return Some(Put { taken: 0, has_failed: true });
            }
        }
        let flags = self.flags();
        let last_line = |data: &[u8]| data.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        // SAFETY: the file is open.
        let (size, room) = unsafe {
            let Head { buffer, buffer_end, write_to, .. } = &*self.head();
            (buffer_end.addr() - buffer.addr(), buffer_end.addr().saturating_sub(write_to.addr()))
        };
        let (now, must_flush) = match data.len() {
            _ if flags & UNBUFFERED != 0 => (0, true),
            bytes if bytes > room => (room, true),
            bytes if flags & BY_LINES != 0 => last_line(data).map_or((bytes, false), |end| (end, true)),
            bytes => (bytes, false),
        };
        if must_flush && !self.may_wait() {
            return None;
        }
        // SAFETY: the file is open, and has so much room.
        unsafe {
            let to = (*self.head()).write_to;
            data.as_ptr().copy_to_nonoverlapping(to.cast(), now);
            (*self.head()).write_to = to.add(now);
        }
        if !must_flush {
            return Some(Put { taken: now, has_failed: false });
        }
        if !self.flush() {
            return Some(Put { taken: now, has_failed: true });
        }
        let rest = &data[now..];
        let whole = if size < 128 { rest.len() } else { rest.len() - rest.len() % size };
        let moved = self.write(rest.as_ptr().cast(), whole);
        let taken = now + moved;
        if moved < whole {
            return Some(Put { taken, has_failed: true });
        }
        let rest = &rest[whole..];
        if rest.is_empty() {
            return Some(Put { taken, has_failed: false });
        }
        // It is less than the buffer, which is empty.
        self.put(rest).map(|put| Put { taken: taken + put.taken, ..put })
    }

    /// Writes what is in the buffer; false if there is an error now.
    pub(super) fn flush(&mut self) -> bool {
        let pending = self.pending();
        if pending == 0 {
            return true;
        }
        let head = self.head();
        // SAFETY: the file is open.
        let (from, read_to) = unsafe { ((*head).write_from, (*head).read_to) };
        if self.flags() & APPENDS == 0 && read_to != from {
            // What was read before must be found again, for which libc moves the file: one that waits cannot be moved.
            // SAFETY: as above.
            let has_failed = unsafe { own!(fn __overflow(*mut FILE, c_int) -> c_int)(self.file, EOF) } == EOF;
            if has_failed {
                self.within.fails_with(errno());
            }
            return !has_failed;
        }
        let moved = self.write(from, pending);
        // SAFETY: as above: as libc empties its buffer, whatever has become of the bytes.
        unsafe {
            let (begin, end) = ((*head).buffer, (*head).buffer_end);
            ((*head).read_from, (*head).read_to, (*head).read_base) = (begin, begin, begin);
            ((*head).write_from, (*head).write_to) = (begin, begin);
            (*head).write_end = if self.flags() & (BY_LINES | UNBUFFERED) != 0 { begin } else { end };
        }
        moved == pending
    }

    /// Writes bytes to the descriptor, and notes an error. How many were written.
    fn write(&mut self, from: *const c_char, bytes: usize) -> usize {
        let head = self.head();
        let mut done = 0;
        while done < bytes {
            // SAFETY: the file is open.
            let fd = unsafe { libc::fileno(self.file) };
            set_errno(self.within.errno());
            // SAFETY: the bytes are the file's, whose lock the caller has, or the user's.
            let moved = unsafe { write(fd, from.add(done), bytes - done) };
            if moved < 0 {
                self.fail(-moved as c_int);
                break;
            }
            done += moved as usize;
        }
        // SAFETY: the file is open.
        unsafe {
            if self.flags() & APPENDS != 0 {
                (*head).offset = -1;
            } else if (*head).offset >= 0 {
                (*head).offset += done as i64;
            }
        }
        done
    }

    /// Notes an error, whose number the caller finds.
    fn fail(&mut self, error: c_int) {
        self.within.fails_with(error);
        // SAFETY: the file is open.
        unsafe { (*self.head()).flags |= ERROR_SEEN };
    }
}
