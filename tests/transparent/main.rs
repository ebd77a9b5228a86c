//! Unmodified std and C functions on fibers of one worker.

mod examples;
#[path = "../mirror/html.rs"]
#[allow(dead_code, reason = "a part of it is for the mirror")]
mod html;
mod preload;
mod support;
mod table;
mod threads;

pub(crate) use examples::Example;
