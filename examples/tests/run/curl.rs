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
