//! A thread that is a fiber, and waits for a condition that processes share: by libc's function, in the kernel, since any process may signal it.
//!
//! Nothing ends such a wait but the condition. So who cancels the thread wakes all who wait for it, which POSIX allows; the others wait again. The
//! thread has the mutex from before it looks for a request until libc has noted that it waits. So while the mutex is the thread's, who cancels it looks
//! again; once it is not, the thread is woken by what comes.

#![expect(unsafe_code, reason = "wakes who waits for a condition of the program's")]

use std::ffi::c_int;
use std::sync::{Mutex, PoisonError};

use libc::{pthread_cond_t, pthread_mutex_t};

use super::cancel;
use super::mutex::owner;
use super::record::Record;
use crate::enter::enter;
use crate::own::own;

/// What a mutex says that nobody has, or that tells of no owner.
const NOBODY: c_int = 0;

/// Where the thread waits, for who cancels it.
#[derive(Clone, Copy)]
struct Place {
    condition: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    /// What the mutex says of its owner while that is the thread.
    owner: c_int,
}

// SAFETY: they are used under the lock, and as long as the thread waits there.
unsafe impl Send for Place {}

/// A thread's wait for a condition that processes share.
pub(crate) struct SharedWait(Mutex<Option<Place>>);

impl SharedWait {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn set(&self, place: Option<Place>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Ends the wait, after a cancellation was requested.
    pub(crate) fn end(&self) {
        loop {
            {
                let place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(place) = *place else { return };
                // SAFETY: the thread is in its wait until it has the lock, so both are there.
                unsafe {
                    if place.owner == NOBODY || owner(place.mutex) != place.owner {
                        own!(fn pthread_cond_broadcast(*mut pthread_cond_t) -> c_int)(place.condition);
                        return;
                    }
                }
            }
            // The thread is about to wait, or has waited.
            let _within = enter();
            abaca::hook::yield_now();
        }
    }
}

/// Waits by `own`, libc's function, which ends when the caller is cancelled.
///
/// # Safety
///
/// The condition is initialised, and the mutex the caller's.
pub(super) unsafe fn wait(
    condition: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    own: impl FnOnce() -> c_int,
) -> c_int {
    let Some(record) = Record::current() else { return own() };
    cancel::test();
    let wait = &record.cancel.shared_wait;
    // SAFETY: the caller's promise.
    wait.set(Some(Place { condition, mutex, owner: unsafe { owner(mutex) } }));
    let result = if record.cancel.is_pending() { 0 } else { own() };
    wait.set(None);
    cancel::test();
    result
}
