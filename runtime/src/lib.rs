//! abaca: a stackful green-thread runtime.

mod atomic;
pub mod channel;
pub mod fiber;
mod os;
mod park;
pub mod sync;
