//! A program without symbols: addresses and the build id stand for names.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use abaca_tests::{Tool, has_gdb, skip};

use super::child;

/// The build id of a file, as `readelf` tells it. Empty if it has none.
fn build_id(file: &std::path::Path) -> String {
    let output = Command::new("readelf").arg("-n").arg(file).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split("Build ID: ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or("").to_owned()
}

#[test]
fn without_symbols_there_are_addresses_and_the_build_id() {
    let folder = std::env::temp_dir().join(format!("abaca-stripped-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copy = folder.join("program");
    let Some(mut dumps) = child::stripped("dumps", &copy) else { return };
    let output = dumps.output().unwrap();
    assert!(output.status.success(), "{}", child::stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["'parked' [park, ", "roles.rs:", "program+0x", "'main' [running"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let id = build_id(&copy);
    if id.is_empty() {
        skip(Tool::Binutils, "the linker gives no build ids, or there is no readelf");
    } else {
        assert!(text.contains(&format!("(build id {id})")), "{id} in {text}");
        assert!(text.contains(&format!(r#""build_id":"{id}""#)), "{id} in {text}");
    }
    // What the whole program's file says of an address that the stripped one has shown.
    let address = text
        .split("program+")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next());
    let whole = std::env::current_exe().unwrap();
    let named = Command::new("addr2line").args(["-f", "-C", "-e"]).arg(whole).arg(address.unwrap()).output();
    match named {
        Ok(named) => {
            let named = String::from_utf8_lossy(&named.stdout).into_owned();
            assert!(named.contains("abaca::") || named.contains("park"), "{named}");
        }
        Err(error) => skip(Tool::Binutils, &format!("addr2line: {error}")),
    }
    if has_gdb() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../gdb/abaca.py");
        let source = format!("source {script}");
        let mut gdb = Command::new("gdb");
        gdb.args(["-q", "-batch", "-nx", "-ex", &source, "-ex", "abaca fibers"]).arg(&copy);
        let told = child::stderr(&gdb.output().unwrap());
        assert!(
            told.contains("has no symbols, or does not use abaca") && !told.contains("Traceback"),
            "{told}"
        );
    }
    let overflow = child::stripped("overflow", &copy).unwrap().output().unwrap();
    let text = child::stderr(&overflow);
    assert!(
        text.contains("has overflowed its stack") && text.contains("addr2line -f -C -e PROGRAM`: 0x"),
        "{text}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

/// Whether the process has a signal that no thread has taken.
fn is_pending(process: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mut sets = status.lines().filter_map(|line| line.strip_prefix("ShdPnd:"));
    sets.any(|set| !set.trim().trim_start_matches('0').is_empty())
}

fn has_thread(process: &str, name: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.any(|thread| thread.trim_end() == name)
}

#[test]
fn a_dump_that_nobody_can_read_stops_nobody() {
    let mut process = child::command("echo", &std::env::temp_dir());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut process = process.stdin(Stdio::piped()).stderr(full).spawn().unwrap();
    let mut questions = process.stdin.take().unwrap();
    let mut answers = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(answers.any(|line| line == "ready"));
    let id = process.id().to_string();
    for count in 0..3 {
        assert!(Command::new("kill").args(["-QUIT", &id]).status().unwrap().success());
        // Until a thread has taken it, and the one that writes the dump has given up.
        while is_pending(&id) || has_thread(&id, "abaca-dump") {
            std::thread::yield_now();
        }
        writeln!(questions, "{count}").unwrap();
        assert_eq!(answers.next(), Some(count.to_string()), "it goes on");
    }
    drop(questions);
    assert!(process.wait().unwrap().success());
}
