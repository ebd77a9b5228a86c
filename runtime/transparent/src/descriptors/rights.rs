//! Descriptors that come in messages.

#![expect(unsafe_code, reason = "walks the control data of a message")]

use std::ffi::c_int;

use abaca::hook::descriptors::{file_shared, forget};

/// Forgets the numbers that a message has brought (SCM_RIGHTS), in case their last files were closed behind the runtime's back. Returns
/// whether there were some.
///
/// # Safety
///
/// The kernel has filled the header in.
pub(super) unsafe fn forget_received(message: &libc::msghdr) -> bool {
    let mut has_some = false;
    let visit = |number| {
        has_some = true;
        forget(number);
    };
    // SAFETY: the caller's promise.
    unsafe { for_each_right(message, visit) };
    has_some
}

/// Notes that the files of which a message brings descriptors to others will be theirs as well.
///
/// # Safety
///
/// The header is one for sendmsg(2).
#[inline]
pub(super) unsafe fn note_sent(message: &libc::msghdr) {
    // SAFETY: the caller's promise.
    unsafe { for_each_right(message, file_shared) };
}

/// Calls `visit` with each descriptor of a message's control data.
///
/// # Safety
///
/// The header's control data is whole.
#[inline]
unsafe fn for_each_right(message: &libc::msghdr, mut visit: impl FnMut(c_int)) {
    if message.msg_control.is_null() || message.msg_controllen == 0 {
        return;
    }
    // SAFETY: the caller's promise.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: as above: a header of the list, or null.
    while let Some(header) = unsafe { at.as_ref() } {
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: computes a length.
            let before = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = header.cmsg_len.saturating_sub(before) / size_of::<c_int>();
            for index in 0..count {
                // SAFETY: the data of such a message are so many numbers, which need not be aligned.
                visit(unsafe { libc::CMSG_DATA(header).cast::<c_int>().add(index).read_unaligned() });
            }
        }
        // SAFETY: as above.
        at = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
}
