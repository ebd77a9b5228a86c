//! The documentation examples of std and crossbeam, run against abaca with their paths swapped.
//!
//! Nothing of the originals is kept in this repository: std's examples are read from the documentation that comes with
//! the toolchain, crossbeam's from the source that cargo has fetched. `table` says which page is mirrored by
//! what; `swap` changes the paths;
//! `stage` makes programs of the examples; `play` runs each in a fiber, and, where no
//! fiber is spawned, on a plain thread too. `coverage` compares the items of the pages.

// Looks at the end for what is left behind.
use abaca_tests as _;

mod coverage;
mod examples;
mod html;
mod play;
mod signature;
mod source;
mod stage;
mod swap;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use html::Fate;

/// One example of an original's documentation.
#[derive(Debug)]
pub(crate) struct Example {
    /// The item that it documents.
    pub(crate) section: String,
    /// Which example of the item it is, from 0.
    pub(crate) nth: usize,
    /// What its authors say will happen.
    pub(crate) fate: Fate,
    /// A whole program.
    pub(crate) code: String,
}

/// What `rustc` prints when asked for `arguments`.
fn rustc(arguments: &[&str]) -> String {
    let output = Command::new("rustc").args(arguments).output().expect("rustc runs");
    String::from_utf8(output.stdout).expect("rustc prints UTF-8")
}

/// A page of the documentation of std that is installed beside the compiler.
fn std_page(page: &str) -> String {
    let folder = PathBuf::from(rustc(&["--print", "sysroot"]).trim_end()).join("share/doc/rust/html/std");
    assert!(folder.exists(), "std's documentation is not installed: run `rustup component add rust-docs`");
    fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("std's page {page}: {error}"))
}
