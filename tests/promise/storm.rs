//! Promises under load: each is resolved once, and all waiters see one outcome, although fibers are cancelled.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use abaca::promise::{Promise, Resolver};
use abaca_tests::{patiently, storm};

#[test]
fn a_promise_is_resolved_once_although_waiters_give_up() {
    let resolvers = Mutex::new(Vec::<Resolver<usize>>::new());
    let take = || resolvers.lock().unwrap().pop();
    let (resolved, called) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    storm(300, |stream| {
        let (task, resolver) = Promise::task();
        let next = task.map({
            let called = Arc::clone(&called);
            move |number: usize| {
                called.fetch_add(1, SeqCst);
                number + 1
            }
        });
        resolvers.lock().unwrap().push(resolver);
        if let Some(resolver) = take() {
            stream.linger();
            resolver.resolve(resolved.fetch_add(1, SeqCst));
        }
        let outcome = match stream.briefly(|| next.wait()) {
            Some(outcome) => outcome,
            // It is resolved in one way or the other.
            None => {
                task.cancel();
                patiently(|| next.wait())
            }
        };
        match (outcome, patiently(|| task.wait())) {
            (Ok(next), Ok(number)) => assert_eq!(next, number + 1),
            // Otherwise it is broken: the fiber with the resolver was cancelled.
            (Err(next), Err(error)) => assert_eq!(next.is_canceled(), error.is_canceled()),
            outcomes => panic!("{outcomes:?}"),
        }
    });
    // Of those that were resolved some had been cancelled before; nobody else was called back.
    assert!(called.load(SeqCst) <= resolved.into_inner());
}
