//! Fibers as a user of `std::thread` knows threads: spawning, joining, parking, scopes, local storage.

// Checks at the end that nothing is left behind.
use abaca_tests as _;

mod blame;
mod cells;
mod destructors;
mod join;
mod local;
mod local_coroutine;
mod nested;
mod park;
mod runtime;
mod scope;
mod std_thread;
