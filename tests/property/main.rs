//! Programs of many streams on eight workers, whose waits are cut short by deadlines, tokens and cancellations, against a
//! model of each primitive: what the calls answered must be what a sequence of them answers, one after the other, in an order
//! that respects which call ended before which began (linearizability). Whatever was cut short must have done nothing.
//! When nothing moves any more, whoever still waits must wait in the model too: a lost wake-up is an error, not a timeout.
//!
//! `program.rs` makes programs, `history.rs` runs them, `search.rs` finds that order; each other file has primitives and their
//! models. `PROPTEST_CASES` says how many programs each property tries; those of `regressions.txt`, given as seeds, are tried
//! first each time.

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
