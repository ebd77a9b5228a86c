//! The payload of another fiber's cancellation, passed on: a fiber that unwinds with it has panicked, and is not cancelled.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::Cancelled;
use abaca::actor::{self, ExitReason, Mailbox};
use abaca::promise::{Error, Panicked, Promise};

use super::on_one_worker;

/// Joins a cancelled fiber and unwinds with its payload.
fn pass_on() {
    let other = abaca::spawn(abaca::park);
    other.cancel();
    resume_unwind(other.join().unwrap_err());
}

/// The same, by a call of the runtime's.
fn pass_on_of_a_set() {
    let mut set = abaca::JoinSet::new();
    set.spawn(abaca::park).cancel();
    set.join_all();
}

/// The same, with what the fiber itself has caught and handed over.
fn pass_on_of_a_channel() {
    let (sender, receiver) = abaca::channel::bounded(1);
    let other = abaca::spawn(move || {
        sender.send(None).unwrap();
        let payload = catch_unwind(abaca::park).unwrap_err();
        assert!(Cancelled::is_own(&*payload));
        sender.send(Some(payload)).unwrap();
    });
    assert!(receiver.recv().unwrap().is_none());
    other.cancel();
    resume_unwind(receiver.recv().unwrap().unwrap());
}

const WAYS: [fn(); 3] = [pass_on, pass_on_of_a_set, pass_on_of_a_channel];

#[test]
fn a_scope_whose_body_passes_it_on_cancels_nobody() {
    on_one_worker(|| {
        for pass_on in WAYS {
            let ended = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                abaca::scope(|scope| {
                    scope.spawn(|| {
                        (0..10).for_each(|_| abaca::yield_now());
                        ended.fetch_add(1, SeqCst);
                    });
                    pass_on();
                });
            }));
            assert!(result.unwrap_err().is::<Cancelled>());
            assert_eq!(ended.load(SeqCst), 1);
        }
    });
}

#[test]
fn a_fiber_of_a_scope_that_passes_it_on_has_panicked() {
    on_one_worker(|| {
        for pass_on in WAYS {
            let scope = || {
                abaca::scope(|scope| drop(scope.spawn(pass_on)));
            };
            let payload = catch_unwind(scope).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"a scoped fiber panicked"));

            let joined = abaca::scope(|scope| scope.spawn(pass_on).join());
            assert!(joined.unwrap_err().is::<Cancelled>());

            let try_scope = || {
                abaca::try_scope(|scope| -> Result<(), ()> {
                    scope.spawn(|| {
                        pass_on();
                        Ok(())
                    });
                    abaca::park();
                    Ok(())
                })
            };
            let payload = catch_unwind(try_scope).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"a scoped fiber panicked"));
        }
    });
}

#[test]
fn an_actor_that_passes_it_on_has_failed() {
    on_one_worker(|| {
        for pass_on in WAYS {
            let actor = actor::spawn(move |_: &mut Mailbox<()>| pass_on());
            let reason = actor.wait();
            assert!(matches!(reason, ExitReason::Panicked(_)), "{reason:?}");
        }
    });
}

#[test]
fn a_callback_of_a_promise_that_passes_it_on_rejects_the_next() {
    on_one_worker(|| {
        for pass_on in WAYS {
            let (promise, resolver) = Promise::pending();
            let next = promise.map(move |()| pass_on());
            // `resolve` calls the callback, and its caller is not cancelled either.
            resolver.resolve(());
            let error: Error = next.wait().unwrap_err();
            assert!(error.is::<Panicked>(), "{error:?}");
        }
    });
}

#[test]
fn a_fiber_that_passes_its_own_cancellation_on_stays_cancelled() {
    on_one_worker(|| {
        let ended = AtomicUsize::new(0);
        let ended = &ended;
        abaca::scope(|scope| {
            let outer = scope.spawn(move || {
                abaca::scope(|scope| {
                    scope.spawn(|| {
                        abaca::park();
                        ended.fetch_add(1, SeqCst);
                    });
                    if let Err(payload) = catch_unwind(abaca::park) {
                        resume_unwind(payload);
                    }
                });
            });
            abaca::yield_now();
            outer.cancel();
            assert!(outer.join().unwrap_err().is::<Cancelled>());
        });
        assert_eq!(ended.load(SeqCst), 0);
    });
}

/// Ends a fiber by its cancellation, and returns the payload that it has caught.
fn payload_of_an_ended_fiber() -> Box<dyn std::any::Any + Send> {
    let (sender, receiver) = abaca::channel::bounded(1);
    let other = abaca::spawn(move || {
        sender.send(None).unwrap();
        sender.send(catch_unwind(abaca::park).err()).unwrap();
    });
    assert!(receiver.recv().unwrap().is_none());
    other.cancel();
    other.join().unwrap();
    receiver.recv().unwrap().unwrap()
}

#[test]
fn it_is_nobodys_own_once_its_fiber_has_ended() {
    on_one_worker(|| {
        for _ in 0..100 {
            let payload = payload_of_an_ended_fiber();
            // Most likely where the other one was: its cell was freed just now.
            let (sender, receiver) = abaca::channel::bounded(1);
            let heir = abaca::spawn(move || {
                let payload = catch_unwind(AssertUnwindSafe(|| resume_unwind(payload))).unwrap_err();
                sender.send(Cancelled::is_own(&*payload)).unwrap();
                resume_unwind(payload);
            });
            assert!(heir.join().unwrap_err().is::<Cancelled>());
            assert_eq!(receiver.recv(), Ok(false));
        }
    });
}

#[test]
fn dropping_it_does_not_end_the_unwinding_of_another_fiber() {
    struct DropWithin<'a>(&'a abaca::sync::Mutex<()>, Option<Box<dyn std::any::Any + Send>>);
    impl Drop for DropWithin<'_> {
        fn drop(&mut self) {
            let guard = self.0.lock().unwrap();
            drop(self.1.take());
            drop(guard);
        }
    }
    on_one_worker(|| {
        for _ in 0..100 {
            let payload = payload_of_an_ended_fiber();
            let lock = std::sync::Arc::new(abaca::sync::Mutex::new(()));
            let theirs = std::sync::Arc::clone(&lock);
            let started = std::sync::Arc::new(abaca::sync::Semaphore::new(0));
            let start = std::sync::Arc::clone(&started);
            let heir = abaca::spawn(move || {
                let _on_unwind = DropWithin(&theirs, Some(payload));
                start.add_permits(1);
                abaca::park();
            });
            drop(started.acquire());
            heir.cancel();
            assert!(heir.join().unwrap_err().is::<Cancelled>());
            // A cancellation leaves no poison.
            assert!(!lock.is_poisoned());
        }
    });
}

#[test]
fn a_thread_that_follows_another_does_not_own_what_that_left() {
    let caught = |token: &abaca::cancel::CancellationToken| {
        let mut payload = None;
        let _ = token.run_until_cancelled(|| {
            token.cancel();
            payload = catch_unwind(abaca::park).err();
        });
        let payload = payload.unwrap();
        assert!(Cancelled::is_own(&*payload));
        payload
    };
    let payload =
        std::thread::spawn(move || caught(&abaca::cancel::CancellationToken::new())).join().unwrap();
    let is_own = std::thread::spawn(move || {
        let payload = catch_unwind(AssertUnwindSafe(|| resume_unwind(payload))).unwrap_err();
        Cancelled::is_own(&*payload)
    });
    assert!(!is_own.join().unwrap());
}
