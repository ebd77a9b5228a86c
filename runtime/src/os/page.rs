//! The size of a page of memory: 4 KiB on x86_64, and what its kernel was built for elsewhere.

#![expect(unsafe_code, reason = "a call of libc")]

/// In bytes; a power of two, and at least 4096.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: sysconf(3) has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("the page size is known")
}
