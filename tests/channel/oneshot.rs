//! `channel::oneshot`: one message, between fibers and threads.

use std::sync::Arc;
use std::time::Duration;

use abaca::channel::oneshot::{
    self,
    error::{RecvError, RecvTimeoutError, TryRecvError},
};
use abaca::{Cancelled, Runtime, spawn, yield_now};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_message_arrives_between_fibers_and_threads() {
    let (to_fiber, from_thread) = oneshot::channel();
    let (to_thread, from_fiber) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        to_fiber.send(1).unwrap();
        from_fiber.recv()
    });
    let sum = abaca::run(|| {
        let (to_first, from_second) = oneshot::channel();
        let second = spawn(move || to_first.send(from_thread.recv().unwrap() + 1));
        let sum = from_second.recv().unwrap();
        second.join().unwrap().unwrap();
        to_thread.send(sum).unwrap();
        sum
    });
    assert_eq!((sum, thread.join().unwrap()), (2, Ok(2)));
}

#[test]
fn a_sender_that_is_dropped_ends_the_wait() {
    let (sender, receiver) = oneshot::channel::<u32>();
    std::thread::spawn(move || drop(sender));
    let error: RecvError = receiver.recv().unwrap_err();
    assert_eq!(error.to_string(), "channel closed");
}

#[test]
fn a_message_that_is_not_received_is_dropped() {
    let message = Arc::new(());
    let (sender, receiver) = oneshot::channel();
    sender.send(Arc::clone(&message)).unwrap();
    assert_eq!(Arc::strong_count(&message), 2);
    drop(receiver);
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn a_closed_channel_still_gives_the_message_that_was_sent() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    receiver.close();
    assert!(!receiver.is_empty() && !receiver.is_terminated());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert!(receiver.is_empty() && receiver.is_terminated());
}

#[test]
fn a_sender_waits_for_the_receiver_to_close_or_leave() {
    for is_dropped in [false, true] {
        let (mut sender, mut receiver) = oneshot::channel::<u32>();
        let thread = std::thread::spawn(move || {
            if is_dropped {
                drop(receiver);
            } else {
                receiver.close();
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
                assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Closed));
            }
        });
        sender.closed();
        assert!(sender.is_closed());
        assert_eq!(sender.send(1), Err(1));
        thread.join().unwrap();
    }
}

#[test]
fn both_ends_may_wait_at_once() {
    let (mut sender, mut receiver) = oneshot::channel::<u32>();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.closed());
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        drop(receiver);
    });
}

#[test]
fn a_cancelled_receiver_drops_the_message() {
    let (sender, receiver) = oneshot::channel();
    let message = Arc::new(());
    let theirs = Arc::clone(&message);
    let fiber = Runtime::builder().workers(1).build().unwrap().run(|| {
        let fiber = spawn(move || receiver.recv().is_ok());
        yield_now();
        fiber.cancel();
        fiber
    });
    let Err(payload) = fiber.join() else { panic!("the fiber was to be cancelled") };
    assert!(payload.is::<Cancelled>());
    assert!(sender.is_closed());
    assert!(sender.send(theirs).is_err());
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn cancelled_and_timed_waits_race_with_the_message() {
    abaca::run(|| {
        for n in 0..3000_u64 {
            let (sender, mut receiver) = oneshot::channel();
            let thread = spawn(move || {
                if n % 3 == 0 {
                    yield_now();
                }
                sender.send(n)
            });
            let received = receiver.recv_timeout(Duration::from_nanos(n % 7 * 100));
            match n % 2 {
                0 => assert_eq!(received.or_else(|_| receiver.recv()), Ok(n)),
                _ => drop(receiver),
            }
            let _ = thread.join().unwrap();
        }
    });
    for n in 0..300_u64 {
        let (sender, mut receiver) = oneshot::channel();
        let thread = std::thread::spawn(move || sender.send(n));
        let received = receiver.recv_timeout(Duration::from_micros(n % 100));
        assert_eq!(received.or_else(|_| receiver.recv()), Ok(n));
        thread.join().unwrap().unwrap();
    }
}
