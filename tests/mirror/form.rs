//! The two forms in which examples run, and where the originals are.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::html::Fate;

/// How the examples run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each of the two crates has one")]
pub(crate) enum Form {
    /// With abaca's paths in place of theirs, in a fiber and on a thread.
    Swapped,
    /// As they are, in a thread that is a fiber of this library: `libabaca_preload.so`.
    Unchanged(PathBuf),
}

impl Form {
    pub(crate) fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged(_))
    }
}

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
pub(crate) fn rustc(arguments: &[&str]) -> String {
    let output = Command::new("rustc").args(arguments).output().expect("rustc runs");
    String::from_utf8(output.stdout).expect("rustc prints UTF-8")
}

/// A page of the documentation of std that is installed beside the compiler.
pub(crate) fn std_page(page: &str) -> String {
    let folder = PathBuf::from(rustc(&["--print", "sysroot"]).trim_end()).join("share/doc/rust/html/std");
    assert!(folder.exists(), "std's documentation is not installed: run `rustup component add rust-docs`");
    fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("std's page {page}: {error}"))
}
