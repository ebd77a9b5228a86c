//! What every source file looks like.

use std::path::Path;

use super::{File, assert_none, files, read, root, rust_files};

/// Lines of the longest file that a reader takes in at once.
const LINES: usize = 400;

/// Longer files: their limit, and why they are one noun all the same.
const LONG_FILES: &[(&str, usize, &str)] = &[
    ("asm/tests/coroutine.rs", 460, "one short test for each promise of one type"),
    ("runtime/src/channel/watch/mod.rs", 440, "one channel, most of it what users read"),
    ("runtime/src/sync/raw_rw_lock.rs", 490, "one protocol: its word, its queues, its steps"),
];

/// The workspace of its own.
const LAB: &str = "benches/lab";

/// Bytes of the lab's raw figures: they are kept for whoever doubts the figures, and cloned by everybody.
const SAMPLE_BYTES: u64 = 200_000;

/// Files with unsafe code whose parent announces it.
const ANNOUNCED_BY_PARENT: &str = "asm/src/sanitizer/";

#[test]
fn every_file_opens_with_what_it_is() {
    let wrong: Vec<_> =
        rust_files("").filter(|file| !file.text.starts_with("//! ")).map(|file| file.path).collect();
    assert_none(&wrong, "open with `//!`: what the file owns, its invariants, what it must not do:");
}

#[test]
fn files_are_short_enough_to_read() {
    let limit =
        |file: &File| LONG_FILES.iter().find(|(path, ..)| *path == file.path).map_or(LINES, |long| long.1);
    let wrong: Vec<_> = rust_files("")
        .filter(|file| file.text.lines().count() > limit(file))
        .map(|file| format!("{}: {} lines", file.path, file.text.lines().count()))
        .collect();
    assert_none(&wrong, "split it by its nouns, or argue for it in LONG_FILES:");
    for (path, ..) in LONG_FILES {
        assert!(read(path).lines().count() > LINES, "{path} is short again: take it out of LONG_FILES");
    }
}

#[test]
fn examples_fit_on_a_page_or_two_and_are_run() {
    let runner = read("examples/tests/run.rs");
    let manifest = read("examples/Cargo.toml");
    let is_example = |file: &File| file.path.matches('/').count() == 1;
    let mut wrong = Vec::new();
    for file in rust_files("examples").filter(is_example) {
        let name = Path::new(&file.path).file_stem().expect("a name").to_string_lossy().into_owned();
        if file.text.lines().count() > 125 {
            wrong.push(format!("{}: more than 125 lines", file.path));
        }
        if !runner.contains(&format!("\"{name}\"")) {
            wrong.push(format!("{}: run it in examples/tests/run.rs", file.path));
        }
        if !manifest.contains(&format!("name = \"{name}\"")) {
            wrong.push(format!("{}: give it an [[example]] in examples/Cargo.toml", file.path));
        }
    }
    assert_none(&wrong, "examples are read before they are run:");
}

#[test]
fn every_test_binary_looks_for_what_it_leaves_behind() {
    let manifest = read("tests/Cargo.toml");
    let mut wrong = Vec::new();
    for test in manifest.split("[[test]]").skip(1) {
        let path = test.split("path = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a path");
        let folder = Path::new(path).parent().expect("a folder");
        let links = |file: &File| file.code().any(|line| line.contains("abaca_tests"));
        if !rust_files(&format!("tests/{}", folder.display())).any(|file| links(&file)) {
            wrong.push(format!("tests/{path}"));
        }
    }
    assert_none(&wrong, "`use abaca_tests as _;`, which links the check of `tests/leaks.rs`:");
}

#[test]
fn unsafe_code_is_announced_with_its_reason() {
    let mut wrong = Vec::new();
    for file in rust_files("") {
        let is_unsafe = file.code().any(|line| line.contains("unsafe {") || line.contains("unsafe impl"));
        let is_announced = file.text.contains("unsafe_code") && file.text.contains("reason = ");
        if is_unsafe && !is_announced && !file.path.starts_with(ANNOUNCED_BY_PARENT) {
            wrong.push(format!("{}: add `#![expect(unsafe_code, reason = \"..\")]`", file.path));
        }
        // Put together here, so that this file does not find itself.
        if file.text.contains(&["allow(", "unsafe_code"].concat()) {
            wrong.push(format!("{}: `expect` it, so that a stale entry fails the build", file.path));
        }
    }
    assert_none(&wrong, "the list of files that expect unsafe code is the map of danger:");
}

/// Names of functions whose address a line takes as a number: those of statics are written in capitals.
fn compared_functions(line: &str) -> impl Iterator<Item = &str> {
    let before = line.match_indices(" as *const () as usize").map(|(at, _)| &line[..at]);
    let names = before.filter_map(|text| text.rsplit(|c: char| c != '_' && !c.is_alphanumeric()).next());
    names.filter(|name| name.chars().any(char::is_lowercase))
}

#[test]
fn addresses_of_functions_are_statics() {
    assert_eq!(compared_functions("a.handler = on_signal as *const () as usize;").next(), Some("on_signal"));
    assert_eq!(compared_functions("a.handler == HANDLER as *const () as usize").next(), None);
    let mut wrong = Vec::new();
    for file in ["runtime/src", "runtime/transparent/src", "tls/src"].into_iter().flat_map(rust_files) {
        for line in file.code() {
            // What a function is given it does not make. What is only looked up may be any of its copies.
            let is_given = |name: &&str| *name == "entry" || line.contains(&format!(".{name} "));
            let names = compared_functions(line).filter(|name| !is_given(name));
            wrong.extend(names.map(|name| format!("{}: {name}", file.path)));
            // A constant is made anew wherever it is used.
            if line.starts_with("const ") && line.contains(": [Entry;") {
                wrong.push(format!("{}: {line}", file.path));
            }
        }
    }
    assert_none(&wrong, "the compiler may make a function several times: take its address from a static:");
}

#[test]
fn every_member_obeys_the_workspace_lints() {
    let workspace = read("Cargo.toml");
    let members =
        workspace.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).expect("a list");
    for member in members.split('"').skip(1).step_by(2).chain([LAB]) {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}/Cargo.toml: add `lints.workspace`");
    }
    // The lab's workspace has its own copy of them.
    let lab = read(&format!("{LAB}/Cargo.toml"));
    let between = |text: &str| -> String {
        let rules = text.split("[workspace.lints.rust]").nth(1).expect("there are lints");
        rules.split("\n[profile.").next().expect("text").to_owned()
    };
    assert_eq!(
        between(&lab),
        between(&workspace),
        "{LAB}/Cargo.toml: the same lints as the other workspace's"
    );
}

#[test]
fn the_sample_of_the_lab_is_small() {
    let sample = std::fs::read_dir(root().join(LAB).join("sample")).expect("a folder");
    let bytes: u64 = sample.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum();
    assert!(bytes > 0 && bytes < SAMPLE_BYTES, "{bytes} bytes of raw figures in {LAB}/sample");
}

#[test]
fn nothing_is_left_undone() {
    let words =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat(), ["#[ignore", "]"].concat()];
    let mut wrong = Vec::new();
    for file in rust_files("") {
        for word in words.iter().filter(|word| file.text.contains(word.as_str())) {
            wrong.push(format!("{}: {word}", file.path));
        }
    }
    assert_none(&wrong, "finish it, or give an ignored test its reason:");
}

#[test]
fn nothing_names_a_machine() {
    // Homes and work folders, and the hosts of package registries and their mirrors.
    let words =
        [["/ro", "ot/"], ["/ho", "me/"], ["/wo", "rk/"], ["index.cra", "tes.io"], ["static.cra", "tes.io"]]
            .into_iter()
            .chain([["proxy.gol", "ang.org"], ["goprox", "y"], ["artifac", "tory"], ["py", "pi.org"]])
            .map(|halves| halves.concat())
            .collect::<Vec<_>>();
    let mut wrong = Vec::new();
    for file in files("") {
        for word in words.iter().filter(|word| file.text.contains(word.as_str())) {
            wrong.push(format!("{}: {word}", file.path));
        }
    }
    assert_none(&wrong, "what is true of one machine only stays on that machine:");
}

#[test]
fn dependencies_come_from_the_public_registry() {
    for path in ["Cargo.lock", &format!("{LAB}/Cargo.lock")] {
        let lock = read(path);
        let sources: Vec<_> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
        assert!(!sources.is_empty(), "{path} is committed");
        for source in sources {
            let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
            assert_eq!(source, public, "build {path} without a mirror or a git dependency");
        }
    }
    assert!(!root().join(".cargo").exists(), "a .cargo folder changes what a clean clone builds");
}
