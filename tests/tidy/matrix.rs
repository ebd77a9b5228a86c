//! The guide's page about libraries, which the matrix writes, has a row for each program, of the version that is in the lock file.
//! Its figures are those of the last run in which no program has failed.

use super::{assert_none, read, rust_files};

/// The text between the first `before` and the next quotation mark.
fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split('"').next()
}

#[test]
fn the_page_about_libraries_has_every_program_of_the_matrix() {
    let (page, lock) = (read("runtime/guide/compatibility.md"), read("tests/compat/Cargo.lock"));
    let mut missing = Vec::new();
    let mut programs = 0;
    for file in rust_files("tests/compat/src/programs") {
        for program in file.text.split("name: \"").skip(1) {
            let name = program.split('"').next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            programs += 1;
            let version =
                ["Version::Of(\"", "Version::With(\""].into_iter().find_map(|kind| quoted(program, kind));
            let version = version.map(|package| {
                let entry =
                    lock.split_once(&format!("name = \"{package}\"\n")).expect("it is in the lock file").1;
                quoted(entry, "version = \"").expect("a package has a version")
            });
            let row = format!("| {name} | {}", version.unwrap_or_default());
            if !page.lines().any(|line| line.starts_with(&row)) {
                missing.push(format!("no row {row}"));
            }
        }
    }
    assert_none(&missing, "run `bash .ci/run compat`, which writes runtime/guide/compatibility.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), programs, "each row is a program's");
    let verdict = |row: &&str| row.trim_end_matches(" |").rsplit("| ").next().map(str::to_owned);
    let failed: Vec<_> =
        rows.iter().filter_map(verdict).filter(|verdict| !verdict.starts_with("works")).collect();
    assert_none(
        &failed,
        "the page is of a run in which all was right: none of a program that fails is written",
    );
}
