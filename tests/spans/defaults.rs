//! The default subscriber that a fiber has set is its own.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use tracing::dispatcher::{self, Dispatch};
use tracing::{Event, Subscriber, error, error_span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

use super::{current, runtime};

/// Counts events.
struct Events(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, _event: &Event<'_>, _context: Context<'_, S>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counting() -> (Dispatch, Arc<AtomicUsize>) {
    let events = Arc::new(AtomicUsize::new(0));
    (Dispatch::new(registry().with(Events(Arc::clone(&events)))), events)
}

#[test]
fn each_fiber_has_the_subscriber_that_it_has_set() {
    runtime(1).run(|| {
        let (outside, of_outside) = counting();
        let _default = dispatcher::set_default(&outside);
        let fiber = |number: usize| {
            abaca::spawn_local(move || {
                error!("to the global subscriber, as a new thread's");
                let (mine, events) = counting();
                dispatcher::with_default(&mine, || {
                    let _span = error_span!("mine").entered();
                    for round in 0..number {
                        error!("mine");
                        abaca::yield_now();
                        assert_eq!((current(), events.load(SeqCst)), (Some("mine"), round + 1));
                        let (within, of_within) = counting();
                        dispatcher::with_default(&within, || {
                            abaca::yield_now();
                            error!("within");
                            assert_eq!(current(), None, "another subscriber's");
                        });
                        assert_eq!(of_within.load(SeqCst), 1);
                    }
                });
                error!("to the global subscriber");
                abaca::yield_now();
                assert_eq!(events.load(SeqCst), number);
            })
        };
        let all: Vec<_> = (0..10).map(fiber).collect();
        all.into_iter().for_each(|fiber| fiber.join().unwrap());
        assert_eq!(of_outside.load(SeqCst), 0);
        error!("mine");
        assert_eq!(of_outside.load(SeqCst), 1);
    });
}

#[test]
fn the_default_of_a_plain_thread_changes_nothing_for_fibers() {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (theirs, events) = counting();
            dispatcher::with_default(&theirs, || {
                barrier.wait();
                barrier.wait();
                error!("the thread's");
            });
            assert_eq!(events.load(SeqCst), 1);
        });
        barrier.wait();
        runtime(2).run(|| {
            let all: Vec<_> = (0..20)
                .map(|_| {
                    abaca::spawn(|| {
                        let _span = error_span!("fiber's").entered();
                        (0..20).for_each(|_| {
                            abaca::yield_now();
                            error!("to the global subscriber");
                            assert_eq!(current(), Some("fiber's"));
                        });
                    })
                })
                .collect();
            all.into_iter().for_each(|fiber| fiber.join().unwrap());
        });
        barrier.wait();
    });
}
