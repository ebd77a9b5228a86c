//! What the compiler is asked about our types: variance, auto traits, drop checks and type parameters, next to those of std,
//! crossbeam and tokio.

// Looks at the end for what is left behind.
use abaca_tests as _;

mod auto_traits;
mod drop_check;
mod parameters;
mod variance;
