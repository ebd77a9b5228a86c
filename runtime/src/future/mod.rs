//! Futures: fibers that wait for them, and fibers as futures.
