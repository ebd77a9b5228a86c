//! std's `mpsc` on abaca's channels: the same results as std's, and fibers park instead of blocking their thread.

use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use abaca::sync::mpsc::{self, RecvTimeoutError, TryRecvError, TrySendError};
use abaca::{Runtime, spawn, yield_now};

#[test]
fn senders_and_the_receiver_park_and_meet() {
    Runtime::builder().workers(1).build().unwrap().run(|| {
        let (sender, receiver) = mpsc::sync_channel(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        let fibers: Vec<_> = (0..5)
            .map(|number| {
                let sender = sender.clone();
                spawn(move || sender.send(number))
            })
            .collect();
        yield_now();
        drop(sender);
        let mut received: Vec<i32> = receiver.into_iter().collect();
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2, 3, 4]);
        assert!(fibers.into_iter().all(|fiber| fiber.join().unwrap().is_ok()));
    });
}

#[test]
fn an_unbounded_channel_keeps_all_messages_until_the_receiver_is_dropped() {
    let (sender, receiver) = mpsc::channel();
    let other = sender.clone();
    let thread = std::thread::spawn(move || (0..1000).for_each(|number| other.send(number).unwrap()));
    thread.join().unwrap();
    assert_eq!(receiver.iter().take(1000).sum::<i32>(), 499_500);
    drop(receiver);
    assert_eq!(sender.send(7).unwrap_err().0, 7);
    assert_eq!(format!("{sender:?}"), format!("{:?}", std_mpsc::channel::<i32>().0));
}
