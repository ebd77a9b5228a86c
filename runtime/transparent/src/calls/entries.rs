//! What libc finds of a user, a group or a host: an entry, and a buffer to which its addresses lead.
//!
//! A look-up fills in an entry and a buffer of its own, so that a fiber which gives up can leave it behind. If the fiber has waited, both are
//! copied to where the caller wants them, and the addresses with them.

#![expect(unsafe_code, reason = "copies structures of libc's with the addresses in them, and writes h_errno")]

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use abaca::hook::offload_or_leave;
use libc::ERANGE;

use super::entry::{Entry, Moved};
use super::resolver::Settings;
use crate::answer::{errno, set_errno};
use crate::enter::Within;

// SAFETY: as glibc defines it.
unsafe extern "C" {
    fn __h_errno_location() -> *mut c_int;
}

/// `NETDB_INTERNAL`: `errno` tells.
const SEE_ERRNO: c_int = -1;

/// The calling thread's `h_errno`.
pub(super) fn host_error() -> c_int {
    // SAFETY: the address is that of a variable of this thread's.
    unsafe { *__h_errno_location() }
}

pub(super) fn set_host_error(error: c_int) {
    // SAFETY: as above.
    unsafe { *__h_errno_location() = error };
}

/// The caller of a look-up was cancelled.
pub(super) fn cancelled(within: &Within) {
    within.fails_with(libc::ECANCELED);
    set_host_error(SEE_ERRNO);
}

/// Where a look-up of libc's writes: the entry, its buffer and size, whether it has found one, and h_errno.
pub(super) type Places<E> = (*mut E, *mut c_char, usize, *mut *mut E, *mut c_int);

/// What a look-up has found.
pub(super) struct Found<E> {
    code: c_int,
    pub(super) error: c_int,
    host_error: c_int,
    entry: MaybeUninit<E>,
    pub(super) is_found: bool,
    buffer: Buffer,
}

// SAFETY: an entry consists of numbers and addresses; these lead into the buffer, or to what never changes.
unsafe impl<E: Entry> Send for Found<E> {}

/// Bytes that begin at an address that leaves the same remainder as the caller's when divided by [`ALIGNMENT`].
struct Buffer {
    memory: Vec<c_char>,
    begin: usize,
    bytes: usize,
}

const ALIGNMENT: usize = 16;

impl Buffer {
    fn new(bytes: usize, remainder: usize) -> Self {
        let memory = vec![0; bytes + ALIGNMENT];
        let begin = (remainder + ALIGNMENT - memory.as_ptr().addr() % ALIGNMENT) % ALIGNMENT;
        Self { memory, begin, bytes }
    }

    fn pointer(&mut self) -> *mut c_char {
        self.memory[self.begin..].as_mut_ptr()
    }

    /// How many bytes of a buffer that begins there must be left out, so that what is in this one is as well aligned.
    fn shift(&self, remainder: usize) -> usize {
        let own = self.memory[self.begin..].as_ptr().addr();
        own.wrapping_sub(remainder) % ALIGNMENT
    }
}

impl<E: Entry> Found<E> {
    /// What a look-up finds, with a buffer of so many bytes; if they are too few, with more, `most` of them in the end. `before`: `errno` and
    /// `h_errno` of its caller.
    pub(super) fn by(
        (bytes, remainder): (usize, usize),
        most: usize,
        before: (c_int, c_int),
        look_up: impl Fn(Places<E>) -> c_int,
    ) -> Self {
        let mut bytes = bytes;
        loop {
            set_errno(before.0);
            let mut found = Self {
                code: 0,
                error: 0,
                host_error: before.1,
                entry: MaybeUninit::uninit(),
                is_found: false,
                buffer: Buffer::new(bytes, remainder),
            };
            let mut at = ptr::null_mut();
            let places = (
                found.entry.as_mut_ptr(),
                found.buffer.pointer(),
                bytes,
                &raw mut at,
                &raw mut found.host_error,
            );
            found.code = look_up(places);
            found.error = errno();
            if found.code == ERANGE && bytes < most {
                bytes = most.min(2 * bytes);
                continue;
            }
            found.is_found = found.code == 0 && !at.is_null();
            return found;
        }
    }

    /// What a look-up finds whose buffer is too small.
    pub(super) fn too_large(host_error: c_int) -> Self {
        let buffer = Buffer::new(0, 0);
        Self {
            code: ERANGE,
            error: ERANGE,
            host_error,
            entry: MaybeUninit::uninit(),
            is_found: false,
            buffer,
        }
    }

    /// How much room it takes in a buffer that begins at an address with this remainder.
    pub(super) fn bytes_at(&self, remainder: usize) -> usize {
        self.buffer.bytes + self.buffer.shift(remainder)
    }

    /// Copies what was found to a place of the caller's.
    ///
    /// # Safety
    ///
    /// The places can be written, the buffer with as many bytes as [`bytes_at`](Self::bytes_at) says.
    unsafe fn put(mut self, entry: *mut E, buffer: *mut c_char) {
        let from = self.buffer.pointer();
        let to = buffer.wrapping_add(self.buffer.shift(buffer.addr() % ALIGNMENT));
        let moved = Moved { from: from.addr(), bytes: self.buffer.bytes, to };
        // SAFETY: the caller's promise; libc has filled in the entry.
        unsafe {
            ptr::copy_nonoverlapping(from, to, self.buffer.bytes);
            ptr::copy_nonoverlapping(self.entry.as_ptr(), entry, 1);
            (*entry).follow(&moved);
        }
    }
}

/// Makes a look-up on a thread of the pool ([`Found::by`]). `None` if the caller was cancelled, and has left it behind.
fn ask<E: Entry>(
    within: &Within,
    size: (usize, usize),
    most: usize,
    look_up: impl Fn(Places<E>) -> c_int + Send + 'static,
) -> Option<Found<E>> {
    let before = (within.errno(), host_error());
    let settings = Settings::of_caller();
    let found = offload_or_leave(move || settings.lend(|| Found::by(size, most, before, look_up)));
    match &found {
        Some(found) => within.fails_with(found.error),
        None => cancelled(within),
    }
    found
}

/// Enough for nearly all entries.
const ENOUGH: usize = 1 << 16;

/// A look-up that fills in what is the caller's: its result, which is an error number.
///
/// # Safety
///
/// The places are those of the caller, as libc's function takes them. `host_error` may be null.
pub(super) unsafe fn fill_in<E: Entry>(
    within: &Within,
    (entry, buffer, bytes, result, host_error): Places<E>,
    look_up: impl Fn(Places<E>) -> c_int + Send + 'static,
) -> c_int {
    let found = ask(within, size_of_caller(buffer, bytes), bytes, look_up);
    // SAFETY: the caller's promise.
    unsafe { answer(found, (entry, buffer, bytes, result, host_error)) }
}

/// The size and the remainder of a buffer that a look-up has for one of its caller's, who may have more room than anybody needs.
pub(super) fn size_of_caller(buffer: *mut c_char, bytes: usize) -> (usize, usize) {
    (bytes.min(ENOUGH), buffer.addr() % ALIGNMENT)
}

/// Fills in what is the caller's: the result is an error number.
///
/// # Safety
///
/// As [`fill_in`]; what was found has room in the buffer.
pub(super) unsafe fn answer<E: Entry>(
    found: Option<Found<E>>,
    (entry, buffer, _, result, host_error): Places<E>,
) -> c_int {
    let told = found.as_ref().map_or(SEE_ERRNO, |found| found.host_error);
    // SAFETY: the caller's promise.
    unsafe {
        if !host_error.is_null() {
            *host_error = told;
        }
        *result = ptr::null_mut();
        match found {
            Some(found) if found.is_found => {
                found.put(entry, buffer);
                *result = entry;
                0
            }
            Some(found) => found.code,
            None => libc::ECANCELED,
        }
    }
}

/// The entry that a function without a place for one returns: the process's, until the next call of the function.
pub(super) struct Kept<E>(Mutex<Place<E>>);

/// The entry, and its buffer of so many bytes; null at first. One that has become too small stays where it is.
struct Place<E>(*mut E, *mut c_char, usize);

// SAFETY: the addresses are used under the lock only; what callers do with them is theirs, as with libc's.
unsafe impl<E: Entry> Send for Place<E> {}

/// The first try.
pub(super) const BYTES: usize = 1024;

/// More than memory has, so that an entry is found whatever its size.
pub(super) const MOST: usize = isize::MAX as usize / 4;

impl<E: Entry> Kept<E> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Place(ptr::null_mut(), ptr::null_mut(), 0)))
    }

    /// Makes the look-up; the entry, or null.
    pub(super) fn look_up(
        &self,
        within: &Within,
        look_up: impl Fn(Places<E>) -> c_int + Send + 'static,
    ) -> *mut E {
        ask(within, (BYTES, 0), MOST, look_up).map_or(ptr::null_mut(), |found| self.keep(found))
    }

    /// Keeps what was found; the entry, or null if there is none.
    pub(super) fn keep(&self, found: Found<E>) -> *mut E {
        if found.host_error != 0 {
            set_host_error(found.host_error);
        }
        if !found.is_found {
            return ptr::null_mut();
        }
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if place.0.is_null() {
            place.0 = Box::leak(Box::new(MaybeUninit::uninit())).as_mut_ptr();
        }
        let bytes = found.bytes_at(0);
        if place.2 < bytes {
            // Words, so that lists of addresses are aligned.
            let words = vec![0_u128; bytes.div_ceil(size_of::<u128>())];
            (place.1, place.2) = (words.leak().as_mut_ptr().cast(), bytes);
        }
        // SAFETY: the places are this one's, and large enough.
        unsafe { found.put(place.0, place.1) };
        place.0
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use libc::group;

    use super::*;
    use crate::enter::enter;

    /// Fills in a group of two members, as libc would: the list first, and then the names.
    fn fill(places: Places<group>) {
        let (entry, buffer, _, result, _) = places;
        // SAFETY: the look-up's places, whose buffer has 64 bytes and is aligned to words.
        unsafe {
            let list = buffer.cast::<*mut c_char>();
            let names = buffer.add(24);
            names.cast::<[u8; 9]>().write(*b"one\0two\0\0");
            list.write(names);
            list.add(1).write(names.add(4));
            list.add(2).write(ptr::null_mut());
            *entry =
                group { gr_name: names.add(4), gr_passwd: c"x".as_ptr().cast_mut(), gr_gid: 7, gr_mem: list };
            *result = entry;
        }
    }

    fn texts(entry: &group) -> Vec<String> {
        // SAFETY: a list that ends in a null, of strings that end in a zero byte.
        let text = |at: *const c_char| unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned();
        // SAFETY: as above.
        let members = unsafe { [*entry.gr_mem, *entry.gr_mem.add(1)] };
        [entry.gr_name, entry.gr_passwd].into_iter().chain(members).map(|at| text(at)).collect()
    }

    #[test]
    fn an_entry_moves_to_its_caller_and_one_that_was_left_behind_nowhere() {
        if crate::install().is_err() {
            return;
        }
        abaca::run(|| {
            let step = Arc::new(AtomicU32::new(0));
            let until = |step: &AtomicU32, wanted| {
                while step.load(SeqCst) < wanted {
                    abaca::sleep(Duration::from_millis(1));
                }
            };
            let of_fiber = step.clone();
            let fiber = abaca::spawn(move || {
                let within = enter().expect("a fiber may wait");
                let mut buffer = [0_u64; 8];
                let mut entry = MaybeUninit::<group>::zeroed();
                let mut result = ptr::dangling_mut();
                let places =
                    (entry.as_mut_ptr(), buffer.as_mut_ptr().cast(), 64, &raw mut result, ptr::null_mut());
                let look_up = move |places: Places<group>| {
                    of_fiber.store(1, SeqCst);
                    while of_fiber.load(SeqCst) < 2 {
                        std::thread::yield_now();
                    }
                    fill(places);
                    of_fiber.store(3, SeqCst);
                    0
                };
                // SAFETY: the places are this fiber's.
                let code = unsafe { fill_in(&within, places, look_up) };
                (code, result.is_null(), buffer)
            });
            until(&step, 1);
            fiber.cancel();
            assert_eq!(fiber.join().unwrap(), (libc::ECANCELED, true, [0; 8]));
            step.store(2, SeqCst);
            until(&step, 3);

            static KEPT: Kept<group> = Kept::new();
            let within = enter().expect("a fiber may wait");
            let look_up = |places| {
                fill(places);
                0
            };
            let kept = KEPT.look_up(&within, look_up);
            // SAFETY: it was found.
            assert_eq!(texts(unsafe { &*kept }), ["two", "x", "one", "two"]);
            // The next call uses the same place.
            assert_eq!(KEPT.look_up(&within, look_up), kept);
        });
    }
}
