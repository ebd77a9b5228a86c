//! Spans of the crate `tracing` that belong to fibers which share their worker's storage.

use abaca_tests as _;

mod defaults;
mod edges;
mod output;
mod roaming;
mod waits;

use std::sync::Once;

use abaca::Runtime;
use tracing::Span;
use tracing_subscriber::registry;

/// A runtime whose fibers carry their spans, in a process whose subscriber is a registry.
fn runtime(workers: usize) -> Runtime {
    static REGISTRY: Once = Once::new();
    REGISTRY.call_once(|| tracing::subscriber::set_global_default(registry()).unwrap());
    Runtime::builder().workers(workers).own_tls(false).carry_spans(true).build().unwrap()
}

/// The name of the span that the calling fiber is in.
fn current() -> Option<&'static str> {
    Span::current().metadata().map(|metadata| metadata.name())
}
