//! A channel whose other side is gone: receivers get the messages that are left, senders get their message back.

use std::time::Duration;

use abaca::channel::{
    self, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn receivers_get_the_messages_that_are_left_and_then_errors() {
    let (sender, receiver) = channel::bounded(4);
    sender.send(1).unwrap();
    sender.clone().send(2).unwrap();
    drop(sender);
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(receiver.recv(), Err(RecvError));
    assert_eq!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    assert_eq!(receiver.into_iter().next(), None);
}

#[test]
fn senders_get_their_message_back() {
    let (sender, receiver) = channel::bounded(4);
    sender.send(1).unwrap();
    drop(receiver.clone());
    sender.send(2).unwrap();
    drop(receiver);
    assert_eq!(sender.send(3), Err(SendError(3)));
    assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    assert_eq!(sender.send_timeout(3, LONG), Err(SendTimeoutError::Disconnected(3)));
    assert!(sender.is_empty(), "what nobody can receive is dropped");
}

#[test]
fn waiting_receivers_get_errors() {
    for capacity in [Some(0), Some(2), None] {
        let (sender, receiver) = match capacity {
            Some(capacity) => channel::bounded::<u8>(capacity),
            None => channel::unbounded(),
        };
        std::thread::scope(|scope| {
            // More receivers than are woken under one hold of the lock.
            for n in 0..20 {
                let receiver = receiver.clone();
                scope.spawn(move || match n % 2 {
                    0 => assert_eq!(receiver.recv(), Err(RecvError)),
                    _ => assert_eq!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected)),
                });
            }
            drop(sender);
        });
    }
}

#[test]
fn waiting_senders_get_their_message_back() {
    for capacity in 0..2 {
        let (sender, receiver) = channel::bounded(capacity);
        if capacity == 1 {
            sender.send(0).unwrap();
        }
        std::thread::scope(|scope| {
            for n in 1..20 {
                let sender = sender.clone();
                scope.spawn(move || match n % 2 {
                    0 => assert_eq!(sender.send(n), Err(SendError(n))),
                    _ => assert_eq!(sender.send_timeout(n, LONG), Err(SendTimeoutError::Disconnected(n))),
                });
            }
            drop(receiver);
        });
    }
}

#[test]
fn errors_print_as_crossbeams() {
    use crossbeam_channel as theirs;

    // crossbeam's `Debug` puts some of its names into quotes. Ours prints them as std's channels do.
    fn said(error: impl std::error::Error) -> String {
        format!("{error} | {error:?} | {error:>60} | {error:#?}").replace('"', "")
    }
    assert_eq!(said(SendError(1)), said(theirs::SendError(1)));
    assert_eq!(said(TrySendError::Full(1)), said(theirs::TrySendError::Full(1)));
    assert_eq!(said(TrySendError::Disconnected(1)), said(theirs::TrySendError::Disconnected(1)));
    assert_eq!(said(SendTimeoutError::Timeout(1)), said(theirs::SendTimeoutError::Timeout(1)));
    assert_eq!(said(SendTimeoutError::Disconnected(1)), said(theirs::SendTimeoutError::Disconnected(1)));
    assert_eq!(said(RecvError), said(theirs::RecvError));
    assert_eq!(said(TryRecvError::Empty), said(theirs::TryRecvError::Empty));
    assert_eq!(said(TryRecvError::Disconnected), said(theirs::TryRecvError::Disconnected));
    assert_eq!(said(RecvTimeoutError::Timeout), said(theirs::RecvTimeoutError::Timeout));
    assert_eq!(said(RecvTimeoutError::Disconnected), said(theirs::RecvTimeoutError::Disconnected));
}

#[test]
fn errors_convert_as_crossbeams() {
    assert_eq!(TrySendError::from(SendError(1)), TrySendError::Disconnected(1));
    assert_eq!(SendTimeoutError::from(SendError(1)), SendTimeoutError::Disconnected(1));
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Disconnected);
    assert_eq!((SendError(1).into_inner(), TrySendError::Full(2).into_inner()), (1, 2));
    assert!(TrySendError::Full(1).is_full() && !TrySendError::Full(1).is_disconnected());
    assert!(SendTimeoutError::Timeout(1).is_timeout() && SendTimeoutError::Disconnected(1).is_disconnected());
    assert!(TryRecvError::Empty.is_empty() && TryRecvError::Disconnected.is_disconnected());
    assert!(RecvTimeoutError::Timeout.is_timeout() && RecvTimeoutError::Disconnected.is_disconnected());
}

#[test]
fn ends_and_iterators_print_as_crossbeams() {
    let (ours, theirs) = (channel::bounded::<u8>(1), crossbeam_channel::bounded::<u8>(1));
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert_eq!(
        format!("{:?} {:?}", ours.1.iter(), ours.1.try_iter()),
        format!("{:?} {:?}", theirs.1.iter(), theirs.1.try_iter())
    );
    assert_eq!(format!("{:?}", ours.1.into_iter()), format!("{:?}", theirs.1.into_iter()));
}
