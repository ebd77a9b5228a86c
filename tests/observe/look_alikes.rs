//! What looks like a leak and is none: somebody has an end, or will go on.

use std::sync::{Mutex as StdMutex, OnceLock};
use std::time::Duration;

use abaca::channel::{Receiver, Sender, bounded, oneshot, unbounded};
use abaca::sync::WaitGroup;

use super::shapes::{Shape, spawn};

static IN_STATIC_DATA: StdMutex<Vec<Sender<u8>>> = StdMutex::new(Vec::new());
static ONCE: OnceLock<Receiver<u8>> = OnceLock::new();

/// What looks like a leak: somebody has an end, in some place.
pub(crate) const ALIVE: &[Shape] = &[
    ("a sender in static data", || {
        let (sender, receiver) = bounded(0);
        IN_STATIC_DATA.lock().unwrap().push(sender);
        vec![spawn(move || assert!(receiver.recv().is_err()))]
    }),
    ("a receiver in a static", || {
        let (sender, receiver) = bounded(0);
        ONCE.set(receiver).unwrap();
        vec![spawn(move || assert!(sender.send(1).is_err()))]
    }),
    ("a sender on the heap of a fiber that sleeps", || {
        let (sender, receiver) = bounded(0);
        let sleeper = spawn(move || {
            let sender: Box<Sender<u8>> = Box::new(sender);
            abaca::sleep(Duration::from_secs(3600));
            drop(sender);
        });
        vec![spawn(move || assert!(receiver.recv().is_err())), sleeper]
    }),
    ("a sender on the stack of a fiber that parks", || {
        let (sender, receiver) = bounded::<u8>(0);
        let parked = spawn(move || {
            abaca::park();
            drop(sender);
        });
        vec![spawn(move || assert!(receiver.recv().is_err())), parked]
    }),
    ("a sender in a plain thread", || {
        let (sender, receiver) = unbounded::<u8>();
        std::thread::spawn(move || {
            std::thread::park();
            drop(sender);
        });
        vec![spawn(move || assert!(receiver.recv().is_err()))]
    }),
    ("a sender in a coroutine that is suspended", || {
        let (sender, receiver) = bounded::<u8>(0);
        let parked = spawn(move || {
            let mut coroutine = abaca::coroutine::Coroutine::<(), (), ()>::new(move |yielder, ()| {
                yielder.suspend(());
                drop(sender);
            });
            coroutine.resume(());
            abaca::park();
            drop(coroutine);
        });
        vec![spawn(move || assert!(receiver.recv().is_err())), parked]
    }),
    ("a chain whose first one sleeps", || {
        let ((a, at_b), (b, at_c)) = (bounded::<u8>(0), bounded::<u8>(0));
        let first = spawn(move || {
            abaca::sleep(Duration::from_secs(3600));
            drop(a);
        });
        let second = spawn(move || {
            let _ = at_b.recv();
            drop(b);
        });
        vec![first, second, spawn(move || assert!(at_c.recv().is_err()))]
    }),
    ("a wait with a deadline", || {
        vec![spawn(|| {
            let (_sender, receiver) = bounded::<u8>(0);
            let _ = receiver.recv_timeout(Duration::from_secs(3600));
        })]
    }),
    ("a select with one channel whose sender sleeps", || {
        let (sender, receiver) = bounded::<u8>(0);
        let sleeper = spawn(move || {
            abaca::sleep(Duration::from_secs(3600));
            drop(sender);
        });
        let selects = spawn(move || {
            let (_dead, at_dead) = bounded::<u8>(0);
            abaca::channel::select! {
                recv(at_dead) -> _ => (),
                recv(receiver) -> _ => (),
            }
        });
        vec![sleeper, selects]
    }),
    ("a select of a dead channel and a clock", || {
        vec![spawn(|| {
            let (_dead, at_dead) = bounded::<u8>(0);
            abaca::channel::select! {
                recv(at_dead) -> _ => (),
                recv(abaca::channel::after(Duration::from_secs(3600))) -> _ => (),
            }
        })]
    }),
    ("a wait group whose last member sleeps", || {
        let group = WaitGroup::new();
        let part = group.clone();
        let sleeper = spawn(move || {
            abaca::sleep(Duration::from_secs(3600));
            drop(part);
        });
        vec![sleeper, spawn(move || group.wait())]
    }),
    ("a oneshot whose sender is on the heap of one who parks", || {
        let (sender, receiver) = oneshot::channel::<u8>();
        let parked = spawn(move || {
            let sender = Box::new(sender);
            abaca::park();
            drop(sender);
        });
        vec![parked, spawn(move || drop(receiver.recv()))]
    }),
    ("a sender of a oneshot that waits for its end", || {
        let (mut sender, receiver) = oneshot::channel::<u8>();
        let parked = spawn(move || {
            abaca::park();
            drop(receiver);
        });
        vec![parked, spawn(move || sender.closed())]
    }),
    ("a scope whose fiber sleeps", || {
        vec![spawn(|| abaca::scope(|scope| _ = scope.spawn(|| abaca::sleep(Duration::from_secs(3600)))))]
    }),
];
