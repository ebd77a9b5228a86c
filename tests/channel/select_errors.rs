//! What the compiler says about a `select!` in tokio's syntax: it points at the case, and shows the right form.

use std::io::Write;
use std::process::{Command, Stdio};

/// The error path of the macros needs nothing else of the crate.
const MACROS: &str = include_str!("../../runtime/src/channel/macros.rs");

/// What the compiler prints about a function with this body.
fn errors(body: &str) -> String {
    let mut rustc = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
            "--out-dir",
            env!("CARGO_TARGET_TMPDIR"),
            "-",
        ])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rustc runs");
    let mut input = rustc.stdin.take().expect("it is a pipe");
    write!(input, "{MACROS}\npub fn body(number: u32) {{\n{body}\n}}\n").expect("rustc reads its input");
    drop(input);
    let output = rustc.wait_with_output().expect("rustc ends");
    assert!(!output.status.success(), "{body} compiles");
    String::from_utf8(output.stderr).expect("rustc prints UTF-8")
}

/// Checks that the only error marks `case`, and says how to write it.
fn marks(body: &str, case: &str) {
    let text = errors(body);
    assert_eq!(text.matches("error[E0277]").count(), 1, "{text}");
    assert!(text.contains("a case of `select!` is a channel operation"), "{text}");
    let label = "write `recv(receiver) -> message => body` or `send(sender, value) -> result => body`";
    let marked = text.lines().find_map(|line| line.strip_suffix(label)).unwrap_or_else(|| panic!("{text}"));
    let marks = marked.matches('^').count();
    assert_eq!(marks, case.len(), "{text}");
    assert!(text.contains("recv(after(duration)) -> _ => body"), "{text}");
}

#[test]
fn a_future_in_tokios_syntax_is_marked_and_the_right_form_is_shown() {
    marks("select! { message = Some(number) => drop(message), }", "Some(number)");
    marks("select! { Some(_) = async { number } => {} _ = async {} => {} }", "async { number }");
    marks("select_biased! { _ = number.pow(2), if number > 2 => {} else => {} }", "number.pow(2)");
}

#[test]
fn what_tokio_has_besides_is_named() {
    assert!(errors("select! { else => {} }").contains("write `default => body`"));
    assert!(errors("select! { biased; x = async {} => {} }").contains("use `select_biased!`"));
}

#[test]
fn other_mistakes_are_told_as_before() {
    assert!(
        errors("select! { receive(number) -> x => {} }")
            .contains("expected one of `recv`, `send` or `default`")
    );
    assert!(
        errors("select! { recv number -> x => {} }")
            .contains("expected `recv(receiver) -> message => body,`")
    );
}
