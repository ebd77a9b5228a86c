//! Signals as blocking calls.
