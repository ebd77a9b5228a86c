//! `abaca::cancel`: cancellation in every blocking call, tokens, shields, scopes that fail, sets of fibers.

// Other switches and sanitizers do not let the unwinder look at a parked stack: there, such a cancellation ends the process with a
// report, as `shield` tells.
#[cfg(not(any(abaca_corosensei, abaca_asan, abaca_tsan, abaca_valgrind)))]
mod callbacks;
mod every_call;
mod io;
mod join_set;
mod join_set_oracle;
mod kept;
mod nested;
mod nested_locks;
mod passed_on;
mod scopes;
mod shield;
mod stress;
#[cfg(not(any(abaca_corosensei, abaca_asan, abaca_tsan, abaca_valgrind)))]
mod suspended;
mod token;
mod waits;

use abaca::Cancelled;
use abaca_tests::{begun, on_one_worker};

/// Whether this is the result of joining a cancelled fiber.
fn is_cancelled<T>(result: std::thread::Result<T>) -> bool {
    matches!(result, Err(payload) if payload.is::<Cancelled>())
}
