//! Spans of fibers that go on on other threads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use abaca::Builder;
use tracing::error_span;

use super::{current, runtime};

#[inline(never)]
fn thread() -> ThreadId {
    std::thread::current().id()
}

#[inline(never)]
fn check(span: Option<&str>) {
    assert_eq!(current(), span);
}

#[test]
#[expect(
    unsafe_code,
    reason = "spawn_roaming_unchecked is unsafe: these fibers use thread-locals in functions of their own"
)]
fn a_span_follows_its_fiber_to_other_threads() {
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let theirs = Arc::clone(&threads);
    runtime(4).run(move || {
        let roaming = |number: usize| {
            let threads = Arc::clone(&theirs);
            let body = move || {
                check(None);
                let span = error_span!("roaming");
                let id = span.id().unwrap();
                tracing::dispatcher::get_default(|dispatch| dispatch.enter(&id));
                for _ in 0..50 {
                    abaca::yield_now();
                    check(Some("roaming"));
                    threads.lock().unwrap().insert((number, thread()));
                }
                tracing::dispatcher::get_default(|dispatch| dispatch.exit(&id));
                abaca::yield_now();
                check(None);
            };
            // SAFETY: the fiber keeps nothing that is bound to a thread across a blocking call.
            unsafe { Builder::new().spawn_roaming_unchecked(body) }.unwrap()
        };
        let all: Vec<_> = (0..40).map(roaming).collect();
        all.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    let threads = threads.lock().unwrap();
    assert!(threads.len() > 40, "no fiber has changed its thread");
}
