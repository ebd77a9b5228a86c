//! Fibers as a user of `std::thread` knows threads: spawning, joining, parking, scopes, local storage.

// Looks at the end for what is left behind.
use abaca_tests as _;

mod blame;
mod destructors;
mod join;
mod local;
mod local_coroutine;
mod nested;
mod park;
mod runtime;
mod scope;
mod thread_twin;
