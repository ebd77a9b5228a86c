//! The examples, in short form.

use std::io::Write;
use std::process::{Command, Stdio};

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
    // On a busy machine workers leave threads that the kernel does not run, for up to 256 others.
    assert!(threads_of_the_kernel(&text) < 300, "{text}");
}

/// As the first line of an example says it.
fn threads_of_the_kernel(text: &str) -> usize {
    let of_kernel = text.split(", ").find_map(|part| part.split_once(" of the kernel"));
    of_kernel.and_then(|(number, _)| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn unmodified_redis_shares_one_pool() {
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("ABACA_REQUIRE_REDIS").is_none(), "redis-server is not installed");
        // Behind the back of the test harness, which shows nothing of tests that pass.
        let _ = std::io::stderr().write_all(b"SKIPPED, unmodified_redis: redis-server is not installed\n");
        return;
    }
    let text = run("unmodified_redis", &["400"]);
    assert!(text.contains("1200 calls of 1200 are counted, by 400 callers"), "{text}");
    assert!(text.contains("32 connections"), "{text}");
    assert!(threads_of_the_kernel(&text) < 400, "{text}");
}

#[test]
fn servers_are_measured_each() {
    let text = run("servers", &["1", "100", "50"]);
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 9, "{text}");
    let figures = rows[1..].iter().flat_map(|row| row.split(" | ").skip(1).take(5));
    assert_eq!(figures.filter(|figure| figure.parse::<f64>().is_ok()).count(), 40, "{text}");
}
