//! What the compiler is asked about our types: variance, auto traits, drop checks and type parameters, next to those of std,
//! crossbeam and tokio.

mod auto_traits;
mod drop_check;
mod parameters;
mod variance;
