//! Every interleaving of threads that wait for and resolve the same promises: no wake-up is lost, and each outcome is
//! delivered once.
//!
//! Merges from two sides are left to `tests/promise/stress.rs`: a merge holds two locks at once, and there loom 0.7 fails an
//! assertion of its own.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

use super::{Promise, all, choose};

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn a_waiter_is_woken_by_a_resolution() {
    check(|| {
        let (promise, resolver) = Promise::pending();
        let called = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&called);
        let thread = thread::spawn(move || resolver.resolve(5));
        promise.on_resolve(move |_| {
            theirs.fetch_add(1, SeqCst);
        });
        assert_eq!(promise.wait().unwrap(), 5);
        thread.join().unwrap();
        assert_eq!(called.load(SeqCst), 1);
    });
}

#[test]
fn a_waiter_follows_its_promise_into_another() {
    check(|| {
        let (gate, open) = Promise::pending();
        let (inner, resolver) = Promise::pending();
        let waited = inner.clone();
        let outer = gate.bind(move |()| inner);
        let thread = thread::spawn(move || {
            open.resolve(());
            resolver.resolve(6);
        });
        assert_eq!(waited.wait().unwrap(), 6);
        thread.join().unwrap();
        assert_eq!(outer.wait().unwrap(), 6);
    });
}

#[test]
fn a_race_is_won_once() {
    check(|| {
        let (first, resolve_first) = Promise::pending();
        let (second, resolve_second) = Promise::pending();
        let winner = choose([first, second]);
        let thread = thread::spawn(move || resolve_first.resolve(1));
        resolve_second.resolve(2);
        assert!([1, 2].contains(&winner.wait().unwrap()));
        thread.join().unwrap();
    });
}

#[test]
fn the_last_of_several_resolves_their_list() {
    check(|| {
        let (first, resolve_first) = Promise::pending();
        let (second, resolve_second) = Promise::pending();
        let both = all([first, second]);
        let thread = thread::spawn(move || resolve_first.resolve(1));
        resolve_second.resolve(2);
        assert_eq!(both.wait().unwrap(), [1, 2]);
        thread.join().unwrap();
    });
}
