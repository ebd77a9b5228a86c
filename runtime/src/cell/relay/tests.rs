//! What passes for a relay, and what does not, in a build with one catching function for both and in one without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::{Cell, catch, swallow};
use crate::cell::Cancelled;
use crate::{cancel, channel, fiber, runtime};

/// As a C library calls back: nothing unwinds through it.
#[expect(improper_ctypes_definitions, reason = "both sides are Rust's")]
extern "C" fn callback(f: &mut dyn FnMut()) {
    f();
}

/// Cancels a fiber that waits inside of `around`, which calls what it is given; how often the wait was cut short.
fn cancelled_inside(around: fn(&mut dyn FnMut())) -> usize {
    let cut = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&cut);
    runtime::Runtime::builder().workers(1).build().unwrap().run(move || {
        let ((coming, came), (open, opened)) = (channel::bounded(1), channel::bounded::<()>(1));
        let fiber = fiber::spawn(move || {
            around(&mut || {
                struct Cut<'a>(&'a AtomicUsize);
                impl Drop for Cut<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_add(usize::from(std::thread::panicking()), SeqCst);
                    }
                }
                let _cut = Cut(&theirs);
                coming.send(()).unwrap();
                let _ = opened.recv();
            });
            assert!(cancel::is_cancelled() || theirs.load(SeqCst) > 0);
            fiber::park();
        });
        // The worker is theirs alone, so it waits by the time that this goes on.
        came.recv().unwrap();
        fiber.cancel();
        fiber::yield_now();
        open.send(()).unwrap_or(());
        // One that has been swallowed does not come again.
        fiber.fiber().unpark();
        assert!(fiber.join().map_or_else(|payload| payload.is::<Cancelled>(), |()| true));
    });
    cut.load(SeqCst)
}

fn relayed(f: &mut dyn FnMut()) {
    if let Err(payload) = catch(&Cell::new(0), f) {
        std::panic::resume_unwind(payload);
    }
}

#[test]
fn a_catch_that_goes_no_further_ends_the_way_of_an_unwinding() {
    assert_eq!(cancelled_inside(|f| callback(&mut || swallow(f))), 1);
    assert_eq!(cancelled_inside(|f| callback(&mut || swallow(&mut || relayed(f)))), 1);
}

#[test]
fn a_relay_does_not() {
    assert_eq!(cancelled_inside(|f| callback(&mut || relayed(f))), 0);
    assert_eq!(cancelled_inside(|f| swallow(&mut || callback(&mut || relayed(&mut || relayed(f))))), 0);
    assert_eq!(cancelled_inside(relayed), 1);
}
