//! pthread_once and call_once. libc's waits inside of libc, so this is another one, with the same words: 0 is new, 2 done.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use abaca::hook::{self, Sleep};

use super::acquire::{ONE_KIND, beside};
use crate::enter::enter;
use crate::table::Hook;

const NEW: c_int = 0;
const UNDER_WAY: c_int = 1;
const DONE: c_int = 2;

type Routine = extern "C-unwind" fn();

/// pthread_once(3). The routine may unwind, as C++ does: then it was not called.
///
/// # Safety
///
/// As libc's function of this name.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn pthread_once(once: *mut c_int, routine: Routine) -> c_int {
    // SAFETY: the caller's promise: the word is there, and only these functions use it.
    let word = unsafe { AtomicI32::from_ptr(once) };
    // Acquire: pairs with the Release of the end.
    if word.load(Ordering::Acquire) != DONE {
        call(word, routine);
    }
    0
}

/// An old name.
///
/// # Safety
///
/// As [`pthread_once`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn __pthread_once(once: *mut c_int, routine: Routine) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { pthread_once(once, routine) }
}

/// C11's name.
///
/// # Safety
///
/// As [`pthread_once`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn call_once(once: *mut c_int, routine: Routine) {
    // SAFETY: the caller's promise.
    unsafe { pthread_once(once, routine) };
}

/// The hooks of this file.
pub(crate) const HOOKS: &[Hook] = &[
    Hook(pthread_once as *const (), "pthread_once"),
    Hook(__pthread_once as *const (), "__pthread_once"),
    Hook(call_once as *const (), "call_once"),
];

#[cold]
fn call(word: &AtomicI32, routine: Routine) {
    loop {
        // Acquire: as above.
        match word.compare_exchange(NEW, UNDER_WAY, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => {
                let mut end = End { word, state: NEW };
                routine();
                end.state = DONE;
                return;
            }
            Err(DONE) => return,
            Err(_) => {
                let _within = enter();
                let sleep =
                    Sleep { address: address(word), bits: ONE_KIND, deadline: None, is_cancellable: false };
                hook::sleep_or_handle_at(sleep, || word.load(Ordering::SeqCst) == UNDER_WAY, || ());
            }
        }
    }
}

fn address(word: &AtomicI32) -> usize {
    beside(word.as_ptr())
}

/// Ends a call, also one that unwinds.
struct End<'a> {
    word: &'a AtomicI32,
    state: c_int,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Release: what the routine did is seen by all who find the word done.
        self.word.store(self.state, Ordering::Release);
        let _within = enter();
        hook::wake_at(address(self.word), ONE_KIND, usize::MAX);
    }
}
