//! Stands in for `thread_key.rs` under loom, all of whose threads are one of the operating system's.

use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const IS_KNOWN: bool = true;

loom::thread_local! {
    static KEY: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

pub(crate) fn get() -> usize {
    KEY.with(|key| *key)
}
