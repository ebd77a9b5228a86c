//! Several promises at once: all of them, the first, and what becomes of the others.

use abaca::promise::{self, Error, Promise};

#[test]
fn all_keeps_the_order_of_the_promises_and_not_of_their_ends() {
    let (pairs, resolvers): (Vec<_>, Vec<_>) = (0..4).map(|_| Promise::pending()).unzip();
    let all = promise::all(pairs);
    for (n, resolver) in resolvers.into_iter().enumerate().rev() {
        assert!(!all.is_resolved());
        resolver.resolve(n);
    }
    assert_eq!(all.wait().unwrap(), [0, 1, 2, 3]);
    assert!(promise::all(Vec::<Promise<u32>>::new()).wait().unwrap().is_empty());
    assert!(promise::join(Vec::<Promise<u32>>::new()).is_resolved());
}

#[test]
fn an_error_is_reported_when_all_have_ended_and_is_the_first_that_is_listed() {
    let (first, resolve_first) = Promise::<u32>::pending();
    let (second, resolve_second) = Promise::pending();
    let (third, resolve_third) = Promise::pending();
    let join = promise::join([first.clone(), second.clone(), third.clone()]);
    let both = promise::both(&second, &third);
    resolve_third.reject(Error::message("third"));
    resolve_second.reject(Error::message("second"));
    assert!(!join.is_resolved());
    assert_eq!(both.wait().unwrap_err().to_string(), "second");
    resolve_first.resolve(1);
    assert_eq!(join.wait().unwrap_err().to_string(), "second");
    assert_eq!(promise::all([first, second, third]).wait().unwrap_err().to_string(), "second");
}

#[test]
fn choose_takes_the_first_and_lets_the_others_go_on() {
    let (slow, resolve_slow) = Promise::task();
    let (fast, resolve_fast) = Promise::task();
    let chosen = promise::choose([slow.clone(), fast]);
    resolve_fast.resolve("fast");
    assert_eq!(chosen.wait().unwrap(), "fast");
    resolve_slow.resolve("slow");
    assert_eq!(slow.wait().unwrap(), "slow");
    let error = promise::choose([Promise::rejected(Error::message("first")), Promise::resolved(1)]);
    assert_eq!(error.wait().unwrap_err().to_string(), "first");
}

#[test]
fn pick_cancels_the_losers_before_it_is_resolved() {
    let (slow, _keep) = Promise::<u32>::task();
    let (fast, resolve_fast) = Promise::task();
    let picked = promise::pick([slow.clone(), fast]);
    let loser = slow.clone();
    let seen = picked.map(move |_| loser.is_resolved());
    resolve_fast.resolve(1);
    assert!(seen.wait().unwrap());
    assert!(slow.wait().unwrap_err().is_canceled());
    assert_eq!(picked.wait().unwrap(), 1);
}

#[test]
fn pick_cancels_the_fibers_of_the_losers() {
    abaca::run(|| {
        let sleeper = promise::spawn(|| {
            abaca::park();
            0
        });
        let picked = promise::pick([sleeper.clone(), promise::spawn(|| 1)]);
        assert_eq!(picked.wait().unwrap(), 1);
        assert!(sleeper.wait().unwrap_err().is_canceled());
    });
}

#[test]
fn nchoose_and_npick_give_all_that_are_ready() {
    let (pending, _keep) = Promise::task();
    let ready = || [Promise::resolved(1), pending.clone(), Promise::resolved(3)];
    assert_eq!(promise::nchoose(ready()).wait().unwrap(), [1, 3]);
    assert!(!pending.is_resolved());
    assert_eq!(promise::npick(ready()).wait().unwrap(), [1, 3]);
    assert!(pending.wait().unwrap_err().is_canceled());
    let failed = [Promise::resolved(1), Promise::rejected(Error::message("no"))];
    assert_eq!(promise::nchoose(failed).wait().unwrap_err().to_string(), "no");
}

#[test]
#[should_panic(expected = "the first of no promises")]
fn choosing_from_no_promises_panics() {
    drop(promise::choose(Vec::<Promise<u32>>::new()));
}

/// Counts its copies.
#[derive(Clone)]
struct Mark(std::sync::Arc<()>);

#[test]
fn a_promise_keeps_nothing_of_races_that_are_over() {
    let mark = Mark(std::sync::Arc::new(()));
    let (shutdown, _keep) = Promise::<Mark>::pending();
    for _ in 0..1_000 {
        let raced = promise::choose([shutdown.clone(), Promise::resolved(mark.clone())]);
        assert!(raced.is_resolved());
    }
    assert!(std::sync::Arc::strong_count(&mark.0) < 10, "{}", std::sync::Arc::strong_count(&mark.0));
}
