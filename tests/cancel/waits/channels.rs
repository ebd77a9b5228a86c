//! Waits of `abaca::channel`.

use std::mem::forget;
use std::time::Instant;

use abaca::channel::{self, Receiver, Select, Sender, broadcast, oneshot, select, watch};
use abaca::future::block_on;

use super::{LONG, Setup, Wait, keeping, wait};

pub(super) const WAITS: &[Setup] = &[
    ("Receiver::recv, unbounded", || receive(None, |silent| silent.recv())),
    ("Receiver::recv, bounded", || receive(Some(1), |silent| silent.recv())),
    ("Receiver::recv, capacity 0", || receive(Some(0), |silent| silent.recv())),
    ("Receiver::recv_timeout", || receive(Some(1), |silent| silent.recv_timeout(LONG))),
    ("Receiver::recv_timeout, capacity 0", || receive(Some(0), |silent| silent.recv_timeout(LONG))),
    ("Receiver::recv_deadline", || receive(None, |silent| silent.recv_deadline(Instant::now() + LONG))),
    ("Receiver::iter", || receive(None, |silent| silent.iter().next())),
    ("Receiver::into_iter", || receive(None, |silent| silent.into_iter().next())),
    ("Receiver::recv_async", || receive(None, |silent| block_on(silent.recv_async()))),
    ("Sender::send, full", || send(1, |full| full.send(1))),
    ("Sender::send, capacity 0", || send(0, |full| full.send(1))),
    ("Sender::send_timeout, full", || send(1, |full| full.send_timeout(1, LONG))),
    ("Sender::send_timeout, capacity 0", || send(0, |full| full.send_timeout(1, LONG))),
    ("Sender::send_deadline", || send(1, |full| full.send_deadline(1, Instant::now() + LONG))),
    ("Sender::send_async", || send(1, |full| block_on(full.send_async(1)))),
    ("after", || wait(|| channel::after(LONG).recv())),
    ("at", || wait(|| channel::at(Instant::now() + LONG).recv())),
    ("tick", || wait(|| channel::tick(LONG).recv())),
    ("never", || wait(|| channel::never::<u8>().recv())),
    ("select!", || {
        let ((sender, silent), (full, receiver)) = (channel::unbounded::<u8>(), channel::bounded(0));
        let after = channel::after(LONG);
        keeping((sender, receiver), move || {
            select! {
                recv(silent) -> _ => {},
                send(full, 1_u8) -> _ => {},
                recv(after) -> _ => {},
            }
        })
    }),
    ("select! with a timeout", || {
        receive(None, |silent| select! { recv(silent) -> _ => {}, default(LONG) => {} })
    }),
    ("Select::select", || selecting(|select| drop(select.select()))),
    ("Select::select_timeout", || selecting(|select| drop(select.select_timeout(LONG)))),
    ("Select::select_deadline", || selecting(|select| drop(select.select_deadline(Instant::now() + LONG)))),
    ("Select::ready", || selecting(|select| _ = select.ready())),
    ("Select::ready_timeout", || selecting(|select| _ = select.ready_timeout(LONG))),
    ("Select::ready_deadline", || selecting(|select| _ = select.ready_deadline(Instant::now() + LONG))),
    ("oneshot::Receiver::recv", || {
        let (sender, receiver) = oneshot::channel::<u8>();
        keeping(sender, move || receiver.recv())
    }),
    ("oneshot::Receiver::recv_timeout", || {
        let (sender, mut receiver) = oneshot::channel::<u8>();
        keeping(sender, move || receiver.recv_timeout(LONG))
    }),
    ("oneshot::Receiver, awaited", || {
        let (sender, receiver) = oneshot::channel::<u8>();
        keeping(sender, move || block_on(receiver))
    }),
    ("oneshot::Sender::closed", || {
        let (mut sender, receiver) = oneshot::channel::<u8>();
        keeping(receiver, move || sender.closed())
    }),
    ("broadcast::Receiver::recv", || {
        let (sender, mut receiver) = broadcast::channel::<u8>(1);
        keeping(sender, move || receiver.recv())
    }),
    ("broadcast::Receiver::recv_timeout", || {
        let (sender, mut receiver) = broadcast::channel::<u8>(1);
        keeping(sender, move || receiver.recv_timeout(LONG))
    }),
    ("broadcast::Sender::closed", || {
        let (sender, receiver) = broadcast::channel::<u8>(1);
        keeping(receiver, move || sender.closed())
    }),
    ("watch::Receiver::changed", || {
        let (sender, mut receiver) = watch::channel(0);
        keeping(sender, move || receiver.changed())
    }),
    ("watch::Receiver::wait_for", || {
        let (sender, mut receiver) = watch::channel(0);
        keeping(sender, move || drop(receiver.wait_for(|value| *value > 0)))
    }),
    ("watch::Sender::closed", || {
        let (sender, receiver) = watch::channel(0);
        keeping(receiver, move || sender.closed())
    }),
    ("watch::Sender::send, behind one that looks", || {
        let (sender, receiver) = watch::channel(0);
        forget(receiver.borrow());
        keeping(receiver, move || sender.send(1))
    }),
];

/// Receives from a channel whose sender is silent.
fn receive<T: 'static>(capacity: Option<usize>, f: fn(Receiver<u8>) -> T) -> Wait {
    let (sender, silent) = capacity.map_or_else(channel::unbounded, channel::bounded);
    keeping(sender, move || f(silent))
}

/// Sends to a full channel.
fn send<T: 'static>(capacity: usize, f: fn(Sender<u8>) -> T) -> Wait {
    let (full, receiver) = channel::bounded(capacity);
    (0..capacity).for_each(|_| full.send(0).unwrap());
    keeping(receiver, move || f(full))
}

/// Selects between receiving from a channel whose sender is silent and sending into a full channel.
fn selecting(f: fn(&mut Select<'_>)) -> Wait {
    let ((sender, silent), (full, receiver)) = (channel::unbounded::<u8>(), channel::bounded::<u8>(0));
    keeping((sender, receiver), move || {
        let mut select = Select::new();
        select.recv(&silent);
        select.send(&full);
        f(&mut select);
    })
}
