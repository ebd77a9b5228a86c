//! Unmodified std and C functions on fibers of one worker.

mod descriptors;
mod support;
mod threads;
