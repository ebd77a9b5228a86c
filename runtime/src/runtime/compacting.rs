//! Fibers that wait for long, without the page or two that they need otherwise.

use std::io;
use std::time::Duration;

use super::{Builder, Runtime};
use crate::cell::cold;

impl Builder {
    /// Keeps what a fiber needs of its stack elsewhere, packed, once it has waited for `time`: some hundred bytes instead of a page or
    /// more. Default: never. For programs with hundreds of thousands of fibers that wait for minutes.
    ///
    /// Everything stays sound: whoever touches such a stack (the fiber's waker, another fiber or thread that borrows from it, a system
    /// call on a buffer there) waits some microseconds until it is back. Then it stays until the fiber waits anew.
    /// Workers look for such fibers when they have nothing to run, once a second at most.
    ///
    /// What is left of each fiber: its cell, what its frames hold, and some 70 bytes. Before Linux 6.14, and beside a stack that is not
    /// cold, also 8 bytes of page table for each page of its stack and guard, touched or not: with 256 KiB 648, with 32 KiB 200.
    ///
    /// What it costs, and where it does not help:
    ///
    /// * To take a stack away costs the worker 5 to 15 microseconds, to bring it back some 4 to 15. Fibers that do not wait for so long
    ///   pay nothing.
    /// * Not for a fiber that needs more than four pages, that waits inside a coroutine, that roams, or whose stack the kernel uses as
    ///   well, as a buffer that is registered with io_uring.
    /// * fork(2), as [`Command`](std::process::Command) makes it in some cases, first brings all stacks back, some 4 microseconds
    ///   each. A bare `clone` system call that copies the memory does not: the child reads zeros there.
    /// * A debugger sees no frames of such a fiber, and a core dump has zeros there. A [dump](crate::observe) brings stacks back.
    ///
    /// It needs Linux 6.8, userfaultfd, and the right to serve the kernel's own faults: the capability `CAP_SYS_PTRACE`, the right to
    /// open `/dev/userfaultfd`, or `vm.unprivileged_userfaultfd = 1`. Without one of them [`build`](Self::build) fails with
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied), and with [`Unsupported`](io::ErrorKind::Unsupported) on older kernels,
    /// under sanitizers and valgrind, and together with thread-local storage of fibers' own. A thread of the process's serves the
    /// faults from then on.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// let builder = abaca::Runtime::builder().stack_size(32 * 1024);
    /// match builder.compact_after(Duration::from_secs(60)).build() {
    ///     Ok(runtime) => assert_eq!(runtime.run(abaca::Runtime::cold_stacks), 0),
    ///     Err(error) => assert!(matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported)),
    /// }
    /// ```
    pub fn compact_after(mut self, time: Duration) -> Self {
        self.compact_after = Some(time);
        self
    }
}

impl Runtime {
    /// How many stacks of the process are kept elsewhere at this moment; see [`Builder::compact_after`].
    ///
    /// ```
    /// assert_eq!(abaca::Runtime::cold_stacks(), 0);
    /// ```
    pub fn cold_stacks() -> usize {
        cold::count()
    }
}

/// Makes compacting possible in the process.
///
/// # Errors
///
/// * Those that [`Builder::compact_after`] says.
pub(super) fn prepare(has_own_storage: bool) -> io::Result<()> {
    if has_own_storage {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "stacks with thread-local storage of fibers' own are not compacted",
        ));
    }
    cold::prepare()
}
