//! What passes for a relay, and what does not, in a build with one catching function for both and in one without.

use std::cell::Cell;
use std::hint::black_box;

use super::{catch, make_known, swallow};
use crate::os::unwind::Path;

/// As a C library calls back: nothing unwinds through it.
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
fn is_free_here() -> bool {
    let here = 0_u8;
    Path { from: black_box(&raw const here).addr(), to: 0 }.is_free()
}

/// Whether an unwinding inside of `around`, which calls what it is given, would be caught.
fn is_free_inside(around: fn(&mut dyn FnMut())) -> bool {
    make_known();
    let mut is_free = None;
    around(&mut || is_free = Some(is_free_here()));
    is_free.expect("it calls")
}

#[test]
fn a_catch_that_goes_no_further_ends_the_way_of_an_unwinding() {
    assert!(is_free_inside(|f| callback(&mut || swallow(f))));
    assert!(is_free_inside(|f| callback(&mut || swallow(&mut || relayed(f)))));
    assert!(is_free_inside(|f| callback(&mut || relayed(&mut || swallow(f)))));
}

#[test]
fn a_relay_does_not() {
    assert!(!is_free_inside(|f| callback(&mut || relayed(f))));
    assert!(!is_free_inside(|f| swallow(&mut || callback(&mut || relayed(&mut || relayed(f))))));
    // The harness catches.
    assert!(is_free_inside(relayed));
}
