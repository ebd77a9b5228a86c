//! `gdb/abaca.py` on a live process and on its core file.

use abaca_tests::with_gdb;

use super::child;

fn check(text: &str) {
    for expected in [
        "'stuck true' on worker ",
        "held by fiber ",
        "roles.rs:",
        "'main' on worker ",
        ": join of fiber ",
        "wanted by ",
        "'roams' roaming: park",
        ": running on thread ",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    // The two that wait for a lock, and the function in which they do.
    assert!(text.matches("lock_contended").count() >= 2, "{text}");
    // The thread that runs a fiber goes on in it.
    assert!(text.contains("keep_the_worker"), "{text}");
    assert!(text.matches("fiber_start").count() >= 5, "the stacks are walked to their ends: {text}");
}

#[test]
fn gdb_shows_the_fibers_of_a_live_process_and_of_a_core() {
    let folder = std::env::temp_dir().join(format!("abaca-core-{}", std::process::id()));
    with_gdb(&folder, || child::command("stuck and busy", &folder), check);
}
