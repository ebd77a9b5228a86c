//! Programs of many streams on eight workers, whose waits are cut short by deadlines, tokens and cancellations, against a
//! model of each primitive. The answers of the calls must be those of some sequence of the same calls, made one after the
//! other, in an order that respects which call ended before which began (linearizability). A call that was cut short must
//! have had no effect.
//! When nothing moves any more, each stream that still waits must wait in the model too: a lost wake-up is an error, not a
//! timeout.
//!
//! `program.rs` makes programs, `history.rs` runs them, `search.rs` finds that order; each other file has primitives and their
//! models. `PROPTEST_CASES` says how many programs each property tries. The seeds in `regressions.txt` are tried first.

mod cells;
mod gates;
mod groups;
mod history;
mod locks;
mod once;
mod permits;
mod program;
mod queues;
mod search;
