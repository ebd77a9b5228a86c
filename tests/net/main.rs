//! `abaca::net` and `abaca::io`: the behaviour of std's sockets, from fibers and from threads.

mod bodies;
mod cancel;
mod churn;
mod convert;
mod descriptors;
mod kinds;
mod mirror;
mod pollable;
mod runtimes;
mod sharing;
