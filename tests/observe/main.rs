//! What is seen from outside: dumps, deadlocks, leaks, labels.

use abaca_tests as _;

mod bare;
mod child;
mod cycles;
mod deadlocks;
mod debugger;
mod dumps;
mod json;
mod labels;
mod look_alikes;
mod profile;
mod quit;
mod roaming;
mod roles;
mod shapes;
mod stacks;
mod storm;
mod stripped;
mod waits;
mod wide;

/// A dump in which each worker has shown its fibers. On a busy machine one may come to its hub so late that they are read from outside,
/// where not all is known of them.
fn whole_dump() -> abaca::observe::Dump {
    loop {
        let dump = abaca::dump();
        if !dump.to_string().contains(" is busy with one fiber, and ") {
            return dump;
        }
    }
}
