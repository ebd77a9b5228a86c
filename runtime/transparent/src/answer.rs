//! Results: the kernel's, which are negative error numbers, and C's, which are -1 and `errno`.

#![expect(unsafe_code, reason = "writes errno")]

use std::ffi::c_int;

/// The place of the calling fiber's `errno`, which stays where it is as long as the fiber lives. It is neither `Send` nor `Sync`.
pub(crate) struct Errno(*mut c_int);

impl Errno {
    #[inline(always)]
    pub(crate) fn of_caller() -> Self {
        // SAFETY: it takes nothing.
        Self(unsafe { libc::__errno_location() })
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> c_int {
        // SAFETY: libc's function returns the address of a variable of the caller's, who has made this.
        unsafe { *self.0 }
    }

    #[inline(always)]
    pub(crate) fn set(&self, error: c_int) {
        // SAFETY: as above.
        unsafe { *self.0 = error };
    }
}

/// The calling fiber's `errno`.
#[inline(always)]
pub(crate) fn errno() -> c_int {
    Errno::of_caller().get()
}

#[inline(always)]
pub(crate) fn set_errno(error: c_int) {
    Errno::of_caller().set(error);
}

/// A kernel's result as a result of error number `error`.
#[inline(always)]
pub(crate) const fn failed(error: c_int) -> isize {
    -(error as isize)
}

/// The C convention for a kernel's result.
#[inline(always)]
pub(crate) fn answer(result: isize) -> isize {
    if (-4095..0).contains(&result) {
        set_errno(-result as c_int);
        -1
    } else {
        result
    }
}

/// The kernel's result for one of a function of C that has just been called.
#[inline(always)]
pub(crate) fn of_c(result: isize) -> isize {
    if result < 0 { failed(errno()) } else { result }
}
