//! A 10-ary tree of tasks down to a million leaves; each node adds up what its children send to its channel.

use std::pin::Pin;
use std::time::Instant;

use super::{Model, Sample, Size, Workload};
use crate::memory;
use crate::model::{Receiver, Sender};

const CHILDREN: u64 = 10;
/// No child waits for its parent.
const CAPACITY: usize = 10;

/// The workload; the amount is the number of leaves, a power of ten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skynet;

impl Workload for Skynet {
    const NAME: &'static str = "skynet 1M";
    const SIZE: Size = Size { quick: 1_000, start: 1_000_000, most: 1_000_000, threads: None };

    fn blocking<M: Model>(amount: u64) -> Sample {
        fn node<M: Model>(parent: &M::Sender, first: u64, leaves: u64) {
            if leaves == 1 {
                return parent.put(first);
            }
            let (sender, receiver) = M::channel(CAPACITY);
            let share = leaves / CHILDREN;
            for child in 0..CHILDREN {
                let sender = sender.clone();
                M::spawn(move || {
                    node::<M>(&sender, first + child * share, share);
                    0
                });
            }
            parent.put((0..CHILDREN).map(|_| receiver.take().expect("a child's sum")).sum());
        }
        let (sender, receiver) = M::channel(1);
        let began = Instant::now();
        M::spawn(move || {
            node::<M>(&sender, 0, amount);
            0
        });
        assert_eq!(receiver.take(), Some(amount * (amount - 1) / 2));
        Sample::whole(began.elapsed()).with("peak MB", memory::peak() as f64 / 1e6)
    }

    async fn tokio(amount: u64) -> Sample {
        type Parent = tokio::sync::mpsc::Sender<u64>;
        fn node(parent: Parent, first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                let (sender, mut receiver) = tokio::sync::mpsc::channel(CAPACITY);
                let share = leaves / CHILDREN;
                for child in 0..CHILDREN {
                    let (sender, first) = (sender.clone(), first + child * share);
                    if share == 1 {
                        tokio::spawn(async move { sender.send(first).await.expect("the parent waits") });
                    } else {
                        tokio::spawn(node(sender, first, share));
                    }
                }
                let mut sum = 0;
                for _ in 0..CHILDREN {
                    sum += receiver.recv().await.expect("a child's sum");
                }
                parent.send(sum).await.expect("the parent waits");
            })
        }
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let began = Instant::now();
        tokio::spawn(node(sender, 0, amount));
        assert_eq!(receiver.recv().await, Some(amount * (amount - 1) / 2));
        Sample::whole(began.elapsed()).with("peak MB", memory::peak() as f64 / 1e6)
    }
}
