//! Servers that were built without abaca: `examples/preload/run`, with a few clients, for those that are installed.

use std::path::Path;
use std::process::Command;

use super::library;

#[test]
fn installed_servers_answer_all_their_clients_on_fibers() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/preload/run");
    // One whose threads share a lock of its own, one in C with a thread for each connection, and one in C++ of many locks.
    let servers = ["python3", "tinyproxy", "mariadbd"];
    let output =
        Command::new(script).arg("--library").arg(library()).args(["--clients", "40"]).args(servers).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped, there is no Python: {error}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for server in servers {
        let row = text.lines().find(|line| line.starts_with(server)).unwrap();
        assert!(row.ends_with("works") || row.contains("skipped"), "{row}");
    }
}
