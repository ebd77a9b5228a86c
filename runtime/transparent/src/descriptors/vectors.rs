//! The rest of a list of buffers of which a part was moved.

#![expect(unsafe_code, reason = "reads and advances the user's buffers")]

use std::ffi::c_int;

/// A list of buffers of the user's, without what has been moved.
#[derive(Clone)]
pub(super) struct Vectors {
    all: Vec<libc::iovec>,
    first: usize,
}

impl Vectors {
    /// # Safety
    ///
    /// `list` has `count` valid elements, or is null, which is none.
    pub(super) unsafe fn of(list: *const libc::iovec, count: usize) -> Self {
        let all = if count == 0 || list.is_null() {
            Vec::new()
        } else {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts(list, count) }.to_vec()
        };
        Self { all, first: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.rest().iter().map(|vector| vector.iov_len).sum()
    }

    pub(super) fn rest(&self) -> &[libc::iovec] {
        &self.all[self.first..]
    }

    pub(super) fn pointer(&self) -> *const libc::iovec {
        self.rest().as_ptr()
    }

    pub(super) fn count(&self) -> usize {
        self.rest().len()
    }

    /// Drops `bytes` from the front.
    pub(super) fn advance(&mut self, mut bytes: usize) {
        while let Some(vector) = self.all.get_mut(self.first) {
            if bytes < vector.iov_len {
                vector.iov_base = vector.iov_base.wrapping_byte_add(bytes);
                vector.iov_len -= bytes;
                return;
            }
            bytes -= vector.iov_len;
            self.first += 1;
        }
    }

    /// Drops what is beyond `bytes`.
    pub(super) fn limit(&mut self, mut bytes: usize) {
        for vector in &mut self.all[self.first..] {
            vector.iov_len = vector.iov_len.min(bytes);
            bytes -= vector.iov_len;
        }
    }
}

/// How many bytes a list has; `None` if the kernel would refuse the list.
///
/// # Safety
///
/// If `count` is in the kernel's range, `list` has so many valid elements, or is null.
pub(super) unsafe fn total(list: *const libc::iovec, count: c_int) -> Option<usize> {
    let count = usize::try_from(count).ok().filter(|count| *count <= libc::UIO_MAXIOV as usize)?;
    if count == 0 {
        return Some(0);
    }
    if list.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let all = unsafe { std::slice::from_raw_parts(list, count) };
    all.iter().try_fold(0_usize, |sum, vector| sum.checked_add(vector.iov_len))
}
