//! What is seen from outside: dumps, deadlocks, leaks, labels.

use abaca_tests as _;

mod child;
mod deadlocks;
mod dumps;
mod labels;
mod roles;
