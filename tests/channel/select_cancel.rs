//! A fiber that is cancelled in a select leaves nothing behind and takes nothing with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abaca::channel::{self, Receiver, Sender, bounded, select};
use abaca::{Cancelled, Runtime, spawn, yield_now};

const LONG: Duration = Duration::from_secs(3600);

/// Cancels a fiber that waits in `body`, after `before` has been called.
fn cancel<T: Send + 'static>(before: impl FnOnce(), body: impl FnOnce() -> T + Send + 'static) {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let started = Arc::new(AtomicBool::new(false));
    let fiber = runtime.run(|| {
        let theirs = Arc::clone(&started);
        let fiber = spawn(move || {
            theirs.store(true, Ordering::Relaxed);
            body()
        });
        // There is one worker: when this fiber runs again, the other fiber waits.
        while !started.load(Ordering::Relaxed) {
            yield_now();
        }
        fiber
    });
    before();
    runtime.shutdown(LONG).unwrap();
    let Err(payload) = fiber.join() else { panic!("the fiber was to be cancelled") };
    assert!(payload.is::<Cancelled>());
}

#[test]
fn a_cancelled_select_leaves_all_wait_lists() {
    for capacity in 0..2 {
        let (full, full_receiver) = bounded(capacity);
        (0..capacity).for_each(|_| full.send(0).unwrap());
        let (sender, empty) = bounded(capacity);
        let theirs = (full.clone(), empty.clone());
        cancel(|| (), move || select! { send(theirs.0, 1) -> _ => {}, recv(theirs.1) -> _ => {} });
        // No waiter is found.
        assert_eq!(full_receiver.try_iter().count(), capacity);
        assert_eq!(sender.try_send(2).is_ok(), capacity == 1);
    }
}

#[test]
fn a_receiver_that_is_cancelled_during_a_handoff_gets_its_message() {
    let (sender, receiver): (Sender<Arc<()>>, Receiver<_>) = bounded(0);
    let message = Arc::new(());
    let theirs = Arc::clone(&message);
    let mut list = channel::Select::new();
    list.send(&sender);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let fiber = runtime.run(|| spawn(move || receiver.recv().is_ok()));
    // Meets the fiber, which from here on waits for the handoff.
    let operation = list.select();
    std::thread::scope(|scope| {
        // It has to wait for the fiber, and the fiber for the message.
        let shutdown = scope.spawn(|| runtime.shutdown(LONG));
        assert_eq!(operation.send(&sender, theirs), Ok(()));
        shutdown.join().unwrap().unwrap();
    });
    assert!(fiber.join().unwrap());
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn a_sender_that_is_cancelled_while_it_makes_its_message_abandons_the_handoff() {
    let (sender, receiver) = bounded(0);
    let other = sender.clone();
    let thread = std::thread::spawn(move || receiver.recv());
    let (_never, nothing) = bounded::<u32>(0);
    cancel(|| (), move || select! { send(sender, nothing.recv().unwrap()) -> _ => {} });
    other.send(7).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(7));
}
