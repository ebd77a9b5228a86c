//! The README's first command does what it says, and shows the way to the lab.

use std::process::Command;

#[test]
fn a_hundredth_of_it_shows_every_figure_and_the_way_to_the_lab() {
    let output = Command::new(env!("CARGO_BIN_EXE_abaca-demo")).arg("0.01").output().expect("it is built");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "10,000 fibers spawned",
        "50,000 switches",
        "1,000 fibers waiting",
        "100 connections",
        "requests a second",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("--manifest-path benches/lab/Cargo.toml"), "{text}");
}

#[test]
fn what_is_no_share_is_refused() {
    for bad in ["0", "2", "much"] {
        let output = Command::new(env!("CARGO_BIN_EXE_abaca-demo")).arg(bad).output().expect("it is built");
        assert!(!output.status.success() && output.stdout.is_empty(), "{bad}");
    }
}
