//! glibc's `FILE` as its headers show it, and its lock.

#![expect(unsafe_code, reason = "looks into files of libc")]

use std::ffi::{c_char, c_int, c_void};
use std::time::{Duration, Instant};

use abaca::hook::{self, Overtaken, Pauses, Sleep, Slept};
use libc::FILE;

use crate::answer::{errno, failed, set_errno};
use crate::descriptors::kind::{Kind, kind_of};
use crate::descriptors::poll::look_at;
use crate::descriptors::write::write_bytes;
use crate::enter::Within;
use crate::own::own;
use crate::threads::{beside, in_clean_up, wait_at_point};

/// See the module's documentation.
#[repr(C)]
pub(super) struct Head {
    pub(super) flags: c_int,
    /// What is in the buffer to be read.
    pub(super) read_from: *mut c_char,
    pub(super) read_to: *mut c_char,
    pub(super) read_base: *mut c_char,
    /// What is in the buffer to be written, and where libc's functions look whether there is room.
    pub(super) write_from: *mut c_char,
    pub(super) write_to: *mut c_char,
    pub(super) write_end: *mut c_char,
    pub(super) buffer: *mut c_char,
    pub(super) buffer_end: *mut c_char,
    /// What was read, while what was put back is read: its begin, the begin of the area for what is put back, and its end.
    pub(super) saved: [*mut c_char; 3],
    markers: *mut c_void,
    next: *mut FILE,
    number: c_int,
    more_flags: c_int,
    old_offset: i64,
    column: u16,
    vtable_offset: i8,
    short_buffer: [c_char; 1],
    lock: *mut c_void,
    /// Where the file is, if libc knows.
    pub(super) offset: i64,
    conversion: *mut c_void,
    /// The buffers of wide characters.
    pub(super) wide: *mut c_void,
}

const _: () = assert!(size_of::<usize>() != 8 || size_of::<Head>() == 168);

pub(super) const UNBUFFERED: c_int = 2;
pub(super) const IS_NOT_READ: c_int = 4;
pub(super) const IS_NOT_WRITTEN: c_int = 8;
/// What feof(3) tells.
pub(super) const END_SEEN: c_int = 0x10;
/// What ferror(3) tells.
pub(super) const ERROR_SEEN: c_int = 0x20;
/// What was put back (ungetc(3)) is read, before the rest.
pub(super) const READS_PUT_BACK: c_int = 0x100;
pub(super) const BY_LINES: c_int = 0x200;
/// The buffer has what is to be written.
pub(super) const IS_WRITING: c_int = 0x800;
pub(super) const APPENDS: c_int = 0x1000;

// SAFETY: as glibc defines them.
unsafe extern "C" {
    fn ftrylockfile(file: *mut FILE) -> c_int;
    fn fwide(file: *mut FILE, mode: c_int) -> c_int;
}

/// Calls libc's own function, whose `errno` is the caller's.
pub(super) fn call<R>(within: &Within, call: impl FnOnce() -> R) -> R {
    set_errno(within.errno());
    let result = call();
    within.fails_with(errno());
    result
}

/// The number of a file whose calls may wait for another process; `None` if it is on a disk, or in memory.
///
/// # Safety
///
/// The file is open.
pub(super) unsafe fn waiting_number(file: *mut FILE) -> Option<c_int> {
    // SAFETY: the caller's promise.
    let fd = unsafe { libc::fileno(file) };
    (fd >= 0 && kind_of(fd) != Kind::Regular).then_some(fd)
}

/// write(2), as a function of stdio makes it.
///
/// # Safety
///
/// The arguments are those of write(2).
pub(super) unsafe fn write(fd: c_int, from: *const c_char, bytes: usize) -> isize {
    // SAFETY: the caller's promise.
    let call = || unsafe { write_bytes(fd, from.cast(), bytes) };
    // What need not wait is written although the caller is cancelled: it would be lost.
    let refused = || if look_at(fd, libc::POLLOUT) == Ok(0) { failed(libc::ECANCELED) } else { call() };
    wait_at_point(refused, call)
}

/// Whether the file takes wide characters.
///
/// # Safety
///
/// The file is open.
pub(super) unsafe fn is_wide(file: *mut FILE) -> bool {
    // SAFETY: the caller's promise; 0 changes nothing.
    unsafe { fwide(file, 0) > 0 }
}

/// Whether the file has taken neither bytes nor wide characters.
///
/// # Safety
///
/// The file is open.
pub(super) unsafe fn is_unoriented(file: *mut FILE) -> bool {
    // SAFETY: as above.
    unsafe { fwide(file, 0) == 0 }
}

/// The first pause between two looks at a lock that is held.
pub(super) const FIRST_PAUSE: Duration = Duration::from_micros(500);

/// A file's lock, if its user wants it to be taken.
pub(super) struct Lock {
    file: Option<*mut FILE>,
    /// Whether those who wait for it run when it is released: where no lock of libc's own is held meanwhile.
    is_fair: bool,
}

impl Lock {
    /// None: the caller has it, or does without.
    pub(super) const fn none() -> Self {
        Self { file: None, is_fair: false }
    }

    /// The lock, if nobody else has it.
    ///
    /// # Safety
    ///
    /// The file is open as long as the lock is there.
    pub(super) unsafe fn try_take(file: *mut FILE) -> Option<Self> {
        // SAFETY: the caller's promise.
        (unsafe { ftrylockfile(file) } == 0).then_some(Self { file: Some(file), is_fair: false })
    }

    /// `Err`: the caller was cancelled while another had the lock.
    ///
    /// # Safety
    ///
    /// The file is open as long as the lock is there.
    pub(super) unsafe fn take(within: &Within, file: *mut FILE, locks: bool) -> Result<Self, ()> {
        if !locks {
            return Ok(Self::none());
        }
        // SAFETY: as above.
        if unsafe { lock(file, true) } {
            return Ok(Self { file: Some(file), is_fair: true });
        }
        within.fails_with(libc::ECANCELED);
        Err(())
    }
}

/// Takes a file's lock. False: the caller was cancelled before, and may be.
///
/// # Safety
///
/// The file is open as long as the lock is taken.
pub(super) unsafe fn lock(file: *mut FILE, is_cancellable: bool) -> bool {
    // SAFETY: the caller's promise.
    let attempt = || unsafe { ftrylockfile(file) } == 0;
    attempt() || in_clean_up(|| wait_for(file, is_cancellable, attempt))
}

/// Waits for a file's lock, which functions of libc's own release as well: these wake nobody.
#[cold]
fn wait_for(file: *mut FILE, is_cancellable: bool, attempt: impl Fn() -> bool) -> bool {
    let mut pauses = Pauses::starting_with(FIRST_PAUSE);
    let (mut overtaken, mut is_overtaken) = (Overtaken::NOT, false);
    loop {
        let mut is_taken = false;
        let deadline = Some(Instant::now() + pauses.next_pause());
        let sleep = Sleep { address: beside(file), bits: u32::MAX, deadline, is_cancellable, is_overtaken };
        let stay = || {
            is_taken = attempt();
            !is_taken
        };
        // No handler of a signal ends libc's wait for a lock.
        let slept = hook::sleep_or_handle_at(sleep, stay, || ());
        if is_taken || slept == Slept::Cancelled {
            return is_taken;
        }
        is_overtaken = overtaken.again();
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(file) = self.file else { return };
        // SAFETY: this has taken the lock.
        unsafe { own!(fn funlockfile(*mut FILE) -> ())(file) };
        // Who is not seen here looks again after its pause.
        if hook::has_sleepers(beside(file)) {
            let wake = || hook::wake_at(beside(file), u32::MAX, 1);
            if self.is_fair {
                hook::wake_fairly(beside(file), wake)
            } else {
                wake()
            };
        }
    }
}
