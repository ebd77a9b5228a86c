//! abaca: a stackful green-thread runtime.

mod atomic;
pub mod fiber;
mod os;
mod park;
