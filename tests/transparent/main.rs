//! Unmodified std and C functions on fibers of one worker.

mod preload;
mod support;
mod threads;
