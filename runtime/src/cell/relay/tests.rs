//! The relay is told from other functions that catch, in builds with one catching function for both and in builds without.

use std::cell::Cell;
use std::hint::black_box;

use super::{catch, note, swallow};
use crate::os::unwind::{Path, seem_to_unwind};

/// A callback as a C library makes it: nothing may unwind through it.
#[expect(improper_ctypes_definitions, reason = "both sides are Rust's")]
extern "C" fn callback(f: &mut dyn FnMut()) {
    f();
}

fn relayed(f: &mut dyn FnMut()) {
    if let Err(payload) = catch(&Cell::new(0), f) {
        std::panic::resume_unwind(payload);
    }
}

#[inline(never)]
fn can_unwind_here() -> bool {
    seem_to_unwind();
    let here = 0_u8;
    Path { from: black_box(&raw const here).addr(), to: 0 }.can_unwind()
}

/// Whether an unwinding inside of `around`, which calls its argument, would be caught.
fn can_unwind_inside(around: fn(&mut dyn FnMut())) -> bool {
    note();
    let mut can_unwind = None;
    around(&mut || can_unwind = Some(can_unwind_here()));
    can_unwind.expect("`around` calls its argument")
}

#[test]
fn a_catch_that_does_not_resume_ends_the_path_of_an_unwinding() {
    assert!(can_unwind_inside(|f| callback(&mut || swallow(f))));
    assert!(can_unwind_inside(|f| callback(&mut || swallow(&mut || relayed(f)))));
    assert!(can_unwind_inside(|f| callback(&mut || relayed(&mut || swallow(f)))));
}

#[test]
fn a_relay_does_not_end_the_path_of_an_unwinding() {
    assert!(!can_unwind_inside(|f| callback(&mut || relayed(f))));
    assert!(!can_unwind_inside(|f| swallow(&mut || callback(&mut || relayed(&mut || relayed(f))))));
    // The test harness catches.
    assert!(can_unwind_inside(relayed));
}
