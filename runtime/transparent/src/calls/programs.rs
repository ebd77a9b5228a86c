//! The start of another program in the caller's process, which begins with the mask of signals of the fiber that starts it: the kernel gives it the
//! OS thread's. All of these may be called in a handler, and in a child of vfork(2), and allocate nothing unless there are many arguments.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::{c_char, c_int};

use super::variadic::{Copied, List};
use crate::hooks::hooks;
use crate::own::own;
use crate::threads::given::inherited;

type Strings = *const *const c_char;

hooks! {
    /// execve(2).
    fn execve(path: *const c_char, arguments: Strings, environment: Strings) -> c_int, |_| -> always {
        let own = own!(fn execve(*const c_char, Strings, Strings) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(path, arguments, environment) })
    }

    /// execv(3).
    fn execv(path: *const c_char, arguments: Strings) -> c_int, |_| -> always {
        let own = own!(fn execv(*const c_char, Strings) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(path, arguments) })
    }

    /// execvp(3).
    fn execvp(file: *const c_char, arguments: Strings) -> c_int, |_| -> always {
        let own = own!(fn execvp(*const c_char, Strings) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(file, arguments) })
    }

    /// execvpe(3).
    fn execvpe(file: *const c_char, arguments: Strings, environment: Strings) -> c_int, |_| -> always {
        let own = own!(fn execvpe(*const c_char, Strings, Strings) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(file, arguments, environment) })
    }

    /// fexecve(3).
    fn fexecve(fd: c_int, arguments: Strings, environment: Strings) -> c_int, |_| -> always {
        let own = own!(fn fexecve(c_int, Strings, Strings) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(fd, arguments, environment) })
    }

    /// execveat(2).
    fn execveat(folder: c_int, path: *const c_char, arguments: Strings, environment: Strings, flags: c_int) -> c_int, |_| -> always {
        let own = own!(fn execveat(c_int, *const c_char, Strings, Strings, c_int) -> c_int);
        // SAFETY: the caller's promise.
        inherited(|| unsafe { own(folder, path, arguments, environment, flags) })
    }
}

/// execl(3) with its arguments after the first in a list.
///
/// # Safety
///
/// As execl(3).
pub(super) unsafe extern "C-unwind" fn execl(path: *const c_char, first: *const c_char, rest: List) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { with_arguments(first, rest, |arguments, _| execv(path, arguments)) }
}

/// execlp(3), in the same way.
///
/// # Safety
///
/// As execlp(3).
pub(super) unsafe extern "C-unwind" fn execlp(
    file: *const c_char,
    first: *const c_char,
    rest: List,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { with_arguments(first, rest, |arguments, _| execvp(file, arguments)) }
}

/// execle(3), in the same way.
///
/// # Safety
///
/// As execle(3).
pub(super) unsafe extern "C-unwind" fn execle(
    path: *const c_char,
    first: *const c_char,
    rest: List,
) -> c_int {
    // SAFETY: the caller's promise: the environment comes after the null.
    unsafe { with_arguments(first, rest, |arguments, list| execve(path, arguments, list.next() as Strings)) }
}

/// Calls `exec` with all arguments, up to a null, and what comes after that.
///
/// # Safety
///
/// The list has strings, unless the first is null, and then a null.
unsafe fn with_arguments(
    first: *const c_char,
    rest: List,
    exec: impl FnOnce(Strings, &mut Copied) -> c_int,
) -> c_int {
    const FEW: usize = 64;
    // SAFETY: the caller's promise: the list was not used. It is read up to the null.
    unsafe {
        let mut list = Copied::of(rest);
        let mut next = first;
        let mut few = [std::ptr::null(); FEW];
        for place in &mut few {
            *place = next;
            if next.is_null() {
                return exec(few.as_ptr(), &mut list);
            }
            next = list.next() as *const c_char;
        }
        let mut many = few.to_vec();
        while !next.is_null() {
            many.push(next);
            next = list.next() as *const c_char;
        }
        many.push(std::ptr::null());
        exec(many.as_ptr(), &mut list)
    }
}
