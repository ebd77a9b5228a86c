//! Spans that are entered twice, left out of order, closed elsewhere, or never left, and subscribers that panic.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use tracing::dispatcher::Dispatch;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, error_span};
use tracing_core::span::Current;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry;

use super::{current, runtime};

/// Lets a neighbour run, which sees no span.
fn let_neighbour_run() {
    let neighbour = abaca::spawn_local(|| assert_eq!(current(), None));
    abaca::yield_now();
    neighbour.join().unwrap();
}

#[test]
fn a_span_that_is_entered_twice_is_left_twice() {
    runtime(1).run(|| {
        let (outer, inner) = (error_span!("outer"), error_span!("inner"));
        let first = outer.enter();
        let second = inner.enter();
        let third = outer.enter();
        let seen = current();
        let_neighbour_run();
        assert_eq!(current(), seen);
        drop(third);
        let_neighbour_run();
        assert_eq!(current(), Some("inner"));
        // In the other order.
        drop(first);
        let_neighbour_run();
        assert_eq!(current(), Some("inner"));
        drop(second);
        assert_eq!(current(), None);
    });
}

/// Counts the spans that are closed.
struct Closed(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Closed {
    fn on_close(&self, _id: Id, _context: Context<'_, S>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A subscriber that counts the spans that it closes.
fn counting() -> (Dispatch, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    (Dispatch::new(registry().with(Closed(Arc::clone(&closed)))), closed)
}

#[test]
fn a_span_is_closed_when_its_last_handle_goes() {
    runtime(1).run(|| {
        let (dispatch, closed) = counting();
        tracing::dispatcher::with_default(&dispatch, || {
            error_span!("usual").in_scope(let_neighbour_run);
            assert_eq!(closed.load(SeqCst), 1);

            // By another fiber, while this one has entered it and waits.
            let span = error_span!("given away");
            let id = span.id().unwrap();
            dispatch.enter(&id);
            abaca::spawn(move || drop(span)).join().unwrap();
            assert_eq!((current(), closed.load(SeqCst)), (None, 2));
            dispatch.exit(&id);
            error_span!("usual").in_scope(let_neighbour_run);
            assert_eq!(closed.load(SeqCst), 3);
        });
    });
}

#[test]
fn what_a_fiber_has_never_left_ends_with_it() {
    runtime(1).run(|| {
        let (dispatch, closed) = counting();
        let theirs = dispatch.clone();
        let fiber = abaca::spawn_local(move || {
            std::mem::forget(tracing::dispatcher::set_default(&theirs));
            let span = error_span!("for ever");
            std::mem::forget(span.enter());
            abaca::yield_now();
            assert_eq!(current(), Some("for ever"));
        });
        fiber.join().unwrap();
        assert_eq!(closed.load(SeqCst), 1);
        assert_eq!(current(), None);
        // Neither does a later fiber have the default.
        abaca::spawn_local(|| drop(error_span!("of the global default"))).join().unwrap();
        assert_eq!(closed.load(SeqCst), 1);
        let fiber = abaca::spawn_local(|| std::mem::forget(error_span!("global for ever").entered()));
        fiber.join().unwrap();
        assert_eq!(current(), None);
    });
}

/// A subscriber whose only span is always entered, whatever it is told, and of which some calls panic.
struct Stubborn {
    span: OnceLock<&'static Metadata<'static>>,
    /// How often it was entered and left.
    calls: Arc<[AtomicUsize; 2]>,
    panics: bool,
}

impl Stubborn {
    fn count(&self, call: usize) {
        self.calls[call].fetch_add(1, SeqCst);
        if self.panics {
            std::panic::resume_unwind(Box::new("in a subscriber"));
        }
    }
}

impl Subscriber for Stubborn {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.span.set(attributes.metadata()).unwrap();
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, _event: &Event<'_>) {}

    fn enter(&self, _span: &Id) {
        self.count(0);
    }

    fn exit(&self, _span: &Id) {
        self.count(1);
    }

    fn current_span(&self) -> Current {
        self.span.get().map_or_else(Current::none, |metadata| Current::new(Id::from_u64(1), metadata))
    }
}

/// What the subscriber is told while a fiber with a span of its parks once.
fn told(panics: bool) -> [usize; 2] {
    let calls = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let stubborn = Stubborn { span: OnceLock::new(), calls: Arc::clone(&calls), panics };
    let fiber = abaca::spawn_local(move || {
        tracing::subscriber::with_default(stubborn, || {
            let _span = error_span!("only");
            abaca::yield_now();
        });
    });
    fiber.join().unwrap();
    [calls[0].load(SeqCst), calls[1].load(SeqCst)]
}

#[test]
fn a_subscriber_that_panics_or_does_not_know_what_leaving_is_keeps_no_fiber_from_going_on() {
    runtime(1).run(|| {
        assert_eq!(told(true), [1, 1], "left once, in spite of the panic, and entered again");
        let [entered, left] = told(false);
        assert_eq!(entered, left);
        assert!(left > 1);
        let_neighbour_run();
    });
}
