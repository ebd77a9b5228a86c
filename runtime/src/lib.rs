//! abaca: a stackful green-thread runtime.

#![allow(dead_code, unused_imports, reason = "the layers above take these into use")]

mod atomic;
pub mod fiber;
mod os;
mod park;
mod queue;
mod timer;
