//! The end of a coroutine's thread, when thread-locals are destroyed one after the other.
//!
//! A coroutine that is kept in a thread-local may be suspended in the middle of a use of another one, which is destroyed
//! first. From then on the coroutine must not go on, not even to unwind. So it is neither resumed nor unwound while its
//! thread ends; to know that, there are two ways:
//!
//! * A thread-local of our own, made with the first coroutine of the thread, is destroyed before all older ones. It tells
//!   all coroutines of its thread, at the price of a load for each resumption.
//! * Whoever is to unwind a coroutine looks whether the function of the C library that calls the destructors is among its
//!   callers. That takes some microseconds, as unwinding does, and finds also what is kept in thread-locals that are younger
//!   than ours. It needs glibc.
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

/// Tells the coroutines of its thread that it ends.
struct Teller(Rc<Cell<bool>>);

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

std::thread_local! {
    static TELLER: Teller = Teller(Rc::new(Cell::new(false)));
}

impl Thread {
    /// The calling thread.
    ///
    /// Never inlined: a caller that roams must not keep the address of a thread-local over a switch.
    #[inline(never)]
    pub(super) fn current() -> Self {
        // What is made by a destructor that comes later is told nothing.
        let has_ended = TELLER.try_with(|teller| Rc::clone(&teller.0)).unwrap_or_default();
        Self { has_ended }
    }

    /// Whether it is known to destroy its thread-locals.
    #[inline(always)]
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Whether it destroys its thread-locals. It is the calling thread.
    #[cold]
    pub(super) fn is_ending(&self) -> bool {
        self.has_ended() || is_called_by(*DESTRUCTORS)
    }
}

/// The address of the function that calls the destructors of thread-locals; 0 if it is not to be found.
static DESTRUCTORS: LazyLock<usize> = LazyLock::new(|| {
    // SAFETY: asks for a symbol by its name.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__call_tls_dtors".as_ptr()) }.addr()
});

#[cfg(not(target_arch = "arm"))]
mod unwinder {
    use super::{c_int, c_void};

    pub(super) type Visit = unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int;

    // The library with which Rust unwinds is linked to every program that has std.
    unsafe extern "C" {
        pub(super) fn _Unwind_Backtrace(visit: Visit, argument: *mut c_void) -> c_int;
        pub(super) fn _Unwind_GetRegionStart(frame: *mut c_void) -> usize;
    }
}

/// Whether a function that begins there is among the callers. 0 is none.
#[cfg(not(target_arch = "arm"))]
fn is_called_by(function: usize) -> bool {
    struct Search {
        function: usize,
        is_found: bool,
    }

    /// Goes on as long as it returns 0.
    unsafe extern "C" fn visit(frame: *mut c_void, search: *mut c_void) -> c_int {
        // SAFETY: the argument that is passed below, which is used for nothing else meanwhile.
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

/// There, the unwinder has another interface.
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
