//! Looking at memory that other threads use and may free: the kernel copies it, or says that there is none.
//!
//! What comes out are bytes of some moment; whoever asks has another way to know whether they belong together.

#![expect(unsafe_code, reason = "a system call that reads addresses of this process")]

use std::mem::MaybeUninit;

/// The bytes of the value at `address`. `None` if there is no such memory, or if the kernel does not let a process read
/// itself in this way, as some containers do not.
pub(crate) fn value<T>(address: *const T) -> Option<MaybeUninit<T>> {
    let mut copy = MaybeUninit::<T>::uninit();
    copy_out(address.cast(), copy.as_mut_ptr().cast(), size_of::<T>()).then_some(copy)
}

/// The `len` bytes at `address`.
pub(crate) fn bytes(address: *const u8, len: usize) -> Option<Vec<u8>> {
    let mut copy = Vec::with_capacity(len);
    if !copy_out(address, copy.as_mut_ptr(), len) {
        return None;
    }
    // SAFETY: that many bytes were written.
    unsafe { copy.set_len(len) };
    Some(copy)
}

/// `to` has room for `len` bytes.
fn copy_out(from: *const u8, to: *mut u8, len: usize) -> bool {
    let ours = libc::iovec { iov_base: to.cast(), iov_len: len };
    let theirs = libc::iovec { iov_base: from.cast_mut().cast(), iov_len: len };
    // SAFETY: process_vm_readv(2) writes at most `len` bytes to `to`; it reads what is there, and fails where nothing is.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &ours, 1, &theirs, 1, 0) };
    usize::try_from(copied) == Ok(len)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{bytes, value};

    #[test]
    fn what_is_there_is_copied_and_what_is_not_is_nothing() {
        let number = 0x1234_5678_u64;
        let Some(copy) = value(&raw const number) else { return };
        // SAFETY: the bytes of a number.
        assert_eq!(unsafe { copy.assume_init() }, number);
        assert_eq!(bytes("green".as_ptr(), 5).unwrap(), b"green");
        assert!(value(std::ptr::without_provenance::<u64>(8)).is_none());
    }
}
