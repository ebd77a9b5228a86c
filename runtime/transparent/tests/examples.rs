//! The examples, in short form.

use std::process::Command;

/// The output of an example, which cargo has built with the tests.
fn run(name: &str, arguments: &[&str]) -> String {
    let here = std::env::current_exe().expect("the test has a file");
    let directory = here.parent().and_then(|deps| deps.parent()).expect("it is built in `deps`");
    let output = Command::new(directory.join("examples").join(name))
        .args(arguments)
        .env("ABACA_WORKERS", "2")
        .output();
    let output = output.expect("the example runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it prints text")
}

#[test]
fn unmodified_threads_serves_more_connections_than_it_has_threads() {
    let text = run("unmodified_threads", &["300"]);
    assert!(text.contains("1800 right answers of 1800"), "{text}");
    let of_kernel =
        text.lines().next().and_then(|line| line.split(", ").nth(2)).and_then(|part| part.split(' ').next());
    let of_kernel: usize =
        of_kernel.and_then(|number| number.parse().ok()).expect("it says how many threads it has");
    // On a busy machine workers leave threads that the kernel does not run, for up to 256 others.
    assert!(of_kernel < 300, "{text}");
}
