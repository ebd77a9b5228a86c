//! Where fibers cannot have storage of their own a runtime says so, and why; without it fibers run there.

use std::io;
use std::process::{Command, Output};

use abaca::Runtime;
use abaca_tests::{Tool, skip};
use abaca_tls::Unsupported;

use crate::libraries::compile;
use crate::{command, is_child, own, passes};

/// What the child process of each of these tests finds.
fn is_refused(why: Unsupported, word: &str) {
    let error = own().build().expect_err("it is not supported here");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains(word), "{error}");
    assert_eq!(abaca_tls::support().expect_err("as above"), why);
    let without = Runtime::builder().own_tls(false).workers(1).build().unwrap();
    assert_eq!(without.run(|| abaca::spawn(|| 5).join().unwrap()), 5);
}

/// Runs a test once more, in a process that begins with this library.
fn passes_with(test: &str, name: &str, code: &str) -> Output {
    let library = compile(name, code, &["-D_GNU_SOURCE"]);
    let mut command = command(test);
    command.env("LD_PRELOAD", &library.0);
    passes(command)
}

/// As on a kernel before 5.9, or one that was started with `nofsgsbase`: its word of the processor's features says so.
#[test]
#[cfg(target_arch = "x86_64")]
fn without_the_instruction_for_the_register() {
    if is_child() {
        return is_refused(Unsupported::Register, "FSGSBASE");
    }
    let code = "
        #include <dlfcn.h>
        #include <sys/auxv.h>
        unsigned long getauxval(unsigned long kind) {
            unsigned long (*next)(unsigned long) = dlsym(RTLD_NEXT, \"getauxval\");
            return next(kind) & (kind == AT_HWCAP2 ? ~2ul : ~0ul);
        }";
    passes_with("unsupported::without_the_instruction_for_the_register", "no_fsgsbase", code);
}

/// Each sanitizer brings a function by which it is known, whoever was compiled with it.
#[test]
fn beside_a_sanitizer() {
    if is_child() {
        return is_refused(Unsupported::Sanitizer, "sanitizer");
    }
    for sanitizer in ["asan", "tsan", "msan", "hwasan"] {
        let code = format!("void __{sanitizer}_init(void) {{}}");
        passes_with("unsupported::beside_a_sanitizer", sanitizer, &code);
    }
}

#[test]
fn under_valgrind() {
    if is_child() {
        return is_refused(Unsupported::Valgrind, "valgrind");
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return skip(Tool::Valgrind, "there is no valgrind");
    }
    let here = command("unsupported::under_valgrind");
    let mut command = Command::new("valgrind");
    command.args(["-q", "--tool=none", "--fair-sched=yes"]).arg(here.get_program()).args(here.get_args());
    command.envs(here.get_envs().filter_map(|(name, value)| Some((name, value?))));
    passes(command);
}
