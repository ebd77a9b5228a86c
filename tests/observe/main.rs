//! What is seen from outside: dumps, deadlocks, leaks, labels.

use abaca_tests as _;

mod dumps;
mod labels;
