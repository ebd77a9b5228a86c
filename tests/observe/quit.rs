//! SIGQUIT writes a dump, and the program goes on.

use std::io::{BufRead, BufReader};
use std::process::Command;

use super::child;

#[test]
fn sigquit_writes_a_dump_and_the_program_goes_on() {
    let mut process = child::command("stuck", &std::env::temp_dir()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-QUIT", &process.id().to_string()]).status().unwrap().success());
        let mut find =
            |text: &str| lines.by_ref().find(|line| line.as_ref().unwrap().contains(text)).is_some();
        assert!(find("abaca: 3 fibers on 2 workers of 1 runtime"));
        assert!(find("DEADLOCK: 2 fibers"));
        assert!(find("fiber 1 'main' [join, "));
    }
    process.kill().unwrap();
    process.wait().unwrap();
}
