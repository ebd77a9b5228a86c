//! Unmodified std and C functions on fibers of one worker; and the documentation examples of std and crossbeam as they are, on threads that
//! are fibers (`tests/mirror` has their table, and runs them with their paths swapped).

#[path = "../mirror/examples.rs"]
mod examples;
#[path = "../mirror/form.rs"]
mod form;
#[path = "../mirror/html.rs"]
#[allow(dead_code, reason = "a part of it is for the mirror")]
mod html;
#[path = "../mirror/pages/mod.rs"]
#[allow(dead_code, reason = "a part of it is for the mirror")]
mod pages;
#[path = "../mirror/play.rs"]
#[allow(dead_code, reason = "a part of it is for the mirror")]
mod play;
mod preload;
#[path = "../mirror/source.rs"]
mod source;
#[path = "../mirror/stage.rs"]
#[allow(dead_code, reason = "a part of it is for the mirror")]
mod stage;
mod support;
#[path = "../mirror/swap.rs"]
mod swap;
mod table;
mod threads;

use form::Form;

fn form() -> Form {
    Form::Unchanged(preload::library())
}

#[test]
fn std_s_examples_pass_as_they_are_on_fibers() {
    // What runs them is to be no fiber itself.
    abaca_transparent::as_kernel_threads(examples::check);
}
