//! The public API is what the text files beside this say: whoever changes it sees the change in the diff, and so do others.
//!
//! rustdoc describes each package as JSON, with all features. Left out is what it says of blanket implementations
//! (`impl<T> From<T> for T`), of what `derive` made, and of auto traits (`tests/types` asks for those). `UPDATE_API=1
//! cargo test -p abaca-api` writes the files anew.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up")
}

/// The published packages.
const PACKAGES: [&str; 5] = ["abaca", "abaca-asm", "abaca-macros", "abaca-tls", "abaca-transparent"];

/// Has rustdoc describe the packages, once, and returns the folder of what it says.
fn described() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // What the packages are built of is where this test is built as well. Their documentation there is not written over: the folder of
        // what is made is another.
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
        let target = built.join("api");
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root()).args([
            "doc",
            "--locked",
            "--quiet",
            "--lib",
            "--no-deps",
            "--all-features",
        ]);
        command.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
        command.arg("--target-dir").arg(&target).env("CARGO_BUILD_BUILD_DIR", built);
        // By this compiler's version of the format, which the reader knows.
        command.env("RUSTDOC", Path::new(env!("CARGO_MANIFEST_DIR")).join("rustdoc"));
        command.env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json --cap-lints=allow");
        command.env_remove("RUSTFLAGS");
        let output = command.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join("doc")
    })
}

/// A line for each public item, sorted: where in the source an item stands, and in which of several `impl` blocks, is nobody's
/// concern.
fn public_api(package: &str) -> String {
    let builder = public_api::Builder::from_rustdoc_json(
        described().join(package.replace('-', "_")).with_extension("json"),
    );
    let builder = builder.omit_blanket_impls(true).omit_auto_trait_impls(true).omit_auto_derived_impls(true);
    let api = builder.build().expect("rustdoc and its reader speak the same version of the format");
    let is_block = |line: &str| line.starts_with("impl") && !line.contains(" for ");
    let lines: BTreeSet<String> =
        api.items().map(ToString::to_string).filter(|line| !is_block(line)).collect();
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The first lines of one text that the other has not.
fn only_in_first(first: &str, second: &str, sign: char) -> String {
    let known: HashSet<&str> = second.lines().collect();
    let missing = first.lines().filter(|line| !known.contains(line)).take(20);
    missing.map(|line| format!("{sign} {line}\n")).collect()
}

#[track_caller]
fn check(package: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(package).with_extension("txt");
    let now = public_api(package);
    if std::env::var_os("UPDATE_API").is_some() {
        return std::fs::write(file, now).expect("the folder is there");
    }
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        now == before,
        "the public API of {package} has changed:\n{}{}if that is meant: UPDATE_API=1 cargo test -p abaca-api, and CHANGELOG.md",
        only_in_first(&before, &now, '-'),
        only_in_first(&now, &before, '+')
    );
}

#[test]
fn the_public_api_of_abaca_is_what_its_file_says() {
    check("abaca");
}

#[test]
fn the_public_api_of_abaca_asm_is_what_its_file_says() {
    check("abaca-asm");
}

#[test]
fn the_public_api_of_abaca_tls_is_what_its_file_says() {
    check("abaca-tls");
}

#[test]
fn the_public_api_of_abaca_macros_is_what_its_file_says() {
    check("abaca-macros");
}

#[test]
fn the_public_api_of_abaca_transparent_is_what_its_file_says() {
    check("abaca-transparent");
}
