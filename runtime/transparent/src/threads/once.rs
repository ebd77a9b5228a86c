//! pthread_once and call_once. libc's waits inside of libc, so this is another one, with the same words: 0 is new, 2 done.
//!
//! A copy of the process by fork(2) has none of the threads that were in a routine then. So a word also says in which copy the routine is
//! under way, and in a later one it counts as new, as libc has it.

#![expect(unsafe_code, reason = "takes the place of functions of libc")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use abaca::hook::{self, AtFork, Sleep};

use super::acquire::{ONE_KIND, beside};
use crate::enter::enter;
use crate::table::Hook;

const NEW: c_int = 0;
/// Beside the number of the copy.
const UNDER_WAY: c_int = 1;
const DONE: c_int = 2;

/// What tells this copy of the process from those that it was forked from.
static COPY: AtomicI32 = AtomicI32::new(0);
/// The least difference: the bits below are the states.
const NEXT_COPY: c_int = 4;

extern "C" fn begin_copy() {
    // Relaxed: there is one thread.
    COPY.fetch_add(NEXT_COPY, Ordering::Relaxed);
}

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
    static WATCH: AtFork = AtFork::in_each_copy(begin_copy);
    WATCH.set_up();
    loop {
        let under_way = COPY.load(Ordering::Relaxed) | UNDER_WAY;
        // Acquire: as above.
        let now = word.load(Ordering::Acquire);
        if now == DONE {
            return;
        }
        if now == under_way {
            let _within = enter();
            let sleep = Sleep {
                address: address(word),
                bits: ONE_KIND,
                deadline: None,
                is_cancellable: false,
                is_overtaken: false,
            };
            hook::sleep_or_handle_at(sleep, || word.load(Ordering::SeqCst) == under_way, || ());
        } else if word.compare_exchange(now, under_way, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            let mut end = End { word, state: NEW };
            routine();
            end.state = DONE;
            return;
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
