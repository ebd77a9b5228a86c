//! A cancellation whose payload somebody keeps, while another one begins, to a frame further out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::promise::Promise;
use abaca::sync::Mutex;

use super::on_one_worker;

const HOUR: Duration = Duration::from_secs(3600);

/// Cancels the token, inside of whose code the caller is, and waits.
fn cancel_and_wait(token: &CancellationToken) {
    token.cancel();
    abaca::sleep(HOUR);
}

/// Calls `body` with an outer and an inner token, in the code of both, while a lock is held. It ends by the outer one, and that leaves no
/// poison.
fn ends_by_the_outer(body: impl Fn(&CancellationToken, &CancellationToken)) {
    let (outer, inner, lock) = (CancellationToken::new(), CancellationToken::new(), Mutex::new(()));
    let ended = outer.run_until_cancelled(|| {
        let _held = lock.lock().unwrap();
        inner.run_until_cancelled(|| body(&outer, &inner));
        unreachable!("it unwinds to the outer one");
    });
    assert!(ended.is_none() && !lock.is_poisoned());
    // Nor is anything left of it: a panic does poison.
    let panics = AssertUnwindSafe(|| {
        let _held = lock.lock().unwrap();
        std::panic::resume_unwind(Box::new("a panic"));
    });
    assert!(catch_unwind(panics).is_err() && lock.is_poisoned());
}

fn on_both(test: fn()) {
    test();
    on_one_worker(test);
}

#[test]
fn a_payload_that_is_dropped_does_not_end_an_unwinding_that_began_later() {
    on_both(|| {
        ends_by_the_outer(|outer, inner| {
            let _dropped_on_the_way = catch_unwind(AssertUnwindSafe(|| cancel_and_wait(inner))).unwrap_err();
            cancel_and_wait(outer);
        });
    });
}

#[test]
fn of_two_callbacks_of_a_promise_that_are_cancelled_the_outer_cancellation_goes_on() {
    on_both(|| {
        ends_by_the_outer(|outer, inner| {
            let (promise, resolver) = Promise::pending();
            for token in [inner, outer] {
                let token = token.clone();
                promise.on_resolve(move |_| cancel_and_wait(&token));
            }
            resolver.resolve(());
        });
    });
}
