//! The bodies that are compiled for several sides: std, and abaca after only the `use` paths have changed.

pub(crate) mod on_fibers;
pub(crate) mod on_std;
pub(crate) mod on_threads;
