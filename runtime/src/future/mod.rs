//! Futures: fibers that wait for them, and fibers as futures.

mod block_on;

pub use block_on::block_on;
