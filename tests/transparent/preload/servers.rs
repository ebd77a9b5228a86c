//! Servers that were built without abaca: `examples/preload/run`, with a few clients, for those that are installed.

use std::io::Write;
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
        Err(error) => {
            // Behind the back of the test harness, which shows nothing of tests that pass.
            let _ = writeln!(std::io::stderr(), "SKIPPED, servers on fibers: there is no Python: {error}");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for server in servers {
        let row = text.lines().find(|line| line.starts_with(server)).unwrap();
        // Python is there, since it runs the script; the others may not be, and `bash .ci/run preload` installs them.
        assert!(row.ends_with("works") || server != "python3" && row.contains("skipped"), "{row}");
    }
}
