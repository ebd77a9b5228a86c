//! Unmodified std and C functions on fibers of one worker.

mod support;
mod threads;
