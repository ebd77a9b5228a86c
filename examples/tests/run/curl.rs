//! The servers that curl is the client of.

use std::path::Path;
use std::process::Command;

use super::{Server, fails};

/// What curl prints for these arguments. Proxies of the environment are none of its business.
fn curl(arguments: &[&str]) -> String {
    let output =
        Command::new("curl").args(["--silent", "--show-error", "--noproxy", "*"]).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("these tests need the program `curl`: {error}"));
    assert!(output.status.success(), "curl {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn https_answers_curl_that_trusts_its_certificate() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("https-{}.pem", std::process::id()));
    let path = path.to_str().expect("text");
    let server = Server::start("https", &["--requests", "4", "--certificate", path]);
    let url = |page: &str| format!("https://localhost:{}/{page}", server.address.port());
    // Two on one connection.
    let connects = ["--write-out", "%{num_connects};"];
    let pages = [url("one"), url("two")];
    let text = curl(&["--cacert", path, connects[0], connects[1], &pages[0], &pages[1]]);
    assert_eq!(text, "/one in secret\n1;/two in secret\n0;");
    assert_eq!(curl(&["--cacert", path, "--tls-max", "1.2", &url("three")]), "/three in secret\n");
    // Who does not trust the certificate takes only its own connection down.
    let distrustful = Command::new("curl").args(["--silent", "--noproxy", "*", &url("none")]).status();
    assert_eq!(distrustful.expect("curl runs").code(), Some(60));
    assert_eq!(curl(&["--cacert", path, &url("four")]), "/four in secret\n");
    server.ends_well();
    std::fs::remove_file(path).expect("the server wrote it");
}

#[test]
fn https_says_where_it_cannot_write_its_certificate() {
    fails("https", &["--certificate", "/nowhere/at/all"], "cannot write /nowhere/at/all");
}

#[test]
fn hyper_server_keeps_connections_alive() {
    let server = Server::start("hyper_server", &["--requests", "4"]);
    let url = |page: &str| format!("http://{}/{page}", server.address);
    let pages = [url("one"), url("two")];
    let text = curl(&["--write-out", "%{num_connects};", &pages[0], &pages[1]]);
    assert_eq!(text, "GET /one with 0 bytes\n1;GET /two with 0 bytes\n0;");
    let megabyte = "a".repeat(1_000_000);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("body-{}", std::process::id()));
    std::fs::write(&path, megabyte).expect("a writable folder");
    let body = format!("@{}", path.display());
    let text = curl(&["--header", "Expect: 100-continue", "--data-binary", &body, &url("three")]);
    assert_eq!(text, "POST /three with 1000000 bytes\n");
    std::fs::remove_file(path).expect("written above");
    let head = curl(&["--include", &url("four")]);
    assert!(head.contains("connection: close\r\n") && head.ends_with("GET /four with 0 bytes\n"), "{head}");
    server.ends_well();
}

#[test]
fn hyper_server_closes_a_connection_on_which_no_request_comes() {
    let server = Server::start("hyper_server", &["--requests", "1", "--header-timeout", "0.05"]);
    let silent = server.connect();
    super::send(&silent, "GET / HT");
    assert_eq!(super::read_all(&silent), b"");
    // On a busy machine curl may be as slow, and then tries again.
    let again = ["--retry", "100", "--retry-all-errors", "--retry-delay", "1"];
    let url = format!("http://{}/", server.address);
    let text = curl(&[&again[..], &[&url]].concat());
    assert_eq!(text, "GET / with 0 bytes\n");
    server.ends_well();
}
