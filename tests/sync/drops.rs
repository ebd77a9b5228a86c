//! Every message is dropped exactly once, in whatever way it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abaca::channel::{self, Receiver, Sender};

const MOMENT: Duration = Duration::from_millis(1);

/// A message that is counted while it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a message was dropped twice");
    }
}

fn counter() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

fn alive(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

#[test]
fn messages_that_are_left_are_dropped_with_the_last_receiver() {
    let count = counter();
    let (sender, receiver) = channel::unbounded();
    (0..10).for_each(|_| drop(sender.send(Counted::new(&count))));
    drop(receiver.clone());
    assert_eq!(alive(&count), 10);
    drop(receiver);
    assert_eq!(alive(&count), 0);
    drop(sender.send(Counted::new(&count)));
    assert_eq!(alive(&count), 0);
}

#[test]
fn messages_that_are_left_outlive_the_last_sender() {
    let count = counter();
    let (sender, receiver) = channel::bounded(10);
    (0..10).for_each(|_| drop(sender.send(Counted::new(&count))));
    drop(sender);
    assert_eq!(alive(&count), 10);
    drop(receiver.recv());
    assert_eq!(alive(&count), 9);
    drop(receiver);
    assert_eq!(alive(&count), 0);
}

#[test]
fn a_refused_message_comes_back() {
    let count = counter();
    let (sender, receiver) = channel::bounded(1);
    assert!(sender.send(Counted::new(&count)).is_ok());
    let refused = sender.try_send(Counted::new(&count)).unwrap_err();
    let late = sender.send_timeout(Counted::new(&count), MOMENT).unwrap_err();
    assert_eq!(alive(&count), 3);
    drop((refused, late));
    assert_eq!(alive(&count), 1);
    drop(receiver);
    assert_eq!(alive(&count), 0);
}

#[test]
fn a_waiting_senders_message_comes_back_when_the_receivers_go() {
    let count = counter();
    let (sender, receiver) = channel::bounded(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (sender, message) = (sender.clone(), Counted::new(&count));
            scope.spawn(move || drop(sender.send(message).unwrap_err()));
        }
        drop(receiver);
    });
    assert_eq!(alive(&count), 0);
}

#[test]
fn a_destructor_may_use_the_channel_it_was_in() {
    struct Sends(Sender<Option<Sends>>, Arc<AtomicUsize>);
    impl Drop for Sends {
        fn drop(&mut self) {
            assert!(self.0.send(None).is_err());
            assert_eq!(self.0.len(), 0);
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = counter();
    let (sender, receiver) = channel::unbounded();
    for _ in 0..3 {
        assert!(sender.send(Some(Sends(sender.clone(), Arc::clone(&dropped)))).is_ok());
    }
    drop(receiver);
    assert_eq!(alive(&dropped), 3);
}

#[test]
fn timeouts_that_race_with_the_other_side_lose_no_message() {
    for capacity in [0, 1] {
        let count = counter();
        let (sender, receiver): (Sender<Counted>, Receiver<Counted>) = channel::bounded(capacity);
        let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for patience in 0..3 {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                let (count, sent, received) = (&count, &sent, &received);
                let patience = Duration::from_micros(patience * 20);
                scope.spawn(move || {
                    for _ in 0..300 {
                        if sender.send_timeout(Counted::new(count), patience).is_ok() {
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
                scope.spawn(move || {
                    for _ in 0..300 {
                        if receiver.recv_timeout(patience).is_ok() {
                            received.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(alive(&sent) - alive(&received), receiver.len());
        assert_eq!(alive(&count), receiver.len());
        drop(receiver);
        assert_eq!(alive(&count), 0);
    }
}
