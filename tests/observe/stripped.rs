//! A program without symbols: addresses and the build id stand for names.

use std::process::Command;

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
    let Some(mut dumps) = child::stripped("dumps", &copy) else {
        println!("there is no strip here");
        return;
    };
    let output = dumps.output().unwrap();
    assert!(output.status.success(), "{}", child::stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["'parked' [park, ", "roles.rs:", "program+0x", "'main' [running"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let id = build_id(&copy);
    if id.is_empty() {
        println!("the linker gives no build ids, or there is no readelf");
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
    if let Ok(named) = named {
        let named = String::from_utf8_lossy(&named.stdout).into_owned();
        assert!(named.contains("abaca::") || named.contains("park"), "{named}");
    }
    let overflow = child::stripped("overflow", &copy).unwrap().output().unwrap();
    let text = child::stderr(&overflow);
    assert!(
        text.contains("has overflowed its stack") && text.contains("addr2line -f -C -e PROGRAM`: 0x"),
        "{text}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_dump_that_nobody_can_read_stops_nobody() {
    let mut process = child::command("stuck", &std::env::temp_dir());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut process = process.stderr(full).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.stdout.take().unwrap()), &mut line)
        .unwrap();
    let id = process.id().to_string();
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-QUIT", &id]).status().unwrap().success());
        // Until a thread has taken it.
        while std::fs::read_to_string(format!("/proc/{id}/status")).unwrap().lines().any(|line| {
            line.strip_prefix("ShdPnd:").is_some_and(|set| !set.trim().trim_start_matches('0').is_empty())
        }) {
            std::thread::yield_now();
        }
    }
    assert!(process.try_wait().unwrap().is_none(), "it goes on");
    process.kill().unwrap();
    process.wait().unwrap();
}
