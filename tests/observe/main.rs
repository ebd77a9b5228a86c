//! What is seen from outside: dumps, deadlocks, leaks, labels.

use abaca_tests as _;

mod child;
mod cycles;
mod deadlocks;
mod debugger;
mod dumps;
mod labels;
mod look_alikes;
mod quit;
mod roaming;
mod roles;
mod shapes;
mod spans;
mod stacks;
mod stripped;
mod wide;
