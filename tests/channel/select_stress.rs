//! Many concurrent selects of fibers and threads, with deadlines that race with everything.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abaca::channel::{Receiver, Select, Sender, bounded, select};
use abaca_tests::on_threads_and_fibers;

const STREAMS: u64 = 8;
const ROUNDS: u64 = 1000;

#[test]
fn selects_that_face_each_other_lose_no_message() {
    for capacity in 0..2 {
        let channels = [bounded::<u64>(capacity), bounded::<u64>(capacity)];
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        on_threads_and_fibers(STREAMS, |stream| {
            // Each sends to one channel and receives from the other, in both directions at once.
            let (ours, theirs) = (&channels[stream as usize % 2].0, &channels[(stream as usize + 1) % 2].1);
            for n in 0..ROUNDS {
                select! {
                    send(ours, n) -> result => {
                        result.unwrap();
                        sent.fetch_add(n, Ordering::Relaxed);
                    }
                    recv(theirs) -> message => {
                        received.fetch_add(message.unwrap(), Ordering::Relaxed);
                    }
                    // The last ones may have no peer left to meet.
                    default(Duration::from_micros(20)) => {}
                }
            }
        });
        let left: u64 = channels.iter().flat_map(|(_, receiver)| receiver.try_iter()).sum();
        assert_eq!(sent.into_inner(), received.into_inner() + left);
    }
}

/// Sends `1..=ROUNDS`, in each of the possible ways.
fn produce(sender: &Sender<u64>, stream: u64) {
    let mut list = Select::new();
    list.send(sender);
    for n in 1..=ROUNDS {
        match (n + stream) % 4 {
            0 => sender.send(n).unwrap(),
            1 => select! { send(sender, n) -> result => result.unwrap() },
            2 => list.select().send(sender, n).unwrap(),
            _ => loop {
                let done = select! {
                    send(sender, n) -> result => result.is_ok(),
                    default(Duration::from_micros(1 + n % 20)) => false,
                };
                if done {
                    break;
                }
            },
        }
    }
}

/// Receives in each of the possible ways until all senders are gone. Returns the sum.
fn consume(receivers: [&Receiver<u64>; 2], stream: u64) -> u64 {
    let mut sum = 0;
    let mut list = Select::new();
    list.recv(receivers[0]);
    for n in stream.. {
        let message = match n % 5 {
            0 => receivers[0].recv(),
            1 => select! { recv(receivers[0]) -> message => message, recv(receivers[1]) -> other => other },
            2 => list.select().recv(receivers[0]),
            3 => select! {
                recv(receivers[0]) -> message => message,
                default(Duration::from_micros(1 + n % 20)) => Ok(0),
            },
            _ => {
                list.ready_timeout(Duration::from_micros(1 + n % 5)).ok();
                receivers[0].try_recv().or(Ok(0))
            }
        };
        match message {
            Ok(n) => sum += n,
            Err(_) => break,
        }
    }
    sum
}

#[test]
fn every_way_to_send_meets_every_way_to_receive() {
    for capacity in 0..3 {
        let (sender, receiver) = bounded(capacity);
        let (_quiet_sender, quiet) = bounded(0);
        let received = AtomicU64::new(0);
        let senders: Vec<_> = (0..STREAMS / 2).map(|_| std::sync::Mutex::new(Some(sender.clone()))).collect();
        drop(sender);
        on_threads_and_fibers(STREAMS, |stream| {
            if stream % 2 == 0 {
                let sender = senders[stream as usize / 2].lock().unwrap().take().expect("one for each");
                produce(&sender, stream);
            } else {
                received.fetch_add(consume([&receiver, &quiet], stream), Ordering::Relaxed);
            }
        });
        assert_eq!(received.into_inner(), STREAMS / 2 * ROUNDS * (ROUNDS + 1) / 2);
    }
}

#[test]
fn selects_that_are_cancelled_lose_no_message() {
    for capacity in 0..2 {
        let channels = Arc::new([bounded::<()>(capacity), bounded::<()>(capacity)]);
        let sent = Arc::new(AtomicU64::new(0));
        let received = Arc::new(AtomicU64::new(0));
        let start = |n: usize| {
            let (channels, sent, received) =
                (Arc::clone(&channels), Arc::clone(&sent), Arc::clone(&received));
            abaca::spawn(move || {
                let (ours, theirs) = (&channels[n % 2].0, &channels[(n + 1) % 2].1);
                for round in 0.. {
                    let exchange = || {
                        select! {
                            // Making the message blocks, and many fibers are cancelled there.
                            send(ours, if round % 8 == 0 { abaca::yield_now() }) -> result => {
                                result.unwrap();
                                sent.fetch_add(1, Ordering::Relaxed);
                            }
                            recv(theirs) -> message => {
                                message.unwrap();
                                received.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    };
                    match round % 3 {
                        0 => drop(abaca::time::timeout(Duration::from_micros(round % 50), exchange)),
                        _ => exchange(),
                    }
                    if round % 16 == 0 {
                        abaca::yield_now();
                    }
                }
            })
        };
        abaca::Runtime::builder().workers(2).build().unwrap().run(|| {
            let mut fibers: VecDeque<_> = (0..8).map(start).collect();
            for n in 0..400 {
                let fiber = fibers.pop_front().expect("there are eight");
                fiber.cancel();
                assert!(fiber.join().unwrap_err().is::<abaca::Cancelled>());
                // There are always equally many of both kinds.
                fibers.push_back(start(n));
            }
            // Those that are left meet in the end, if nobody has yet.
            while received.load(Ordering::Relaxed) == 0 {
                abaca::yield_now();
            }
            fibers.iter().for_each(abaca::JoinHandle::cancel);
            fibers.into_iter().for_each(|fiber| drop(fiber.join()));
        });
        let left = channels.iter().flat_map(|(_, receiver)| receiver.try_iter()).count() as u64;
        let (sent, received) = (sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed));
        assert_eq!(sent, received + left);
    }
}
