//! `libabaca_preload.so`: programs in C, built by the test where there is a compiler, run with it and without.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The library, which cargo has built beside the tests since they depend on it.
pub(crate) fn library() -> PathBuf {
    let here = std::env::current_exe().expect("the tests have a file");
    let library = here.with_file_name("libabaca_preload.so");
    assert!(library.exists(), "{} was not built", library.display());
    library
}

/// Builds `source`, a file beside this one, and returns the program; `None` without a compiler.
pub(crate) fn build(source: &str) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.trim_end_matches(".c"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("preload").join(source);
    let built = Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(&program).arg(source).status();
    match built {
        Ok(status) => {
            assert!(status.success(), "the program does not compile");
            Some(program)
        }
        Err(error) => {
            eprintln!("skipped, there is no C compiler: {error}");
            None
        }
    }
}

fn run(program: &Path, workers: Option<&str>) -> Output {
    let mut command = Command::new(program);
    if let Some(workers) = workers {
        command.env("LD_PRELOAD", library()).env("ABACA_WORKERS", workers);
    }
    command.output().expect("the program runs")
}

/// What a program has printed, without its order, which threads leave open.
fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn pthreads_and_c11s_functions_answer_as_libcs() {
    let Some(program) = build("pthreads.c") else { return };
    let on_threads = run(&program, None);
    assert!(on_threads.status.success(), "{on_threads:?}");
    for workers in ["1", "3"] {
        let on_fibers = run(&program, Some(workers));
        let errors = String::from_utf8_lossy(&on_fibers.stderr);
        assert_eq!(lines(&on_fibers), lines(&on_threads), "on {workers} workers: {errors}");
        assert_eq!((on_fibers.status, &*errors), (on_threads.status, ""));
    }
}
