//! The memory below a stack that turns an overflow into a fault instead of a corrupted neighbour.
#![expect(unsafe_code, reason = "guards change the access rights of memory")]

use core::ptr::NonNull;

use super::error::StackError;
use crate::os;

/// The way in which the guard below each stack is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// `madvise(MADV_GUARD_INSTALL)`, Linux 6.13 and newer: a marker in the page table, no mapping of its
    /// own. If the kernel is too old, or an emulator accepts the call without effect, a pool changes to
    /// [`Guard::Mprotect`] by itself.
    Madvise,
    /// `mprotect(PROT_NONE)`: works everywhere, and costs two mappings a stack. A process has at most
    /// `vm.max_map_count` mappings.
    Mprotect,
}

impl Guard {
    /// The guard that a pool starts with by default.
    pub(super) const DEFAULT: Self = if cfg!(abaca_mprotect) { Self::Mprotect } else { Self::Madvise };

    /// The most guards that one call of [`install`](Self::install) makes.
    pub(super) const BATCH: usize = 64;

    /// The least size of a guard in bytes.
    ///
    /// A frame that is larger than the guard steps over it. Code of rustc touches each page of a frame in order, but not
    /// on every architecture, and code of C compilers need not (`-fstack-clash-protection` is a choice of the one who
    /// builds it). A buffer of 4 to 32 KiB on the stack is common in C. Hence a guard is sixteen times as large as one that
    /// only has to catch an overflow by small steps. It costs 128 bytes of page table a stack: see the module.
    pub(super) const BYTES: usize = 64 * 1024;

    /// Guards `bytes` at `first` and at each multiple of `stride` after it: `count` ranges in all, at most
    /// [`BATCH`](Self::BATCH). Returns how many of them, from the first on, are guarded now: at least one.
    ///
    /// If the kernel does not know [`Guard::Madvise`], `self` becomes [`Guard::Mprotect`].
    ///
    /// # Safety
    ///
    /// The ranges lie in memory from [`os::map`] and nothing in them is used.
    pub(super) unsafe fn install(
        &mut self,
        first: NonNull<u8>,
        stride: usize,
        bytes: usize,
        count: usize,
    ) -> Result<usize, StackError> {
        debug_assert!((1..=Self::BATCH).contains(&count), "a batch is neither empty nor too large");
        // SAFETY: the caller promises that all ranges lie in one mapping, so the sums stay inside it.
        let place = |index: usize| unsafe { first.add(index * stride) };
        let mut guarded = 0;
        if *self == Self::Madvise {
            let ranges: [libc::iovec; Self::BATCH] = core::array::from_fn(|index| match index < count {
                true => libc::iovec { iov_base: place(index).as_ptr().cast(), iov_len: bytes },
                false => libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 },
            });
            // SAFETY: the caller's promise.
            guarded = unsafe { os::guard_many_by_marker(&ranges[..count]) };
            // Emulators and sandboxes accept advice that they do not know, and do nothing. This looks once a
            // batch. SAFETY: the caller's promise.
            if unsafe { os::guard_by_marker(first, bytes).is_ok() && !os::faults(first) } {
                (*self, guarded) = (Self::Mprotect, 0);
            }
        }
        while guarded < count {
            let start = place(guarded);
            let (call, result) = if *self == Self::Madvise {
                // SAFETY: the caller's promise.
                ("madvise(MADV_GUARD_INSTALL)", unsafe { os::guard_by_marker(start, bytes) })
            } else {
                // SAFETY: the caller's promise.
                ("mprotect(PROT_NONE)", unsafe { os::guard_by_mapping(start, bytes) })
            };
            match result {
                Ok(()) => guarded += 1,
                Err(libc::EINVAL) if *self == Self::Madvise => *self = Self::Mprotect,
                // The stacks that were guarded before the failure can still be handed out.
                Err(_) if guarded > 0 => break,
                Err(errno) => return Err(StackError::new(call, bytes, errno)),
            }
        }
        Ok(guarded)
    }
}
