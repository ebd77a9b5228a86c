//! `abaca::cancel`: cancellation in every blocking call, tokens, shields, scopes that fail, sets of fibers.

mod callbacks;
mod every_call;
mod io;
mod join_set;
mod join_set_oracle;
mod scopes;
mod shield;
mod stress;
mod token;
mod waits;

use abaca::Cancelled;
use abaca_tests::{begun, on_one_worker};

/// Whether that is what the join of a cancelled fiber returns.
fn is_cancelled<T>(result: std::thread::Result<T>) -> bool {
    matches!(result, Err(payload) if payload.is::<Cancelled>())
}
