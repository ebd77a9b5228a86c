//! The end of a coroutine's thread, when thread-locals are destroyed one after the other.
//!
//! A coroutine that is kept in a thread-local may be suspended while it uses another thread-local, which is destroyed
//! first. After that the coroutine must not go on, not even to unwind. So it is neither resumed nor unwound while its
//! thread ends. There are two ways to know that the thread ends:
//!
//! * A thread-local of our own, made with the first coroutine of the thread, is destroyed before all older ones. It lists the
//!   coroutines of its thread, and its destructor closes their links: a resumption, which reads the link anyway, finds no context.
//! * Before a coroutine is unwound, the callers are searched for the function of the C library that calls the destructors. That
//!   takes some microseconds, as unwinding does, and also works for coroutines in thread-locals that are younger than ours. It
//!   needs glibc.
#![expect(unsafe_code, reason = "lists coroutines by address, and walks the stack with the unwinder")]

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;
use std::sync::LazyLock;

use super::local::Members;
use crate::context::Context;
use crate::linking::{Link, refusal};

/// What all coroutines have in common: the link of their two sides, and their place in the list of their thread.
#[repr(C)]
pub(super) struct Member {
    /// The first field: a pointer to the whole is a pointer to it.
    pub(super) link: Link,
    /// Where the coroutine would go on, if its thread had not ended.
    closed: Cell<Option<Context>>,
    next: Cell<*const Member>,
    /// The pointer to this one: of the list, or of the one before; null if it is in no list.
    place: Cell<*const Cell<*const Member>>,
}

impl Member {
    pub(super) const fn new() -> Self {
        let (next, place) = (Cell::new(ptr::null()), Cell::new(ptr::null()));
        Self { link: Link::closed(), closed: Cell::new(None), next, place }
    }

    /// Puts it on a list.
    ///
    /// # Safety
    ///
    /// The list is that of the calling thread. `this` stays where it is until [`leave`](Self::leave) or for ever, and leaves on
    /// the same thread.
    #[inline]
    pub(super) unsafe fn enter(this: *const Self, Members(first): &Members) {
        // SAFETY: the caller's promise, for this one and for all on the list.
        unsafe {
            let next = first.replace(this);
            (*this).next.set(next);
            (*this).place.set(first);
            if let Some(next) = next.as_ref() {
                next.place.set(&raw const (*this).next);
            }
        }
    }

    /// Takes it off the list, if it is on one.
    pub(super) fn leave(&self) {
        // SAFETY: the contract of `enter`: the list and all on it are there.
        if let Some(place) = unsafe { self.place.replace(ptr::null()).as_ref() } {
            place.set(self.next.get());
            // SAFETY: as above.
            if let Some(next) = unsafe { self.next.get().as_ref() } {
                next.place.set(place);
            }
        }
    }

    /// Takes it off the list, since the thread ends: its coroutine is no longer resumed.
    pub(super) fn close(&self) {
        self.leave();
        self.closed.set(Some(self.link.coroutine.replace(refusal())));
    }

    /// Where the coroutine goes on when it is unwound, whether its thread has ended or not.
    pub(super) fn context(&self) -> Context {
        self.closed.get().unwrap_or(self.link.coroutine.get())
    }

    /// Whether its thread has destroyed thread-locals that are younger than the thread's first coroutine.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get().is_some()
    }

    /// Whether the thread, which is the calling one, destroys its thread-locals.
    #[cold]
    pub(super) fn is_ending(&self) -> bool {
        self.is_closed() || is_called_by(*DESTRUCTORS)
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
