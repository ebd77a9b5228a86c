//! The end of a coroutine's thread, when thread-locals are destroyed one after the other.
//!
//! A coroutine that is kept in a thread-local may be suspended while it uses another thread-local, which is destroyed
//! first. After that the coroutine must not go on, not even to unwind. So it is neither resumed nor unwound while its
//! thread ends. There are two ways to know that the thread ends:
//!
//! * A thread-local of our own, made with the first coroutine of the thread, is destroyed before all older ones. Its destructor
//!   sets a flag for all coroutines of its thread, at the price of a load for each resumption.
//! * Before a coroutine is unwound, the callers are searched for the function of the C library that calls the destructors. That
//!   takes some microseconds, as unwinding does, and also works for coroutines in thread-locals that are younger than ours. It
//!   needs glibc.
#![expect(unsafe_code, reason = "walks the stack with the unwinder")]

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use std::rc::Rc;
use std::sync::LazyLock;

/// The thread on which a coroutine was made, and stays.
pub(super) struct Thread {
    /// Whether thread-locals that are younger than the thread's first coroutine have been destroyed.
    has_ended: Rc<Cell<bool>>,
}

/// Sets the flag of its thread when the thread ends.
struct EndFlag(Rc<Cell<bool>>);

impl Drop for EndFlag {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

std::thread_local! {
    static END_FLAG: EndFlag = EndFlag(Rc::new(Cell::new(false)));
}

impl Thread {
    /// The calling thread.
    ///
    /// Never inlined: a caller that roams must not keep the address of a thread-local across a switch.
    #[inline(never)]
    pub(super) fn current() -> Self {
        // A coroutine that is made by a later destructor gets a flag that nobody sets.
        let has_ended = END_FLAG.try_with(|flag| Rc::clone(&flag.0)).unwrap_or_default();
        Self { has_ended }
    }

    /// No thread, which never ends: for a coroutine that is bound to none.
    pub(super) fn none() -> Self {
        Self { has_ended: Rc::default() }
    }

    /// Whether the flag says that the thread destroys its thread-locals.
    #[inline(always)]
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Whether the thread, which is the calling one, destroys its thread-locals.
    #[cold]
    pub(super) fn is_ending(&self) -> bool {
        self.has_ended() || is_called_by(*DESTRUCTORS)
    }
}

/// The address of the function that calls the destructors of thread-locals; 0 if it is not found.
static DESTRUCTORS: LazyLock<usize> = LazyLock::new(|| {
    // SAFETY: asks for a symbol by its name.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__call_tls_dtors".as_ptr()) }.addr()
});

#[cfg(not(target_arch = "arm"))]
mod unwinder {
    use super::{c_int, c_void};

    pub(super) type Visit = unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;

    // The library that Rust unwinds with is linked into every program that has std.
    unsafe extern "C" {
        pub(super) fn _Unwind_Backtrace(visit: Visit, argument: *mut c_void) -> c_int;
        pub(super) fn _Unwind_GetRegionStart(frame: *mut c_void) -> usize;
    }
}

/// Whether the function that begins at this address is among the callers. `false` for 0.
#[cfg(not(target_arch = "arm"))]
fn is_called_by(function: usize) -> bool {
    struct Search {
        function: usize,
        is_found: bool,
    }

    /// Called for each frame, as long as it returns 0.
    unsafe extern "C" fn visit(frame: *mut c_void, search: *mut c_void) -> c_int {
        // SAFETY: it is the argument that is passed below, and nothing else uses it meanwhile.
        let search = unsafe { &mut *search.cast::<Search>() };
        // SAFETY: a frame that the unwinder has just found.
        search.is_found = unsafe { unwinder::_Unwind_GetRegionStart(frame) } == search.function;
        c_int::from(search.is_found)
    }

    let mut search = Search { function, is_found: false };
    if function != 0 {
        // SAFETY: `visit` is called for each frame with the search, before the call returns, and does not unwind.
        unsafe { unwinder::_Unwind_Backtrace(visit, (&raw mut search).cast()) };
    }
    search.is_found
}

/// On this architecture the unwinder has another interface.
#[cfg(target_arch = "arm")]
fn is_called_by(_: usize) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::is_called_by;

    #[inline(never)]
    fn caller(own: fn(usize) -> bool) -> bool {
        core::hint::black_box(is_called_by(core::hint::black_box(own as usize)))
    }

    #[test]
    fn a_caller_is_found_by_its_address() {
        #[inline(never)]
        fn me(depth: usize) -> bool {
            if depth == 0 { caller(me) } else { core::hint::black_box(me(core::hint::black_box(depth - 1))) }
        }
        assert!(me(3));
        assert!(!caller(|_| true));
        assert!(!is_called_by(0));
    }
}
