//! A relay: a frame that catches an unwinding, looks at its payload, and resumes it unless it is the target.
//!
//! All relays of the runtime are one function, so that [`Path`](crate::os::unwind::Path) can tell them from a user's
//! `catch_unwind`, at which an unwinding ends.

use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::os::unwind;

/// `catch_unwind` for a caller that resumes each unwinding of which it is not the target. Stores an address in the catching
/// frame in `mark`.
pub(crate) fn catch<T>(mark: &Cell<usize>, f: impl FnOnce() -> T) -> thread::Result<T> {
    let (mut f, mut result) = (Some(f), None);
    relay(mark, &mut || result = f.take().map(|f| f()))?;
    Ok(result.expect("the closure was called once"))
}

/// Tells [`Path`](crate::os::unwind::Path) the address of the relay's code, unless it knows it.
pub(crate) fn note() {
    if unwind::wants_relay() {
        let _ = relay(&Cell::new(0), &mut || unwind::note_relay((relay as *const ()).addr()));
    }
}

#[inline(never)]
fn relay(mark: &Cell<usize>, f: &mut dyn FnMut()) -> thread::Result<()> {
    let here = 0_u8;
    mark.set(black_box(&raw const here).addr());
    let result = catch_unwind(AssertUnwindSafe(f));
    black_box(&raw const here);
    // The caller resumes the unwinding.
    unwind::seem_to_unwind();
    result
}

#[cfg(all(test, not(loom)))]
mod tests;

/// A function that catches just as the relay does, but does not resume.
#[cfg(all(test, not(loom)))]
#[inline(never)]
fn swallow(f: &mut dyn FnMut()) {
    let here = 0_u8;
    black_box(&raw const here);
    let _ = catch_unwind(AssertUnwindSafe(f));
    black_box(&raw const here);
}
