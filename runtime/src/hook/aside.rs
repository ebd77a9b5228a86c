//! A call that blocks its thread, and owns what it uses, on one of the runtime's pool, for a fiber that attends to signals meanwhile.
//!
//! The result lies where both find it. So the fiber may wake, run handlers, which may not return, and sleep again; and it may leave the call behind.

use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Sleep, Slept, begin_elsewhere, cancelled, interruptible_at, is_cancelled, sleep_at, wake_at};
use crate::atomic::{AtomicBool, Ordering};

/// A call; its address is where the caller sleeps.
struct Aside<T> {
    result: Mutex<Option<T>>,
    is_over: AtomicBool,
    /// Whether the caller is gone.
    is_left: AtomicBool,
}

impl<T> Aside<T> {
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Acquire: pairs with the Release at the end. Who is about to sleep asks under a lock of the table of sleepers, and so takes none.
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn result(&self) -> std::sync::MutexGuard<'_, Option<T>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the call, however it ends.
struct End<T>(Arc<Aside<T>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
        wake_at(self.0.address(), u32::MAX, usize::MAX);
    }
}

/// Makes the call. `None` if the caller was cancelled before its end: then it goes on, and its result is dropped there.
pub(super) fn run_attending<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if is_cancelled() {
        cancelled();
        return None;
    }
    let (is_over, is_left) = (AtomicBool::new(false), AtomicBool::new(false));
    let aside = Arc::new(Aside { result: Mutex::new(None), is_over, is_left });
    let end = End(Arc::clone(&aside));
    begin_elsewhere(move || {
        // Relaxed: a call that is made for nobody is as good.
        if !end.0.is_left.load(Ordering::Relaxed) {
            let result = call();
            *end.0.result() = Some(result);
        }
    });
    let sleep = Sleep {
        address: aside.address(),
        bits: u32::MAX,
        deadline: None,
        is_cancellable: true,
        is_overtaken: false,
    };
    loop {
        let (slept, unattended) = interruptible_at(sleep.address, |interruption| {
            sleep_at(sleep, || !aside.is_over() && !interruption.is_set(), || ())
        });
        // No handler ends the call.
        unattended.attend();
        if aside.is_over() {
            return aside.result().take();
        }
        if slept == Slept::Cancelled {
            aside.is_left.store(true, Ordering::Relaxed);
            cancelled();
            return None;
        }
    }
}
