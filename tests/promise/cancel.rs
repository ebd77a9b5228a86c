//! Cancelling: which promises it reaches, in which order, and how they recover.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use abaca::promise::{self, Canceled, Promise};

#[test]
fn a_task_is_rejected_and_a_pending_promise_is_not() {
    let (task, resolver) = Promise::<u32>::task();
    task.cancel();
    task.cancel();
    assert!(task.wait().unwrap_err().is::<Canceled>());
    resolver.resolve(1);
    assert!(task.wait().unwrap_err().is_canceled(), "what was cancelled stays so");

    let (pending, resolver) = Promise::pending();
    pending.cancel();
    assert!(!pending.is_resolved());
    resolver.resolve(1);
    assert_eq!(pending.wait().unwrap(), 1);
}

#[test]
fn a_cancellation_reaches_the_sources_through_every_combinator() {
    fn same(promise: &Promise<u32>) -> Promise<u32> {
        promise.map(|n| n)
    }
    type Form = fn(&Promise<u32>) -> Promise<u32>;
    let forms: Vec<Form> = vec![
        same,
        |task| task.bind(Promise::resolved),
        |task| task.catch(Promise::rejected_again),
        |task| task.try_bind(Promise::resolved, Promise::rejected_again),
        |task| task.finalize(|| Promise::resolved(())),
        |task| promise::all([task.clone()]).map(|all| all[0]),
        |task| promise::join([task.clone()]).map(|()| 0),
        |task| promise::both(task, &Promise::resolved(1)).map(|(n, _)| n),
        |task| promise::choose([task.clone(), task.clone()]),
        |task| promise::pick([task.clone()]),
        |task| promise::nchoose([task.clone()]).map(|all| all[0]),
        |task| promise::npick([task.clone()]).map(|all| all[0]),
    ];
    for (at, form) in forms.into_iter().enumerate() {
        let (task, resolver) = Promise::task();
        let derived = form(&task);
        derived.cancel();
        assert!(task.wait().unwrap_err().is_canceled(), "form {at}");
        assert!(derived.wait().unwrap_err().is_canceled(), "form {at}");
        drop(resolver);
    }
}

/// A callback for `catch` that passes the error on.
trait Again {
    fn rejected_again(error: promise::Error) -> Self;
}

impl Again for Promise<u32> {
    fn rejected_again(error: promise::Error) -> Self {
        let (promise, resolver) = Promise::pending();
        resolver.complete(Err(error));
        promise
    }
}

#[test]
fn after_bind_has_called_back_the_inner_promise_is_cancelled() {
    let (outer, resolve_outer) = Promise::task();
    let (inner, _resolve_inner) = Promise::<u32>::task();
    let bound = outer.bind({
        let inner = inner.clone();
        move |()| inner
    });
    let last = bound.map(|n| n);
    resolve_outer.resolve(());
    last.cancel();
    assert!(inner.wait().unwrap_err().is_canceled());
    assert!(bound.wait().unwrap_err().is_canceled() && last.wait().unwrap_err().is_canceled());
}

#[test]
fn a_later_cancellation_works_although_an_earlier_had_no_effect() {
    let (start, resolver) = Promise::pending();
    let (inner, _keep) = Promise::<u32>::task();
    let last = start.bind(move |()| inner).map(|n| n);
    last.cancel();
    assert!(!last.is_resolved(), "what it waits for cannot be cancelled");
    resolver.resolve(());
    last.cancel();
    assert!(last.wait().unwrap_err().is_canceled());
}

#[test]
fn all_tasks_are_rejected_before_the_first_callback_runs() {
    let (first, _a) = Promise::<u32>::task();
    let (second, _b) = Promise::<u32>::task();
    let seen = Arc::new(Mutex::new(None));
    let (theirs, other) = (Arc::clone(&seen), second.clone());
    first.on_cancel(move || *theirs.lock().unwrap() = Some(other.is_resolved()));
    promise::join([first, second]).cancel();
    assert_eq!(*seen.lock().unwrap(), Some(true));
}

#[test]
fn on_cancel_is_called_for_a_cancellation_only() {
    let called = Arc::new(AtomicUsize::new(0));
    let count = |promise: &Promise<u32>| {
        let called = Arc::clone(&called);
        promise.on_cancel(move || {
            called.fetch_add(1, SeqCst);
        });
    };
    let (task, resolver) = Promise::task();
    count(&task);
    resolver.resolve(1);
    count(&task);
    let (task, resolver) = Promise::task();
    count(&task);
    drop(resolver);
    assert_eq!(called.load(SeqCst), 0);
    let (task, _resolver) = Promise::task();
    count(&task);
    task.cancel();
    count(&task);
    assert_eq!(called.load(SeqCst), 2);
}

#[test]
fn a_cancelled_promise_can_be_recovered() {
    let (task, _resolver) = Promise::task();
    let recovered = task.catch(|error| {
        assert!(error.is_canceled());
        Promise::resolved(7)
    });
    recovered.cancel();
    assert_eq!(recovered.wait().unwrap(), 7);
}

#[test]
fn protected_and_no_cancel_stop_a_cancellation() {
    let (task, resolver) = Promise::task();
    let protected = task.protected();
    let shielded = task.no_cancel();
    protected.map(|n: u32| n).cancel();
    shielded.map(|n| n).cancel();
    assert!(protected.wait().unwrap_err().is_canceled());
    assert!(!task.is_resolved() && !shielded.is_resolved());
    resolver.resolve(2);
    assert_eq!(shielded.wait().unwrap(), 2);
}

#[test]
fn a_deep_chain_and_a_lattice_are_cancelled_without_recursion() {
    let (task, _resolver) = Promise::task();
    let mut last = task.clone();
    for _ in 0..200_000 {
        last = last.map(|n: u32| n);
    }
    last.cancel();
    assert!(last.wait().unwrap_err().is_canceled());

    // 2^60 paths lead to the task.
    let (task, _resolver) = Promise::task();
    let mut last = task.clone();
    for _ in 0..60 {
        last = promise::both(&last, &last).map(|(n, _): (u32, u32)| n);
    }
    last.cancel();
    assert!(last.wait().unwrap_err().is_canceled());
}

#[test]
fn a_fiber_is_cancelled_and_the_promise_rejected_when_it_has_ended() {
    abaca::run(|| {
        let released = Arc::new(AtomicUsize::new(0));
        struct Release(Arc<AtomicUsize>);
        impl Drop for Release {
            fn drop(&mut self) {
                self.0.fetch_add(1, SeqCst);
            }
        }
        let held = Release(Arc::clone(&released));
        let (started, has_started) = abaca::channel::bounded(1);
        let promise = promise::spawn(move || {
            let _held = held;
            started.send(()).unwrap();
            abaca::park();
        });
        has_started.recv().unwrap();
        promise.map(|()| 0).cancel();
        assert!(promise.wait().unwrap_err().is_canceled());
        assert_eq!(released.load(SeqCst), 1);
    });
}

#[test]
fn a_fiber_that_has_not_started_never_runs() {
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&ran);
        let promise = promise::spawn(move || theirs.fetch_add(1, SeqCst));
        promise.cancel();
        assert!(promise.wait().unwrap_err().is_canceled());
        assert_eq!(ran.load(SeqCst), 0);
    });
}
