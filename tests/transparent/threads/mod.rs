//! Threads, locks and sleeps.
