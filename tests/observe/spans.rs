//! Spans of `tracing` follow their fiber by way of a hook around each park, where fibers share their worker's storage.

use std::sync::Arc;

use abaca::sync::Barrier;
use tracing::dispatcher::get_default;

/// Leaves all spans before a park, and enters them again afterwards.
fn carry_spans(park: &mut dyn FnMut()) {
    let mut left = Vec::new();
    get_default(|dispatch| {
        while let Some(id) = dispatch.current_span().id().cloned() {
            dispatch.exit(&id);
            left.push(id);
        }
    });
    park();
    get_default(|dispatch| left.iter().rev().for_each(|id| dispatch.enter(id)));
}

fn current() -> Option<String> {
    tracing::Span::current().metadata().map(|metadata| metadata.name().to_owned())
}

#[test]
fn a_span_that_one_fiber_has_entered_is_not_seen_by_its_neighbour() {
    let subscriber = tracing_subscriber::registry();
    tracing::dispatcher::set_global_default(tracing::Dispatch::new(subscriber)).unwrap();
    let runtime = abaca::Runtime::builder().workers(1).around_park(carry_spans).build().unwrap();
    runtime.run(|| {
        let all = Arc::new(Barrier::new(3));
        let theirs = Arc::clone(&all);
        let outer = abaca::spawn(move || {
            let _outer = tracing::error_span!("outer").entered();
            let inner = tracing::error_span!("inner").entered();
            theirs.wait();
            assert_eq!(current().as_deref(), Some("inner"));
            drop(inner);
            theirs.wait();
            assert_eq!(current().as_deref(), Some("outer"));
        });
        let theirs = Arc::clone(&all);
        let other = abaca::spawn(move || {
            let _other = tracing::error_span!("other").entered();
            theirs.wait();
            assert_eq!(current().as_deref(), Some("other"));
            theirs.wait();
            assert_eq!(current().as_deref(), Some("other"));
        });
        all.wait();
        assert_eq!(current(), None);
        all.wait();
        assert_eq!(current(), None);
        outer.join().unwrap();
        other.join().unwrap();
    });
}
