//! Messages: sendmsg(2) and recvmsg(2), with the control data beside them, and its format.
//!
//! Control data is a row of entries: a header (length, level, kind), a body, padding up to the next multiple of a
//! machine word. [`Entry::first_of`] trusts no length that it finds there.

#![expect(unsafe_code, reason = "system calls")]
#![allow(clippy::unnecessary_cast, reason = "the types of lengths are the C library's choice")]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use socket2::SockAddr;

use super::socket::{SEND_FLAGS, check, vector_len};

/// The level of the entries that Unix sockets pass.
pub(crate) const SOCKET_LEVEL: i32 = libc::SOL_SOCKET;
/// The kind of an entry with descriptors.
pub(crate) const RIGHTS: i32 = libc::SCM_RIGHTS;
/// The kind of an entry with a process's credentials.
pub(crate) const CREDENTIALS: i32 = libc::SCM_CREDENTIALS;

/// A received message, apart from its bytes.
#[derive(Debug)]
pub(crate) struct Received {
    /// The number of bytes in the buffers.
    pub(crate) length: usize,
    /// The number of bytes of control data.
    pub(crate) control: usize,
    /// Whether the datagram was longer than the buffers.
    pub(crate) truncated: bool,
    /// Whether there was more control data than room for it.
    pub(crate) control_truncated: bool,
    /// The sender's address; of family 0 if the sender has none.
    pub(crate) from: SockAddr,
}

impl Received {
    /// The end of a stream: no bytes, and no sender.
    pub(crate) fn nothing() -> io::Result<Self> {
        let from = SockAddr::unix("")?;
        Ok(Self { length: 0, control: 0, truncated: false, control_truncated: false, from })
    }
}

/// Receives a message without blocking. The caller owns the descriptors in its control data; they are closed on exec.
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    control: &mut [u8],
) -> io::Result<Received> {
    let mut message = header(buffers.as_mut_ptr().cast(), buffers.len(), control);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the kernel writes an address into the storage, and the address's length.
    let (length, from) = unsafe {
        SockAddr::try_init(|storage, len| {
            message.msg_name = storage.cast();
            message.msg_namelen = *len;
            // SAFETY: `IoSliceMut` has the layout of `iovec`; these buffers, the control data and the storage are
            // live and as long as the header says.
            let length = check(libc::recvmsg(fd.as_raw_fd(), &mut message, flags))?;
            *len = message.msg_namelen;
            Ok(length)
        })?
    };
    Ok(Received {
        length,
        control: message.msg_controllen as usize,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        control_truncated: message.msg_flags & libc::MSG_CTRUNC != 0,
        from,
    })
}

/// Sends a message without blocking, to the peer if `to` is `None`.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    slices: &[IoSlice<'_>],
    control: &[u8],
    to: Option<&SockAddr>,
) -> io::Result<usize> {
    let mut message = header(slices.as_ptr().cast_mut().cast(), slices.len(), control);
    if let Some(to) = to {
        message.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_namelen = to.len();
    }
    // SAFETY: `IoSlice` has the layout of `iovec`; the slices, the control data and the address are live and as long
    // as the header says. The kernel does not write through a header that it sends.
    check(unsafe { libc::sendmsg(fd.as_raw_fd(), &message, SEND_FLAGS) })
}

fn header(buffers: *mut libc::iovec, len: usize, control: &[u8]) -> libc::msghdr {
    // SAFETY: all-zero is a valid header: no address, no buffers, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers;
    message.msg_iovlen = vector_len(len) as _;
    if !control.is_empty() {
        message.msg_control = control.as_ptr().cast_mut().cast();
        message.msg_controllen = control.len() as _;
    }
    message
}

/// One entry of control data.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    pub(crate) body: &'a mut [u8],
}

const HEADER: usize = size_of::<libc::cmsghdr>();

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

const _: () = assert!(HEADER == aligned(HEADER), "a body begins right after its header");

impl<'a> Entry<'a> {
    /// The first entry, and the rest of the control data. `None` at the end, and for a header that makes no sense.
    pub(crate) fn first_of(control: &'a mut [u8]) -> Option<(Self, &'a mut [u8])> {
        if control.len() < HEADER {
            return None;
        }
        // SAFETY: there are enough bytes, any bytes are a valid header, and the read may be unaligned.
        let header: libc::cmsghdr = unsafe { ptr::read_unaligned(control.as_ptr().cast()) };
        let length = header.cmsg_len as usize;
        if length < HEADER || length > control.len() {
            return None;
        }
        let end = aligned(length).min(control.len());
        let (entry, rest) = control.split_at_mut(end);
        let body = &mut entry[HEADER..length];
        Some((Self { level: header.cmsg_level, kind: header.cmsg_type, body }, rest))
    }

    /// Writes an entry to the beginning of `room`, and returns its length with the padding. `None` if it does not fit.
    pub(crate) fn write<const N: usize>(
        room: &mut [u8],
        kind: i32,
        items: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> Option<usize> {
        let length = HEADER.checked_add(items.len().checked_mul(N)?)?;
        let room = room.get_mut(..aligned(length))?;
        room.fill(0);
        let mut put = |at: usize, bytes: &[u8]| room[at..at + bytes.len()].copy_from_slice(bytes);
        // Field by field, since the C library's header may have padding, and `room` may be unaligned.
        let mut header = zeroed_header();
        header.cmsg_len = length as _;
        put(offset_of!(libc::cmsghdr, cmsg_len), &header.cmsg_len.to_ne_bytes());
        put(offset_of!(libc::cmsghdr, cmsg_level), &SOCKET_LEVEL.to_ne_bytes());
        put(offset_of!(libc::cmsghdr, cmsg_type), &kind.to_ne_bytes());
        for (place, item) in room[HEADER..].chunks_exact_mut(N).zip(items) {
            place.copy_from_slice(&item);
        }
        Some(room.len())
    }
}

fn zeroed_header() -> libc::cmsghdr {
    // SAFETY: the header consists of numbers, which may be zero.
    unsafe { std::mem::zeroed() }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written_at_any_alignment() {
        for offset in 0..8 {
            let mut bytes = [0xAA; 96];
            let room = &mut bytes[offset..];
            let first = Entry::write(room, RIGHTS, [[1], [2], [3]].into_iter()).unwrap();
            let second = Entry::write(&mut room[first..], CREDENTIALS, [[7; 8]].into_iter()).unwrap();
            let (entry, rest) = Entry::first_of(&mut room[..first + second]).unwrap();
            assert_eq!((entry.level, entry.kind, &*entry.body), (SOCKET_LEVEL, RIGHTS, &[1, 2, 3][..]));
            let (entry, rest) = Entry::first_of(rest).unwrap();
            assert_eq!((entry.kind, entry.body.len()), (CREDENTIALS, 8));
            assert!(Entry::first_of(rest).is_none());
        }
    }

    #[test]
    fn an_entry_that_does_not_fit_is_not_written() {
        let mut room = [7; HEADER + 8];
        assert!(Entry::write(&mut room, RIGHTS, [[0; 9]].into_iter()).is_none());
        assert_eq!(room, [7; HEADER + 8]);
        assert_eq!(Entry::write(&mut room, RIGHTS, [[1; 8]].into_iter()), Some(HEADER + 8));
    }

    proptest::proptest! {
        /// Whatever the bytes are, no entry reaches beyond them, and the entries come to an end.
        #[test]
        fn nonsense_is_read_within_its_bounds(mut bytes: Vec<u8>, length: u8) {
            if let Some(first) = bytes.first_mut() {
                *first = length;
                bytes.iter_mut().take(8).skip(1).for_each(|byte| *byte &= 1);
            }
            let total = bytes.len();
            let mut rest = &mut bytes[..];
            let mut seen = 0;
            while let Some((entry, next)) = Entry::first_of(rest) {
                seen += HEADER + entry.body.len();
                rest = next;
            }
            proptest::prop_assert!(seen <= total);
        }
    }
}
