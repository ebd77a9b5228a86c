//! Channels under stress: a message that was accepted is received, or is still there.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use abaca::channel;
use abaca::sync::{Mutex, PoisonError, mpsc};
use abaca_tests::storm;

#[test]
fn a_channel_delivers_what_it_accepted_although_waits_are_cut_short() {
    for capacity in [0, 1, 4] {
        let (sender, receiver) = channel::bounded::<u64>(capacity);
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        storm(800, |stream| {
            let n = stream.choices.below(1_000);
            let patience = stream.choices.patience();
            if stream.number.is_multiple_of(2) {
                let accepted = match stream.choices.below(4) {
                    0 => sender.try_send(n).is_ok(),
                    1 => sender.send_timeout(n, patience).is_ok(),
                    _ => stream.briefly(|| sender.send(n).unwrap()).is_some(),
                };
                sent.fetch_add(if accepted { n } else { 0 }, SeqCst);
            } else {
                let message = match stream.choices.below(4) {
                    0 => receiver.try_recv().ok(),
                    1 => receiver.recv_timeout(patience).ok(),
                    _ => stream.briefly(|| receiver.recv().unwrap()),
                };
                received.fetch_add(message.unwrap_or(0), SeqCst);
            }
        });
        let left = receiver.try_iter().sum::<u64>();
        assert_eq!(sent.into_inner(), received.into_inner() + left, "capacity {capacity}");
    }
}

#[test]
fn an_mpsc_channel_delivers_what_it_accepted_although_waits_are_cut_short() {
    for bound in [0, 2] {
        let (sender, receiver) = mpsc::sync_channel::<u64>(bound);
        // One stream at a time may have the receiver. A stream that is cut short leaves it whole, in the lock.
        let receiver = Mutex::new(receiver);
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        storm(800, |stream| {
            let n = stream.choices.below(1_000);
            let patience = stream.choices.patience();
            if stream.number.is_multiple_of(2) {
                let accepted = match stream.choices.below(3) {
                    0 => sender.try_send(n).is_ok(),
                    _ => stream.briefly(|| sender.clone().send(n).unwrap()).is_some(),
                };
                sent.fetch_add(if accepted { n } else { 0 }, SeqCst);
            } else {
                let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
                let message = match stream.choices.below(4) {
                    0 => receiver.try_recv().ok(),
                    1 => receiver.recv_timeout(patience).ok(),
                    _ => stream.briefly(|| receiver.recv().unwrap()),
                };
                received.fetch_add(message.unwrap_or(0), SeqCst);
            }
        });
        let receiver = receiver.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left = receiver.try_iter().sum::<u64>();
        assert_eq!(sent.into_inner(), received.into_inner() + left, "bound {bound}");
    }
}
