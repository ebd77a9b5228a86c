//! The control words of floating point, which are each fiber's own: `fesetround` and its like.

#![expect(unsafe_code, reason = "calls functions of libm")]

use std::ffi::c_int;

use abaca::{Builder, Runtime};

use crate::{own, runtime};

unsafe extern "C" {
    fn fesetround(mode: c_int) -> c_int;
    fn fegetround() -> c_int;
}

const NEAREST: c_int = 0;
/// `FE_DOWNWARD`, `FE_UPWARD`, `FE_TOWARDZERO`.
const OTHERS: [c_int; 3] = if cfg!(target_arch = "x86_64") {
    [0x400, 0x800, 0xc00]
} else if cfg!(target_arch = "aarch64") {
    [0x80_0000, 0x40_0000, 0xc0_0000]
} else {
    [2, 3, 1]
};

fn mode() -> c_int {
    // SAFETY: reads the caller's.
    unsafe { fegetround() }
}

fn set_mode(mode: c_int) {
    // SAFETY: nothing is computed with numbers until the fiber ends, or is back at the usual mode.
    assert_eq!(unsafe { fesetround(mode) }, 0);
}

/// Half of the fibers of the runtime set a mode, and all look what theirs is while they wait and move.
fn each_has_its_own(runtime: &Runtime) {
    const FIBERS: usize = 64;
    // As `abaca_transparent::install` has it.
    abaca::hook::keep_float_control();
    runtime.run(|| {
        // Later fibers have the stacks of earlier ones, whose modes they do not get.
        for _ in 0..3 {
            let spawn = |number: usize| {
                let body = move || {
                    assert_eq!(mode(), NEAREST, "a fiber begins with the usual mode");
                    let own =
                        if number.is_multiple_of(2) { NEAREST } else { OTHERS[number / 2 % OTHERS.len()] };
                    if own != NEAREST {
                        set_mode(own);
                    }
                    for round in 0..30 {
                        match round % 3 {
                            0 => abaca::yield_now(),
                            1 => abaca::time::sleep(std::time::Duration::from_micros(50)),
                            _ => abaca::spawn(|| assert_eq!(mode(), NEAREST)).join().expect("no panic"),
                        }
                        assert_eq!(mode(), own);
                    }
                };
                Builder::new().spawn_roaming(body).expect("it roams")
            };
            let handles: Vec<_> = (0..FIBERS).map(spawn).collect();
            handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
            assert_eq!(mode(), NEAREST);
        }
    });
}

#[test]
fn a_fiber_rounds_as_it_has_set_and_no_other_does() {
    each_has_its_own(&runtime(1));
}

#[test]
fn it_does_so_on_whatever_thread_it_goes_on() {
    each_has_its_own(&own().workers(3).build().expect("this machine can have it"));
}

#[test]
fn a_thread_of_the_pool_does_not_round_as_the_fiber_that_has_started_it() {
    let runtime = runtime(1);
    abaca::hook::keep_float_control();
    runtime.run(|| {
        let starts = abaca::spawn(|| {
            set_mode(OTHERS[0]);
            let there = abaca::blocking::run(mode);
            set_mode(NEAREST);
            there
        });
        assert_eq!(starts.join().expect("no panic"), NEAREST);
        assert_eq!(abaca::blocking::run(mode), NEAREST, "a neighbour's call, on the same thread");
    });
}
