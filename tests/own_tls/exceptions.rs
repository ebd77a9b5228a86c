//! Exceptions of C++ over moves: `exceptions.cc` beside this file throws, catches and keeps them, in a library that the test compiles.

#![expect(unsafe_code, reason = "calls functions of C++")]

use std::ffi::{CStr, c_int, c_void};
use std::process::Command;

use abaca_tests::{Tool, skip};

use crate::libraries::compile_by;
use crate::moves::{companions, reach_another_thread, roaming};
use crate::{command, is_child, passes, runtime};

type Move = extern "C" fn();
type Checks = unsafe extern "C" fn(c_int, Move) -> c_int;
type Keeps = unsafe extern "C" fn(c_int, Move) -> *mut c_void;
type ThrowsKept = unsafe extern "C" fn(*mut c_void, c_int, Move) -> c_int;

/// The functions of `exceptions.cc`.
#[derive(Clone, Copy)]
struct Exceptions {
    checks: [Checks; 3],
    keep: Keeps,
    throw_kept: ThrowsKept,
}

impl Exceptions {
    fn load() -> Self {
        let library = compile_by("c++", "cc", "exceptions", include_str!("exceptions.cc"), &[]).load();
        let find = |name: &CStr| {
            // SAFETY: the library is loaded, and stays.
            let function = unsafe { libc::dlsym(library, name.as_ptr()) };
            assert!(!function.is_null(), "{name:?}");
            function
        };
        let check = |name: &CStr| {
            // SAFETY: the function has this type.
            unsafe { std::mem::transmute::<*mut c_void, Checks>(find(name)) }
        };
        Self {
            checks: [
                check(c"caught_after_moves"),
                check(c"others_while_one_is_in_flight"),
                check(c"thrown_again_after_moves"),
            ],
            // SAFETY: as above.
            keep: unsafe { std::mem::transmute::<*mut c_void, Keeps>(find(c"keep")) },
            // SAFETY: as above.
            throw_kept: unsafe { std::mem::transmute::<*mut c_void, ThrowsKept>(find(c"throw_kept")) },
        }
    }
}

extern "C" fn go_on_elsewhere() {
    reach_another_thread();
}

/// An exception that is kept, on its way to another fiber.
struct Kept(*mut c_void);

// SAFETY: C++ lets any thread throw it.
unsafe impl Send for Kept {}

fn throw_and_catch(exceptions: Exceptions, number: c_int) {
    for check in exceptions.checks {
        // SAFETY: all that is thrown is caught there.
        assert_eq!(unsafe { check(number, go_on_elsewhere) }, 0);
    }
    // SAFETY: as above.
    let kept = Kept(unsafe { (exceptions.keep)(number, go_on_elsewhere) });
    let throw_kept = move || {
        let Kept(kept) = { kept };
        // SAFETY: it is kept, and thrown here alone.
        assert_eq!(unsafe { (exceptions.throw_kept)(kept, number, go_on_elsewhere) }, 0);
    };
    if number % 2 == 0 {
        throw_kept();
    } else {
        roaming(throw_kept).join().unwrap();
    }
}

#[test]
fn exceptions_of_cpp_are_the_fibers_over_its_moves() {
    if !is_child() {
        if Command::new("c++").arg("--version").output().is_err() {
            return skip(Tool::Cxx, "there is no compiler for C++");
        }
        passes(command("exceptions::exceptions_of_cpp_are_the_fibers_over_its_moves"));
        return;
    }
    let exceptions = Exceptions::load();
    runtime(2).run(|| {
        let companions = companions();
        let fibers: Vec<_> =
            (0..100).map(|number| roaming(move || throw_and_catch(exceptions, number))).collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
        drop(companions);
    });
}
