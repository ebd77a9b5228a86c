//! All system calls, as functions that return their results. Nothing here knows of stacks.
#![expect(unsafe_code, reason = "system calls")]

use core::ffi::c_int;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// An error number of the operating system.
pub(crate) type Errno = c_int;

/// `MADV_GUARD_INSTALL` of Linux 6.13: page table markers that fault on access and need no mapping of their
/// own.
const MADV_GUARD_INSTALL: c_int = 102;

fn errno() -> Errno {
    // SAFETY: libc returns the address of this thread's errno, which is always there.
    unsafe { *libc::__errno_location() }
}

fn check(result: c_int) -> Result<(), Errno> {
    if result == 0 { Ok(()) } else { Err(errno()) }
}

/// The size of a page in bytes.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("the page size is known")
}

/// Whether what is mapped may be executed.
static IS_EXECUTABLE: AtomicBool = AtomicBool::new(false);

/// Lets what [`map`] maps from now on be executed.
pub(crate) fn make_executable() {
    // Relaxed: it publishes nothing.
    IS_EXECUTABLE.store(true, Ordering::Relaxed);
}

/// Maps `bytes` of zeroed memory that is committed page by page as it is touched.
pub(crate) fn map(bytes: usize) -> Result<NonNull<u8>, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    let execute = if IS_EXECUTABLE.load(Ordering::Relaxed) { libc::PROT_EXEC } else { 0 };
    let access = libc::PROT_READ | libc::PROT_WRITE | execute;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice replaces nothing.
    let base = unsafe { libc::mmap(core::ptr::null_mut(), bytes, access, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(errno());
    }
    let base = NonNull::new(base.cast::<u8>()).expect("the kernel maps nothing at address 0 unasked");
    // A huge page would commit 2 MiB at the first touch. Kernels without huge pages refuse the advice,
    // which is as good. SAFETY: advice about the mapping just made; it changes no contents.
    unsafe { libc::madvise(base.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE) };
    Ok(base)
}

/// Unmaps memory from [`map`].
///
/// # Safety
///
/// The range came from `map` and nothing in it is used any more.
pub(crate) unsafe fn unmap(base: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise.
    if check(unsafe { libc::munmap(base.as_ptr().cast(), bytes) }).is_err() {
        // The kernel has merged the mapping with a neighbour, and it cannot split them, since the process has all the mappings
        // that it may have. The addresses stay taken; the memory is released. SAFETY: as above.
        unsafe { discard(base, bytes) };
    }
}

/// Turns a range of pages into guard pages without giving them a mapping of their own.
///
/// # Safety
///
/// The range lies in memory from [`map`] and nothing in it is used.
pub(crate) unsafe fn guard_by_marker(start: NonNull<u8>, bytes: usize) -> Result<(), Errno> {
    loop {
        // SAFETY: the caller's promise.
        match check(unsafe { libc::madvise(start.as_ptr().cast(), bytes, MADV_GUARD_INSTALL) }) {
            Err(libc::EINTR | libc::EAGAIN) => {}
            done => return done,
        }
    }
}

/// Like [`guard_by_marker`], for several ranges in one system call, if the kernel can do that.
///
/// Returns how many ranges, from the first on, are guarded now. Less than all is no error: do the rest one
/// by one.
///
/// # Safety
///
/// As for `guard_by_marker`, for each range.
pub(crate) unsafe fn guard_many_by_marker(ranges: &[libc::iovec]) -> usize {
    // SAFETY: the caller's promise.
    unsafe { advise_many(ranges, MADV_GUARD_INSTALL) }
}

/// Gives the same advice about several ranges of this process in one system call. Returns how many of them, from the first
/// on, the kernel has taken; 0 if the kernel is too old.
///
/// # Safety
///
/// As for `madvise` with this advice, for each range.
unsafe fn advise_many(ranges: &[libc::iovec], advice: c_int) -> usize {
    // Valgrind complains of system calls that it does not know.
    if cfg!(abaca_valgrind) {
        return 0;
    }
    // SAFETY: has no preconditions; the descriptor is closed below.
    let own = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    let Ok(own) = c_int::try_from(own) else { return 0 };
    if own < 0 {
        return 0;
    }
    // SAFETY: the caller's promise about the ranges; the descriptor stands for this process.
    let advised =
        unsafe { libc::syscall(libc::SYS_process_madvise, own, ranges.as_ptr(), ranges.len(), advice, 0) };
    // SAFETY: the descriptor was opened above and is known to nobody else.
    unsafe { libc::close(own) };
    let mut advised = usize::try_from(advised).unwrap_or(0);
    ranges
        .iter()
        .take_while(|range| {
            let whole = advised >= range.iov_len;
            advised = advised.saturating_sub(range.iov_len);
            whole
        })
        .count()
}

/// Whether the address is guarded, so that not even the kernel can write to it: it is asked to put a random byte there.
///
/// # Safety
///
/// The byte lies in memory from [`map`] and nothing in it is used.
pub(crate) unsafe fn faults(place: NonNull<u8>) -> bool {
    // SAFETY: the caller's promise.
    let written = unsafe { libc::syscall(libc::SYS_getrandom, place.as_ptr(), 1, libc::GRND_NONBLOCK) };
    written < 0 && errno() == libc::EFAULT
}

/// Takes all access rights from a range of pages, which splits the mapping that they lie in.
///
/// # Safety
///
/// The range lies in memory from [`map`] and nothing in it is used.
pub(crate) unsafe fn guard_by_mapping(start: NonNull<u8>, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    check(unsafe { libc::mprotect(start.as_ptr().cast(), bytes, libc::PROT_NONE) })
}

/// Asks the kernel for a range of pages now. Does nothing if it cannot.
///
/// # Safety
///
/// The range lies in memory from [`map`], is not guarded, and the caller may write to it.
pub(crate) unsafe fn populate(start: NonNull<u8>, bytes: usize) {
    // Whatever is wrong, a touch will tell.
    // SAFETY: the caller's promise; the contents stay.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_POPULATE_WRITE) };
}

/// Releases the memory of a range of pages to the kernel; it reads as zero afterwards.
///
/// # Safety
///
/// The range lies in memory from [`map`] and nobody needs its contents.
pub(crate) unsafe fn discard(start: NonNull<u8>, bytes: usize) {
    // The call fails only for locked memory, which then stays as it is: nobody relies on the zeroes.
    // SAFETY: the caller's promise.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
}

/// Like [`discard`], for several ranges, in one system call if the kernel can do that.
///
/// # Safety
///
/// As for `discard`, for each range.
pub(crate) unsafe fn discard_many(ranges: &[libc::iovec]) {
    let done = match ranges.len() {
        0 | 1 => 0,
        // SAFETY: the caller's promise.
        _ => unsafe { advise_many(ranges, libc::MADV_DONTNEED) },
    };
    for range in &ranges[done..] {
        if let Some(start) = NonNull::new(range.iov_base.cast()) {
            // SAFETY: the caller's promise.
            unsafe { discard(start, range.iov_len) };
        }
    }
}

/// Lets another thread run. By the system call itself: `sched_yield` may be a function that lets other fibers run, which a signal's handler
/// must not.
pub(crate) fn yield_thread() {
    // SAFETY: has no preconditions.
    unsafe { libc::syscall(libc::SYS_sched_yield) };
}

/// The value of the sysctl `vm.max_map_count`, if it can be read.
pub(crate) fn max_map_count() -> Option<usize> {
    // SAFETY: the path is a C string.
    let file =
        unsafe { libc::open(c"/proc/sys/vm/max_map_count".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return None;
    }
    let mut text = [0_u8; 24];
    // SAFETY: the buffer is writable for its length.
    let length = unsafe { libc::read(file, text.as_mut_ptr().cast(), text.len()) };
    // SAFETY: the descriptor was opened above and is known to nobody else.
    unsafe { libc::close(file) };
    let text = text.get(..usize::try_from(length).ok()?)?;
    core::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Sleeps until woken, unless the word no longer has the value `expected`. May also return for no reason.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32) {
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is a live u32, and the timeout is absent.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            operation,
            expected,
            core::ptr::null::<libc::timespec>(),
        )
    };
}

/// Wakes one thread that sleeps in [`futex_wait`] on this word.
pub(crate) fn futex_wake_one(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is only an address to the kernel.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 1) };
}

/// Whether programs may set the base of `fs`.
pub(crate) fn may_set_fs_base() -> bool {
    /// `HWCAP2_FSGSBASE` of the kernel's `asm/hwcap2.h`.
    const FSGSBASE: libc::c_ulong = 2;
    // SAFETY: getauxval(3) has no preconditions.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & FSGSBASE != 0 }
}
