//! Futures with an end of their time, in somebody's context, and that wait for a token.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use abaca::cancel::CancellationToken;
use abaca::future::{block_on, timeout, within};
use abaca_tests::on_one_worker;

use super::{Counter, poll, tokio_runtime};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_future_that_is_ready_wins_whatever_the_time() {
    let check = || {
        for duration in [Duration::ZERO, LONG, Duration::MAX] {
            assert_eq!(timeout(duration, async { 5 }), Ok(5));
        }
        for duration in [Duration::ZERO, Duration::from_millis(1)] {
            assert!(timeout(duration, std::future::pending::<()>()).is_err());
        }
    };
    check();
    on_one_worker(check);
}

#[test]
fn a_late_future_is_dropped() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let late = async move {
        std::future::pending::<()>().await;
        drop(held);
    };
    on_one_worker(move || assert!(timeout(Duration::from_millis(1), late).is_err()));
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn the_context_is_entered_for_each_poll_and_left_for_each_wait() {
    let tokio = tokio_runtime();
    let handle = tokio.handle().clone();
    on_one_worker(move || {
        let finished = Arc::new(AtomicUsize::new(0));
        let sleepers: Vec<_> = (0..50)
            .map(|_| {
                let (handle, finished) = (handle.clone(), Arc::clone(&finished));
                abaca::spawn_local(move || {
                    let sleep = async { tokio::time::sleep(Duration::from_millis(1)).await };
                    let enter = |poll: &mut dyn FnMut()| {
                        let _entered = handle.enter();
                        poll();
                    };
                    block_on(within(enter, sleep));
                    // Many fibers are inside of `within` on this worker, and none of them has left a guard here.
                    assert!(tokio::runtime::Handle::try_current().is_err());
                    finished.fetch_add(1, SeqCst);
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert_eq!(finished.load(SeqCst), 50);
    });
}

#[test]
fn a_task_that_waits_for_a_token_is_woken_once_and_forgotten_when_it_is_dropped() {
    let (token, counter) = (CancellationToken::new(), Arc::new(Counter::default()));
    let child = token.child_token();
    let mut waits = pin!(child.cancelled_async());
    let mut gone = Box::pin(child.cancelled_async());
    assert_eq!(poll(waits.as_mut(), &counter), Poll::Pending);
    assert_eq!(poll(waits.as_mut(), &counter), Poll::Pending);
    assert_eq!(poll(gone.as_mut(), &counter), Poll::Pending);
    // The futures' clones, and ours.
    assert_eq!(Arc::strong_count(&counter), 3);
    drop(gone);
    assert_eq!(Arc::strong_count(&counter), 2);
    token.cancel();
    assert_eq!(counter.wakes(), 1);
    assert_eq!(poll(waits.as_mut(), &counter), Poll::Ready(()));
    assert_eq!(poll(pin!(token.cancelled_async()), &counter), Poll::Ready(()));
}
