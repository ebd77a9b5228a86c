//! One promise after another: callbacks, their order, their errors, and chains that are longer than a stack.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use abaca::promise::{Error, Panicked, Promise, State};

/// As deep as a chain on the heap may be, and far deeper than a stack.
const DEEP: usize = 1_000_000;

#[test]
fn a_value_and_an_error_reach_every_reader() {
    let (promise, resolver) = Promise::pending();
    let twin = promise.clone();
    assert!(!promise.is_resolved());
    resolver.resolve(5);
    assert_eq!((promise.wait().unwrap(), twin.wait().unwrap()), (5, 5));
    assert_eq!(format!("{promise:?}"), "Fulfilled(5)");

    let (promise, resolver) = Promise::<u32>::pending();
    assert_eq!(format!("{promise:?}"), "Pending");
    resolver.reject(Error::message("no"));
    assert!(matches!(promise.state(), State::Rejected(error) if error.to_string() == "no"));
}

#[test]
fn a_dropped_resolver_breaks_its_promise() {
    let (promise, resolver) = Promise::<u32>::pending();
    let next = promise.map(|n| n + 1);
    drop(resolver);
    assert!(promise.wait().unwrap_err().is_broken());
    assert!(next.wait().unwrap_err().is_broken());
}

#[test]
fn callbacks_run_in_the_order_in_which_they_were_added() {
    let (promise, resolver) = Promise::pending();
    let order = Arc::new(Mutex::new(Vec::new()));
    for n in 0..5 {
        let order = Arc::clone(&order);
        promise.on_resolve(move |_: Result<(), Error>| order.lock().unwrap().push(n));
    }
    resolver.resolve(());
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn bind_waits_for_the_promise_that_its_callback_returns() {
    let (outer, resolve_outer) = Promise::pending();
    let (inner, resolve_inner) = Promise::pending();
    let bound = outer.bind({
        let inner = inner.clone();
        move |()| inner
    });
    resolve_outer.resolve(());
    assert!(!bound.is_resolved());
    resolve_inner.resolve("inner");
    assert_eq!((bound.wait().unwrap(), inner.wait().unwrap()), ("inner", "inner"));
}

#[test]
fn errors_pass_through_values_callbacks_and_values_through_catch() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = |ran: &Arc<AtomicUsize>| {
        let ran = Arc::clone(ran);
        move |n: u32| {
            ran.fetch_add(1, SeqCst);
            Promise::resolved(n)
        }
    };
    let failed = Promise::<u32>::rejected(Error::message("first"));
    assert_eq!(failed.bind(count(&ran)).wait().unwrap_err().to_string(), "first");
    assert_eq!(ran.load(SeqCst), 0);
    assert_eq!(Promise::resolved(3).catch(|_| Promise::resolved(0)).wait().unwrap(), 3);
    assert_eq!(failed.catch(|_| Promise::resolved(9)).wait().unwrap(), 9);
    let other = failed.catch(|_| Promise::rejected(Error::message("second")));
    assert_eq!(other.wait().unwrap_err().to_string(), "second");
    assert_eq!(failed.try_bind(count(&ran), |_| Promise::resolved(4)).wait().unwrap(), 4);
    assert_eq!(ran.load(SeqCst), 0);
}

#[test]
fn finalize_runs_always_and_its_own_failure_wins() {
    let cleaned = Arc::new(AtomicUsize::new(0));
    let cleanup = || {
        let cleaned = Arc::clone(&cleaned);
        move || {
            cleaned.fetch_add(1, SeqCst);
            Promise::resolved(())
        }
    };
    assert_eq!(Promise::resolved(1).finalize(cleanup()).wait().unwrap(), 1);
    let failed = Promise::<u32>::rejected(Error::message("work"));
    assert_eq!(failed.finalize(cleanup()).wait().unwrap_err().to_string(), "work");
    assert_eq!(cleaned.load(SeqCst), 2);
    let worse = failed.finalize(|| Promise::rejected(Error::message("cleanup")));
    assert_eq!(worse.wait().unwrap_err().to_string(), "cleanup");
}

#[test]
fn a_panic_in_a_callback_rejects_its_promise() {
    let (promise, resolver) = Promise::pending();
    let bad = promise.map(|n: u32| -> u32 { panic!("cannot use {n}") });
    let good = promise.map(|n| n + 1);
    resolver.resolve(1);
    let error = bad.wait().unwrap_err();
    assert_eq!(error.downcast_ref::<Panicked>().unwrap().message, "cannot use 1");
    assert_eq!(good.wait().unwrap(), 2);
    let at_once = Promise::resolved(1).bind(|_| -> Promise<()> { panic!("at once") });
    assert!(at_once.wait().unwrap_err().is::<Panicked>());
}

#[test]
fn a_promise_that_would_wait_for_itself_is_rejected() {
    let (start, resolver) = Promise::pending();
    let slot = Arc::new(Mutex::new(None::<Promise<u32>>));
    let own = Arc::clone(&slot);
    let promise = start.bind(move |()| own.lock().unwrap().clone().unwrap());
    *slot.lock().unwrap() = Some(promise.clone());
    resolver.resolve(());
    assert!(promise.wait().unwrap_err().is_broken());
}

#[test]
fn two_promises_that_would_wait_for_each_other_are_rejected() {
    let slot = Arc::new(Mutex::new(None::<Promise<u32>>));
    let (start_a, resolve_a) = Promise::pending();
    let (start_b, resolve_b) = Promise::pending();
    let theirs = Arc::clone(&slot);
    let a = start_a.bind(move |()| theirs.lock().unwrap().clone().unwrap());
    let also_a = a.clone();
    let b = start_b.bind(move |()| also_a);
    *slot.lock().unwrap() = Some(b.clone());
    resolve_a.resolve(());
    resolve_b.resolve(());
    assert!(a.wait().unwrap_err().is_broken() && b.wait().unwrap_err().is_broken());
}

fn deep(first: &Promise<usize>, links: usize) -> Promise<usize> {
    let mut last = first.clone();
    for _ in 0..links {
        last = last.bind(|n| Promise::resolved(n + 1));
    }
    last
}

#[test]
fn a_deep_chain_is_resolved_on_one_stack_frame() {
    let (first, resolver) = Promise::pending();
    let last = deep(&first, DEEP);
    resolver.resolve(0);
    assert_eq!(last.wait().unwrap(), DEEP);
}

#[test]
fn a_deep_chain_is_broken_and_dropped_without_recursion() {
    let (first, resolver) = Promise::pending();
    let last = deep(&first, DEEP);
    drop(first);
    drop(resolver);
    assert!(last.wait().unwrap_err().is_broken());

    // Nobody is left to see it.
    let (first, resolver) = Promise::pending();
    drop(deep(&first, DEEP / 10));
    drop((resolver, first));
}

#[test]
fn promises_nested_in_promises_are_followed_and_dropped_without_recursion() {
    let (innermost, resolver) = Promise::pending();
    let mut gates = Vec::new();
    let mut outer: Promise<u32> = innermost;
    for _ in 0..DEEP / 10 {
        let (gate, open) = Promise::pending();
        let inner = outer;
        outer = gate.bind(move |()| inner);
        gates.push(open);
    }
    // Innermost first: each becomes an alias of the one around it, in a chain.
    gates.into_iter().for_each(|gate| gate.resolve(()));
    resolver.resolve(8);
    assert_eq!(outer.wait().unwrap(), 8);
}

/// Counts how many are alive.
#[derive(Clone)]
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn an_endless_loop_of_binds_keeps_nothing_of_its_past() {
    type Tick = Arc<Mutex<Option<abaca::promise::Resolver<()>>>>;
    fn round(n: usize, tick: Tick, live: Arc<AtomicUsize>) -> Promise<usize> {
        if n == 0 {
            return Promise::resolved(0);
        }
        let (promise, resolver) = Promise::pending();
        *tick.lock().unwrap() = Some(resolver);
        live.fetch_add(1, SeqCst);
        let token = Live(Arc::clone(&live));
        let round = promise.bind(move |()| round(n - 1, tick, live));
        // Held by the promise of this round for as long as that is pending on its own.
        round.on_resolve(move |_| drop(token));
        round
    }
    let tick: Tick = Arc::default();
    let live = Arc::new(AtomicUsize::new(0));
    let whole = round(1_000, Arc::clone(&tick), Arc::clone(&live));
    while let Some(resolver) = { tick.lock().unwrap().take() } {
        resolver.resolve(());
    }
    assert_eq!(whole.wait().unwrap(), 0);
    assert_eq!(live.load(SeqCst), 0);
}

/// Panics when it is cloned.
#[derive(Debug)]
struct NoClone;

impl Clone for NoClone {
    fn clone(&self) -> Self {
        panic!("in a clone");
    }
}

#[test]
fn a_clone_that_panics_rejects_what_it_was_for() {
    let (promise, resolver) = Promise::<NoClone>::pending();
    let (outer, begin) = Promise::pending();
    let inner = promise.clone();
    let followed = outer.bind(move |()| inner);
    let copies = [promise.protected(), promise.no_cancel()];
    let called = Arc::new(AtomicUsize::new(0));
    let after = promise.catch({
        let called = Arc::clone(&called);
        move |error| {
            called.fetch_add(1, SeqCst);
            Promise::rejected(error)
        }
    });
    resolver.resolve(NoClone);
    begin.resolve(());
    for rejected in copies.iter().chain([&followed, &after]) {
        assert_eq!(format!("{rejected:?}").split('(').next(), Some("Rejected"));
    }
    assert_eq!(called.load(SeqCst), 0);
}
