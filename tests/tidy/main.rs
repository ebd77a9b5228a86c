//! The repository's own rules, as tests. Each message says what to do.

use std::path::{Path, PathBuf};

/// The layers of `runtime/src`, bottom to top; see `ARCHITECTURE.md`. A file may use its own folder and lower layers.
const LAYERS: &[(u32, &[&str])] = &[
    (0, &["atomic"]),
    (1, &["os"]),
    (2, &["queue", "timer"]),
    (3, &["fiber", "cancel"]),
    (4, &["poller"]),
    (5, &["scheduler"]),
    (6, &["park"]),
    (7, &["sync", "channel", "current", "latch", "local_key", "scope", "spawn", "blocking", "runtime"]),
    (8, &["io"]),
    (9, &["net"]),
];

/// Uses that the layers forbid and that are argued here.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The scheduler owns the pool whose jobs park: it keeps it for others and never calls it.
    ("scheduler", "blocking"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").into()
}

/// Every file below `folder` with this ending, with its text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != ".git" {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found.sort();
    let name =
        |path: &Path| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("text"))).collect()
}

fn layer_of(room: &str) -> Option<u32> {
    LAYERS.iter().find(|(_, rooms)| rooms.contains(&room)).map(|(layer, _)| *layer)
}

/// The rooms that a line of code names by path, directly or in a group: `crate::{park, queue::SpinLock}`.
fn rooms_used(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let code: String = text
        .split("#[cfg(all(test")
        .next()
        .unwrap_or("")
        .lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.contains("pub use"))
        .map(|line| format!("{line}\n"))
        .collect();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let mut depth = 0;
        let mut word = String::new();
        let mut at_start = true;
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth > 1 => depth -= 1,
                ',' if depth == 1 => at_start = true,
                c if c.is_alphanumeric() || c == '_' => {
                    if at_start {
                        word.push(c);
                    }
                    continue;
                }
                c if c.is_whitespace() && depth > 0 => {}
                ':' => at_start = false,
                _ => depth = 0,
            }
            if !word.is_empty() {
                rooms.push(std::mem::take(&mut word));
            }
            if depth == 0 {
                break;
            }
        }
    }
    rooms
}

#[test]
fn the_parser_of_paths_finds_single_and_grouped_rooms() {
    let text = "use crate::fiber::{Header, Waiter};\nuse crate::{park, queue::SpinLock};\nlet x = crate::os::slack::tighten();\n";
    assert_eq!(rooms_used(text), ["fiber", "park", "queue", "os"]);
}

#[test]
fn files_use_only_lower_layers() {
    let mut wrong = Vec::new();
    for (name, text) in files("runtime/src", ".rs") {
        let path = name.strip_prefix("runtime/src/").expect("below it");
        let room = path.split(['/', '.']).next().expect("a name");
        if room == "lib" {
            continue;
        }
        let layer = layer_of(room)
            .unwrap_or_else(|| panic!("{name}: give `{room}` a layer in ARCHITECTURE.md and here"));
        for used in rooms_used(&text) {
            let Some(other) = layer_of(&used) else { continue };
            let same_layer_peers = layer == 7 || layer == 3 || layer == 2;
            let allowed = used == room || other < layer || (other == layer && same_layer_peers);
            if !allowed && !EXCEPTIONS.contains(&(room, &used)) {
                wrong.push(format!("{name} (layer {layer}) uses {used} (layer {other})"));
            }
        }
    }
    assert!(wrong.is_empty(), "lower layers return work, they never call up:\n{}", wrong.join("\n"));
}

#[test]
fn only_os_names_libc_and_only_the_builder_reads_the_environment() {
    for (name, text) in files("runtime/src", ".rs") {
        assert!(
            name.contains("/os/") || !text.contains("libc::"),
            "{name}: system calls belong into runtime/src/os"
        );
        assert!(
            name.ends_with("src/runtime.rs") || !text.contains("env::var"),
            "{name}: configuration is runtime.rs's"
        );
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    for (name, text) in files("", ".rs") {
        assert!(text.starts_with("//!"), "{name}: open with `//!`: what it owns, its invariants");
    }
}

#[test]
fn files_are_of_readable_size() {
    for (name, text) in files("", ".rs") {
        let lines = text.lines().count();
        assert!(lines <= 470, "{name}: {lines} lines: one noun a file, 100 to 400 lines");
    }
}

#[test]
fn examples_are_short() {
    for (name, text) in files("examples", ".rs") {
        let code =
            text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"));
        let lines = code.count();
        assert!(
            name.contains("tests/") || lines <= 110,
            "{name}: {lines} lines of code: an example fits on a page or two"
        );
    }
}

#[test]
fn every_example_is_run_by_a_test() {
    let runner = std::fs::read_to_string(root().join("examples/tests/run.rs")).expect("the runner");
    for (name, _) in files("examples", ".rs") {
        let stem = Path::new(&name).file_stem().expect("a name").to_string_lossy().into_owned();
        let is_example = !name.contains("tests/") && stem != "lib";
        assert!(
            !is_example || runner.contains(&format!("\"{stem}\"")),
            "{name}: run it in examples/tests/run.rs"
        );
    }
}

#[test]
fn unsafe_code_is_announced_with_a_reason() {
    for (name, text) in files("", ".rs") {
        let uses = text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && (line.contains("unsafe {") || line.contains("unsafe impl"))
        });
        let announced =
            text.contains("expect(") && text.contains("unsafe_code") || text.contains("unsafe_code,");
        let by_parent = name.contains("asm/src/sanitizer/");
        assert!(!uses || announced || by_parent, "{name}: add #![expect(unsafe_code, reason = \"..\")]");
        // Put together here, so that this file does not find itself.
        let allowed = ["allow(", "unsafe_code"].concat();
        assert!(!text.contains(&allowed), "{name}: `expect`, so that a stale entry fails the build");
    }
}

#[test]
fn the_readmes_commands_name_what_exists() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    assert!(readme.contains("cargo run --release --example c10k"));
    assert!(readme.contains("cargo test --workspace"));
    assert!(root().join("examples/c10k.rs").exists());
    let ci = std::fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    assert!(ci.contains("cargo test --workspace"), ".ci/run calls the README's test command");
    assert!(ci.contains("--cfg loom"), ".ci/run runs the loom models");
    for file in ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(root().join(file).exists(), "{file} is missing");
    }
}

#[test]
fn the_changelog_has_unreleased_on_top() {
    let text = std::fs::read_to_string(root().join("CHANGELOG.md")).expect("a changelog");
    let first = text.lines().find(|line| line.starts_with("## ")).expect("a section");
    assert_eq!(first, "## Unreleased");
}

#[test]
fn no_test_is_ignored_without_a_reason_and_nothing_is_left_to_do() {
    // Put together here, so that this file does not find itself.
    let words =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["todo", "!("].concat(), ["#[ignore", "]"].concat()];
    for (name, text) in files("", ".rs") {
        for word in &words {
            assert!(!text.contains(word.as_str()), "{name}: finish it, or give the reason: {word}");
        }
    }
}

#[test]
fn nothing_names_a_path_of_somebodys_machine() {
    let words = [["/ro", "ot/"].concat(), ["/ho", "me/"].concat(), ["/wo", "rk/"].concat()];
    for ending in [".rs", ".md", ".toml", ".go"] {
        for (name, text) in files("", ending) {
            for word in &words {
                assert!(!text.contains(word.as_str()), "{name}: names {word}");
            }
        }
    }
}
