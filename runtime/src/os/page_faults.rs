//! userfaultfd(2): the faults of missing pages of some ranges of this process's memory are served by a thread of its own.
//!
//! The kernel's own faults are served as well, so that a system call of anybody on memory there does not fail. For that, the process
//! needs a right: see [`PageFaults::open`].

#![expect(unsafe_code, reason = "system calls that take and give pages of memory")]

use std::io::{self, Error, ErrorKind};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::mask::SignalsBlocked;
use crate::atomic::thread_yield;

/// A page of memory whose fault [`PageFaults`] are asked for.
pub(crate) type Page = usize;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct PageFaults(OwnedFd);

/// The kernel's `struct uffdio_api`.
#[repr(C)]
struct Api {
    version: u64,
    features: u64,
    ioctls: u64,
}

/// The kernel's `struct uffdio_register`, of which `struct uffdio_range` and `struct uffdio_zeropage` are a part, or as large.
#[repr(C)]
struct Span {
    start: u64,
    len: u64,
    mode: u64,
    result: u64,
}

/// The kernel's `struct uffdio_copy` and `struct uffdio_move`.
#[repr(C)]
struct Transfer {
    to: u64,
    from: u64,
    len: u64,
    mode: u64,
    done: i64,
}

/// The kernel's `struct uffd_msg`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    flags: u64,
    address: u64,
    thread: u64,
}

const VERSION: u64 = 0xaa;
/// `UFFD_FEATURE_MOVE`, Linux 6.8.
const FEATURE_MOVE: u64 = 1 << 16;
const MODE_MISSING: u64 = 1;
const EVENT_PAGEFAULT: u8 = 0x12;

/// The requests of `linux/userfaultfd.h`; they are the same on all architectures with these numbers of directions.
mod request {
    pub(super) const NEW: u32 = 0xaa00;
    pub(super) const API: u32 = 0xc018_aa3f;
    pub(super) const REGISTER: u32 = 0xc020_aa00;
    pub(super) const UNREGISTER: u32 = 0x8010_aa01;
    pub(super) const WAKE: u32 = 0x8010_aa02;
    pub(super) const COPY: u32 = 0xc028_aa03;
    pub(super) const ZEROPAGE: u32 = 0xc020_aa04;
    pub(super) const MOVE: u32 = 0xc028_aa05;
}

/// Advice of `linux/mman.h`, Linux 6.13.
const MADV_GUARD_INSTALL: libc::c_int = 102;
const MADV_GUARD_REMOVE: libc::c_int = 103;

/// How many faults are read at a time.
const AT_ONCE: usize = 16;

impl PageFaults {
    /// # Errors
    ///
    /// * [`PermissionDenied`](ErrorKind::PermissionDenied): the process has none of the rights that the error names.
    /// * [`Unsupported`](ErrorKind::Unsupported): the kernel is older than Linux 6.8, or was built without.
    /// * The operating system's, if it refuses a descriptor.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = libc::O_CLOEXEC;
        // SAFETY: a system call that takes flags, and returns a new descriptor.
        let mut number = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        let mut error = Error::last_os_error();
        if number < 0 && error.kind() == ErrorKind::PermissionDenied {
            let device = std::fs::File::options().read(true).write(true).open("/dev/userfaultfd");
            if let Ok(device) = device {
                // SAFETY: the request takes flags, and returns a new descriptor.
                number = unsafe { libc::ioctl(device.as_raw_fd(), request::NEW.into(), flags) }.into();
                error = Error::last_os_error();
            }
        }
        let Ok(number @ 0..) = i32::try_from(number) else {
            return Err(match error.kind() {
                ErrorKind::PermissionDenied => Error::new(
                    ErrorKind::PermissionDenied,
                    "serving the faults of missing pages, the kernel's own among them, takes the capability CAP_SYS_PTRACE, the right \
                     to open /dev/userfaultfd, or vm.unprivileged_userfaultfd = 1",
                ),
                _ if error.raw_os_error() == Some(libc::ENOSYS) => {
                    Error::new(ErrorKind::Unsupported, "this kernel was built without userfaultfd")
                }
                _ => error,
            });
        };
        // SAFETY: the descriptor is new, and nobody else's.
        let faults = Self(unsafe { OwnedFd::from_raw_fd(number) });
        let mut api = Api { version: VERSION, features: FEATURE_MOVE, ioctls: 0 };
        faults.ask(request::API, &mut api).map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                "taking pages of memory in one step needs Linux 6.8 (UFFDIO_MOVE)",
            )
        })?;
        Ok(faults)
    }

    /// Has faults in the range served from now on.
    pub(crate) fn register(&self, range: &Range<Page>) -> io::Result<()> {
        let mut span = Span { mode: MODE_MISSING, ..Span::of(range) };
        self.ask(request::REGISTER, &mut span)
    }

    /// Has the kernel serve faults in the range again, as ever; those that wait are tried anew.
    pub(crate) fn unregister(&self, range: &Range<Page>) -> io::Result<()> {
        self.ask(request::UNREGISTER, &mut Span::of(range))
    }

    /// Moves a page to another address, in one step for all threads: who touches it afterwards waits until it has been
    /// [put](Self::put) back.
    ///
    /// # Errors
    ///
    /// * `EBUSY`: the kernel or a child of fork uses the page as well.
    /// * Any other, if there is no such page.
    ///
    /// # Safety
    ///
    /// Both are registered. The page has private memory, and is put back, since its contents are still needed. Nobody else uses `to`,
    /// which has no memory.
    pub(crate) unsafe fn take(&self, page: Page, to: Page, bytes: usize) -> io::Result<()> {
        self.transfer(request::MOVE, to, page, bytes)
    }

    /// Gives a registered page that is missing these contents.
    pub(crate) fn put(&self, page: Page, words: &[u64]) -> io::Result<()> {
        self.transfer(request::COPY, page, words.as_ptr().addr(), size_of_val(words))
    }

    /// Gives a registered page that is missing zeros, unless it is there, or registered no more: then who waits tries anew.
    pub(crate) fn put_zeros(&self, page: Page, bytes: usize) {
        let range = page..page + bytes;
        if self.ask(request::ZEROPAGE, &mut Span::of(&range)).is_err() {
            // No one waits, if this fails as well.
            let _ = self.ask(request::WAKE, &mut Span::of(&range));
        }
    }

    /// Waits for faults, and calls `serve` with the address of each.
    pub(crate) fn wait(&self, mut serve: impl FnMut(usize)) {
        let mut messages = [MaybeUninit::<Message>::uninit(); AT_ONCE];
        // SAFETY: read(2) writes to a live local.
        let bytes =
            unsafe { libc::read(self.0.as_raw_fd(), messages.as_mut_ptr().cast(), size_of_val(&messages)) };
        let count = usize::try_from(bytes).unwrap_or(0) / size_of::<Message>();
        for message in &messages[..count] {
            // SAFETY: the kernel has written so many.
            let message = unsafe { message.assume_init_ref() };
            if message.event == EVENT_PAGEFAULT {
                serve(message.address as usize);
            }
        }
    }

    fn transfer(&self, request: u32, to: Page, from: usize, bytes: usize) -> io::Result<()> {
        loop {
            let mut transfer =
                Transfer { to: to as u64, from: from as u64, len: bytes as u64, mode: 0, done: 0 };
            match self.ask(request, &mut transfer) {
                // The process's mappings change.
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => thread_yield(),
                result => return result,
            }
        }
    }

    fn ask<T>(&self, request: u32, argument: &mut T) -> io::Result<()> {
        // SAFETY: the argument is of the request's type. The effects are those of the safe and unsafe functions above.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), request.into(), ptr::from_mut(argument)) };
        if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
    }
}

impl Span {
    fn of(range: &Range<Page>) -> Self {
        Self { start: range.start as u64, len: (range.end - range.start) as u64, mode: 0, result: 0 }
    }
}

/// Pages for which there is no memory until something is [moved](PageFaults::take) there; mapped for good.
///
/// # Errors
///
/// * The operating system's.
pub(crate) fn map_places(bytes: usize) -> io::Result<Page> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let base =
        unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if base == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(base.expose_provenance()) }
}

/// The words at an address of [`map_places`] where something was moved to.
///
/// # Safety
///
/// It is there, and stays until the words are not used any more; so many words are part of it.
pub(crate) unsafe fn words<'a>(at: usize, count: usize) -> &'a [u64] {
    // SAFETY: the caller's promise; any bytes are numbers.
    unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance(at), count) }
}

/// Takes the memory from the places in the range.
///
/// # Safety
///
/// Nobody uses what was there any more.
pub(crate) unsafe fn discard(range: &Range<Page>) {
    let start: *mut u8 = ptr::with_exposed_provenance_mut(range.start);
    // SAFETY: the caller's promise.
    unsafe { libc::madvise(start.cast(), range.end - range.start, libc::MADV_DONTNEED) };
}

/// Takes what the page table has for the range: the memory of the pages, and the marks of guards. The pages of the table go as well, since
/// Linux 6.14.
///
/// # Safety
///
/// The range is whole pages of the page table. Nobody needs what is in it, and nobody runs there without a guard.
pub(crate) unsafe fn discard_tables(range: &Range<Page>) {
    let start: *mut u8 = ptr::with_exposed_provenance_mut(range.start);
    // A kernel that knows no marks has none to take; then a guard is a mapping, which stays.
    // SAFETY: the caller's promise.
    unsafe { libc::madvise(start.cast(), range.end - range.start, MADV_GUARD_REMOVE) };
    // SAFETY: the caller's promise.
    unsafe { discard(range) };
}

/// Guards the range by marks in the page table, if the kernel knows such. It goes on until there is memory for that.
///
/// # Safety
///
/// Nothing is in the range.
pub(crate) unsafe fn guard(range: &Range<Page>) {
    let start: *mut u8 = ptr::with_exposed_provenance_mut(range.start);
    // SAFETY: the caller's promise.
    while unsafe { libc::madvise(start.cast(), range.end - range.start, MADV_GUARD_INSTALL) } != 0 {
        let number = Error::last_os_error().raw_os_error();
        if !matches!(number, Some(libc::ENOMEM | libc::EAGAIN | libc::EINTR)) {
            // The guard is a mapping.
            return;
        }
        thread_yield();
    }
}

/// Starts a service thread that runs no signal's handler.
///
/// # Errors
///
/// * The operating system's.
pub(crate) fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // A new thread inherits the mask.
    let _blocked = SignalsBlocked::new();
    super::service::start(name.to_owned(), body).map(drop)
}

/// Has `prepare` called on each thread that is about to fork(2), and `done` afterwards there and in the child. Returns false if there is no
/// memory for that.
pub(crate) fn around_each_fork(
    prepare: extern "C" fn(),
    in_parent: extern "C" fn(),
    in_child: extern "C" fn(),
) -> bool {
    // SAFETY: the functions are static, and may run on any thread that forks.
    unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) == 0 }
}
