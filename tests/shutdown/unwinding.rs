//! Shutdown while some fiber is in the middle of unwinding, which must not
//! keep the thread's other fibers alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::channel::{Receiver, bounded};
use abaca::{Cancelled, Runtime};

use super::LONG;

/// Tells that it is being dropped, and waits for a message meanwhile.
struct Waits(Arc<AtomicUsize>, Receiver<()>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        self.1.recv().unwrap();
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn wait_for(count: &AtomicUsize, target: usize) {
    while count.load(SeqCst) < target {
        std::thread::yield_now();
    }
}

#[test]
fn a_fiber_that_parked_beside_an_unwinding_one_is_cancelled_as_well() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let (sender, receiver) = bounded(0);
    let unwinding = Arc::new(AtomicUsize::new(0));
    let waits = Waits(Arc::clone(&unwinding), receiver);
    let panics = runtime.spawn(move || {
        let _waits = waits;
        panic!("on purpose");
    });
    wait_for(&unwinding, 1);
    let parked = Arc::new(AtomicUsize::new(0));
    let beside: Vec<_> = (0..10)
        .map(|n| {
            let parked = Arc::clone(&parked);
            runtime.spawn(move || {
                assert!(!std::thread::panicking(), "the neighbour takes its panic with it");
                parked.fetch_add(1, SeqCst);
                match n % 3 {
                    0 => abaca::park(),
                    1 => abaca::sleep(std::time::Duration::from_secs(1_000)),
                    _ => drop(abaca::spawn(abaca::park).join()),
                }
                abaca::park();
            })
        })
        .collect();
    wait_for(&parked, 10);
    // The shutdown waits for the destructor, so it must be under way when the message comes. It is told by a fiber
    // that has begun before, since a shutdown refuses tasks that have not.
    let began = Arc::new(AtomicUsize::new(0));
    let closing = Arc::new(AtomicUsize::new(0));
    let last = runtime.spawn({
        let (began, closing) = (Arc::clone(&began), Arc::clone(&closing));
        move || {
            // Also if it is the shutdown that ends it.
            let _told = OnDrop(|| _ = closing.fetch_add(1, SeqCst));
            began.fetch_add(1, SeqCst);
            while abaca::Builder::new().spawn(|| ()).is_ok() {
                abaca::yield_now();
            }
        }
    });
    wait_for(&began, 1);
    let shutdown = std::thread::spawn(move || runtime.shutdown(LONG));
    wait_for(&closing, 1);
    sender.send(()).unwrap();
    shutdown.join().unwrap().unwrap();
    assert!(last.join().map_or_else(|payload| payload.is::<Cancelled>(), |()| true));
    assert_eq!(panics.join().unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    for handle in beside {
        assert!(handle.join().unwrap_err().is::<Cancelled>());
    }
}
