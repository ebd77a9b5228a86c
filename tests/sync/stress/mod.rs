//! Fibers and threads that meet at one primitive while their waits are cut short by deadlines, tokens and cancellations.
//!
//! Each test counts effects in a [storm](abaca_tests::storm) and compares. `patient` tests what a storm hides, where another
//! stream always comes by: that a wake-up meant for a waiter that has just given up reaches the next in the queue.

mod channels;
mod locks;
mod meetings;
mod once;
mod patient;
mod permits;
