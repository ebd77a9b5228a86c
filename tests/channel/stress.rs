//! `oneshot`, `broadcast` and `watch` under stress: each message is received once and in order, and no change is missed.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use abaca::channel::{broadcast, oneshot, watch};
use abaca::sync::{Mutex, PoisonError};
use abaca_tests::storm;

const LONG: Duration = Duration::from_secs(3600);

/// The maximum number of streams.
const STREAMS: usize = 8;

/// The receiver of a message, which takes the message when it is dropped.
struct Taker<'a> {
    receiver: oneshot::Receiver<()>,
    received: &'a AtomicUsize,
}

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        // From here on no message is accepted. A message that was accepted before is there.
        self.receiver.close();
        self.received.fetch_add(usize::from(self.receiver.try_recv().is_ok()), SeqCst);
    }
}

#[test]
fn a_oneshot_delivers_what_it_accepted() {
    let senders = std::sync::Mutex::new(Vec::<oneshot::Sender<()>>::new());
    let take = || senders.lock().unwrap().pop();
    let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
    storm(500, |stream| {
        let (sender, receiver) = oneshot::channel();
        let mut taker = Taker { receiver, received: &received };
        senders.lock().unwrap().push(sender);
        for _ in 0..stream.choices.below(3) {
            let Some(mut sender) = take() else { break };
            match stream.choices.below(8) {
                0 => drop(sender),
                1 => drop(stream.briefly(|| sender.closed())),
                _ => drop(sender.send(()).map(|()| sent.fetch_add(1, SeqCst))),
            }
        }
        match stream.briefly(|| taker.receiver.recv_timeout(LONG)) {
            Some(Ok(())) => drop(received.fetch_add(1, SeqCst)),
            // Its sender was dropped.
            Some(Err(error)) => assert_eq!(error, oneshot::error::RecvTimeoutError::Closed),
            None => {}
        }
    });
    drop(senders);
    assert_eq!(sent.into_inner(), received.into_inner());
}

#[test]
fn every_receiver_of_a_broadcast_gets_all_messages_in_order_or_their_number() {
    let (sender, receiver) = broadcast::channel::<u64>(16);
    let sent = std::sync::Mutex::new(0);
    // Each with the number of its next message.
    let slots: Vec<_> = (0..STREAMS).map(|_| Mutex::new((receiver.resubscribe(), 0))).collect();
    storm(500, |stream| {
        if stream.number.is_multiple_of(2) {
            // The lock makes the order of the numbers the order of the messages.
            let mut sent = sent.lock().unwrap();
            sender.send(*sent).unwrap();
            *sent += 1;
        } else {
            // Only a later stream takes this slot.
            let mut slot = slots[stream.number as usize].lock().unwrap_or_else(PoisonError::into_inner);
            let (receiver, next) = &mut *slot;
            match stream.briefly(|| receiver.recv()) {
                Some(Ok(message)) => {
                    assert_eq!(message, *next);
                    *next += 1;
                }
                Some(Err(broadcast::error::RecvError::Lagged(missed))) => *next += missed,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
    });
    let sent = sent.into_inner().unwrap();
    for slot in slots {
        let (mut receiver, mut next) = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        loop {
            match receiver.try_recv() {
                Ok(message) => {
                    assert_eq!(message, next);
                    next += 1;
                }
                Err(broadcast::error::TryRecvError::Lagged(missed)) => next += missed,
                Err(_) => break,
            }
        }
        assert_eq!(next, sent);
    }
}

#[test]
fn a_watch_receiver_sees_newer_values_only_and_misses_no_change() {
    let (sender, receiver) = watch::channel(0_u64);
    // Each with the last value that it has seen.
    let slots: Vec<_> = (0..STREAMS).map(|_| Mutex::new((receiver.clone(), 0))).collect();
    storm(500, |stream| {
        if stream.number.is_multiple_of(2) {
            sender.send_modify(|value| *value += 1);
        } else {
            let mut slot = slots[stream.number as usize].lock().unwrap_or_else(PoisonError::into_inner);
            let (receiver, last) = &mut *slot;
            let has_changed = match stream.choices.below(3) {
                0 => stream.briefly(|| drop(receiver.wait_for(|value| *value > *last).unwrap())),
                _ => stream.briefly(|| receiver.changed().unwrap()),
            };
            let value = *receiver.borrow_and_update();
            assert!(if has_changed.is_some() { value > *last } else { value >= *last });
            *last = value;
        }
    });
    for slot in slots {
        let (receiver, last) = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(receiver.has_changed().unwrap(), last < *sender.borrow());
    }
}
