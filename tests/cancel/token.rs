//! Tokens: trees, guards, and the code that runs under them.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::time::timeout;

use super::{begun, on_one_worker};

#[test]
fn a_cancellation_goes_down_the_tree_and_not_up() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let below = left.child_token();
    left.cancel();
    assert!(left.is_cancelled() && below.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    root.cancel();
    assert!(right.is_cancelled());
    assert!(root.child_token().is_cancelled(), "a child that comes late");
}

#[test]
fn a_token_in_the_middle_need_not_be_kept() {
    let root = CancellationToken::new();
    let below = root.child_token().child_token();
    root.cancel();
    assert!(below.is_cancelled());
}

#[test]
fn a_deep_tree_is_cancelled_and_dropped_without_recursion() {
    let root = CancellationToken::new();
    let mut deepest = root.clone();
    for _ in 0..100_000 {
        deepest = deepest.child_token();
    }
    root.cancel();
    assert!(deepest.is_cancelled());
    drop(root);
    drop(deepest);
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let kept = token.clone().drop_guard().disarm();
    assert!(!kept.is_cancelled());
    drop(token.clone().drop_guard());
    assert!(token.is_cancelled());
}

#[test]
fn code_that_runs_under_a_token_ends_and_waits_for_it_are_woken() {
    on_one_worker(|| {
        let token = CancellationToken::new();
        let runners: Vec<_> = (0..50)
            .map(|_| {
                let token = token.child_token();
                begun(move || token.run_until_cancelled(abaca::park))
            })
            .collect();
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let token = token.clone();
                begun(move || token.cancelled())
            })
            .collect();
        token.cancel();
        for runner in runners {
            assert_eq!(runner.join().unwrap(), None);
        }
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

#[test]
fn code_that_ends_by_itself_has_a_result() {
    on_one_worker(|| {
        let token = CancellationToken::new();
        assert_eq!(token.run_until_cancelled(|| 4), Some(4));
        assert!(!token.cancelled_timeout(Duration::from_millis(1)));
        token.cancel();
        assert_eq!(token.run_until_cancelled(|| 4), None, "a cancelled token does not begin");
        assert!(token.cancelled_timeout(Duration::ZERO));
    });
}

#[test]
fn tokens_and_timeouts_nest() {
    on_one_worker(|| {
        let (outer, inner) = (CancellationToken::new(), CancellationToken::new());
        let result = outer.run_until_cancelled(|| {
            assert!(timeout(Duration::from_millis(1), || inner.run_until_cancelled(abaca::park)).is_err());
            inner.cancel();
            assert_eq!(inner.run_until_cancelled(abaca::park), None);
            outer.cancel();
            abaca::park();
        });
        assert_eq!(result, None);
    });
}

/// A waker that panics.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_waiting() {
    on_one_worker(|| {
        let root = CancellationToken::new();
        let tokens = [root.clone(), root.child_token(), root.child_token()];
        let waiters = tokens.each_ref().map(|token| {
            let token = token.clone();
            begun(move || token.cancelled())
        });
        let waker = Waker::from(Arc::new(Panicking));
        let mut futures = tokens.each_ref().map(|token| Box::pin(token.cancelled_async()));
        for future in &mut futures {
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        root.cancel();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}
