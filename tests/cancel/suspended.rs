//! Cancel scopes inside a coroutine that is suspended: they are no part of what goes on outside of it.

use std::panic::catch_unwind;
use std::time::Duration;

use abaca::cancel::{CancellationToken, is_cancelled as must_unwind};
use abaca::coroutine::{Coroutine, CoroutineResult, Yielder};
use abaca::time::timeout;

use super::on_one_worker;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_timeout_inside_a_suspended_coroutine_ends_no_wait_outside_of_it() {
    let body = || {
        let mut coroutine = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
            let outcome = timeout(SHORT, || {
                yielder.suspend(());
                abaca::park();
            });
            outcome.is_err()
        });
        coroutine.resume(());
        // Each of these waits lasts beyond the coroutine's deadline.
        abaca::sleep(SHORT * 2);
        abaca::sleep(SHORT);
        assert!(catch_unwind(|| abaca::sleep(SHORT)).is_ok());
        assert!(timeout(SHORT, || abaca::sleep(LONG)).is_err());
        let mut other = Coroutine::new(|_: &Yielder<(), ()>, ()| abaca::sleep(SHORT));
        other.resume(());
        assert!(!must_unwind());
        // Its own wait does not.
        assert_eq!(coroutine.resume(()), CoroutineResult::Return(true));
    };
    on_one_worker(body);
    std::thread::spawn(body).join().unwrap();
}

#[test]
fn a_token_inside_a_suspended_coroutine_ends_no_wait_outside_of_it() {
    let body = || {
        let token = CancellationToken::new();
        let theirs = token.clone();
        let mut coroutine = Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
            let outcome = theirs.run_until_cancelled(|| {
                yielder.suspend(());
                abaca::park();
            });
            outcome.is_none()
        });
        coroutine.resume(());
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(SHORT);
            token.cancel();
        });
        abaca::sleep(SHORT * 2);
        canceller.join().unwrap();
        abaca::sleep(SHORT);
        assert_eq!(coroutine.resume(()), CoroutineResult::Return(true));
    };
    on_one_worker(body);
    std::thread::spawn(body).join().unwrap();
}
