//! The documentation examples of std and crossbeam-channel, run against abaca.
