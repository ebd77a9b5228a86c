//! A relay: a frame that catches an unwinding to see what it is, and lets on what is not its own.
//!
//! All of the runtime's are one function, so that [`Path`](crate::os::unwind::Path) can tell them from a user's
//! `catch_unwind`, at which it ends.

use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::os::unwind;

/// `catch_unwind` of what the caller will resume, or is the target of. Its frame's address is noted in `mark`.
pub(crate) fn catch<T>(mark: &Cell<usize>, f: impl FnOnce() -> T) -> thread::Result<T> {
    let (mut f, mut result) = (Some(f), None);
    relay(mark, &mut || result = f.take().map(|f| f()))?;
    Ok(result.expect("it was called once"))
}

/// Makes the relay known to those who ask where an unwinding ends.
pub(crate) fn make_known() {
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
    result
}

#[cfg(all(test, not(loom)))]
mod tests;

/// What is no relay, though it catches just as one does.
#[cfg(all(test, not(loom)))]
#[inline(never)]
fn swallow(f: &mut dyn FnMut()) {
    let here = 0_u8;
    black_box(&raw const here);
    let _ = catch_unwind(AssertUnwindSafe(f));
    black_box(&raw const here);
}
