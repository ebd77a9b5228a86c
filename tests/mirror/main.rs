//! The documentation examples of std and crossbeam, run against abaca with their paths swapped.
//!
//! Nothing of the originals is kept in this repository: std's examples are read from the documentation that comes with
//! the toolchain, crossbeam's from the source that cargo has fetched. `pages` says which page is mirrored by
//! what; `swap` changes the paths;
//! `stage` makes programs of the examples; `play` runs each in a fiber, and, where no
//! fiber is spawned, on a plain thread too. `coverage` compares the items of the pages.
//!
//! `tests/transparent` runs the same examples as they are on threads that are fibers, with most of these files.

// Looks at the end for what is left behind.
use abaca_tests as _;

mod coverage;
mod examples;
mod form;
mod html;
mod pages;
mod play;
mod signature;
mod source;
mod stage;
mod swap;

use form::Form;

/// How the examples run here.
fn form() -> Form {
    Form::Swapped
}

#[test]
fn every_example_of_the_originals_passes_with_its_path_swapped() {
    examples::check();
}
