//! Futures on fibers and threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use abaca::Cancelled;
use abaca::future::{block_on, spawn_future};
use abaca_tests::{begun, on_one_worker};

use super::tokio_runtime;

const LONG: Duration = Duration::from_secs(3600);

/// A future that is ready once, after another thread has woken it.
fn woken_from_a_thread() -> impl Future<Output = u32> {
    let mut thread = None;
    let ready = Arc::new(AtomicBool::new(false));
    std::future::poll_fn(move |context| {
        if ready.load(SeqCst) {
            return Poll::Ready(7);
        }
        let (ready, waker) = (Arc::clone(&ready), context.waker().clone());
        thread.get_or_insert_with(|| {
            std::thread::spawn(move || {
                ready.store(true, SeqCst);
                waker.wake();
            })
        });
        Poll::Pending
    })
}

/// Adds one when it is dropped.
struct Tally(Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_thread_waits_for_a_waker_of_another() {
    assert_eq!(block_on(woken_from_a_thread()), 7);
}

#[test]
fn a_fiber_waits_for_a_waker_of_a_thread_while_others_run() {
    on_one_worker(|| {
        let waiting = spawn_future(woken_from_a_thread());
        let other = abaca::spawn(|| 1);
        assert_eq!(other.join().unwrap() + waiting.join().unwrap(), 8);
    });
}

#[test]
fn block_on_nests() {
    on_one_worker(|| {
        let outer = async { block_on(async { block_on(woken_from_a_thread()) + 1 }) + 1 };
        assert_eq!(block_on(outer), 9);
    });
}

#[test]
fn a_future_that_wakes_itself_lets_other_fibers_run() {
    on_one_worker(|| {
        let done = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&done);
        abaca::spawn(move || theirs.store(true, SeqCst));
        block_on(std::future::poll_fn(|context| {
            if done.load(SeqCst) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
    });
}

#[test]
fn a_panic_of_the_future_is_the_fibers() {
    on_one_worker(|| {
        let fiber = spawn_future(async { std::panic::resume_unwind(Box::new(5)) });
        let result: std::thread::Result<()> = fiber.join();
        assert_eq!(*result.unwrap_err().downcast::<i32>().unwrap(), 5);
    });
}

#[test]
fn tokios_channels_and_timers_work_in_fibers() {
    let tokio = tokio_runtime();
    let handle = tokio.handle().clone();
    abaca::run(move || {
        let (one, receive_one) = tokio::sync::oneshot::channel();
        let (many, mut receive_many) = tokio::sync::mpsc::channel(2);
        let fibers = [
            spawn_future(async move { receive_one.await.unwrap() }),
            spawn_future(async move {
                let mut sum = 0;
                while let Some(n) = receive_many.recv().await {
                    sum += n;
                }
                sum
            }),
        ];
        let _inside = handle.enter();
        block_on(tokio::time::sleep(Duration::from_millis(1)));
        one.send(5).unwrap();
        (0..100).for_each(|n| block_on(many.send(n)).unwrap());
        drop(many);
        assert_eq!(fibers.map(|fiber| fiber.join().unwrap()), [5, 4950]);
        block_on(handle.spawn(async { tokio::time::sleep(Duration::from_millis(1)).await })).unwrap();
    });
}

#[test]
fn a_cancelled_fiber_drops_its_future() {
    on_one_worker(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let tally = Tally(Arc::clone(&drops));
        let fiber = begun(move || {
            block_on(async move {
                let _tally = tally;
                std::future::pending::<()>().await;
            });
        });
        assert_eq!(drops.load(SeqCst), 0);
        fiber.cancel();
        assert!(fiber.join().unwrap_err().is::<Cancelled>());
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn a_timeout_drops_the_future_in_fibers_and_threads() {
    let check = || {
        let drops = Arc::new(AtomicUsize::new(0));
        let tally = Tally(Arc::clone(&drops));
        let forever = async move {
            let _tally = tally;
            std::future::pending::<()>().await;
        };
        assert!(abaca::time::timeout(Duration::from_millis(1), || block_on(forever)).is_err());
        assert_eq!(drops.load(SeqCst), 1);
        assert_eq!(abaca::time::timeout(LONG, || block_on(async { 1 })), Ok(1));
    };
    on_one_worker(check);
    check();
}

#[test]
fn a_waker_that_outlives_the_call_wakes_nobody() {
    on_one_worker(|| {
        let kept = Arc::new(Mutex::new(None::<Waker>));
        let mut polls = 0;
        block_on(std::future::poll_fn(|context| {
            polls += 1;
            *kept.lock().unwrap() = Some(context.waker().clone());
            if polls == 2 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        kept.lock().unwrap().take().unwrap().wake();
        let late = abaca::time::timeout(Duration::from_millis(1), abaca::park);
        assert!(late.is_err());
    });
}

#[test]
fn no_wake_up_is_lost_before_during_or_after_a_poll() {
    const ROUNDS: usize = 20_000;
    abaca::run(|| {
        let place = Arc::new(Mutex::new(None::<Waker>));
        let turns = Arc::new(AtomicUsize::new(0));
        let (theirs, count) = (Arc::clone(&place), Arc::clone(&turns));
        // Wakes whatever waker is there, whenever it is; each adds a turn before.
        let thread = std::thread::spawn(move || {
            while count.load(SeqCst) < ROUNDS {
                let waker = theirs.lock().unwrap().take();
                if let Some(waker) = waker {
                    count.fetch_add(1, SeqCst);
                    waker.wake();
                } else {
                    std::hint::spin_loop();
                }
            }
        });
        let mut seen = 0;
        while seen < ROUNDS {
            seen = block_on(std::future::poll_fn(|context| {
                let now = turns.load(SeqCst);
                if now > seen {
                    return Poll::Ready(now);
                }
                *place.lock().unwrap() = Some(context.waker().clone());
                // A turn that came between the look and the waker's place wakes through it later, or is seen here.
                let now = turns.load(SeqCst);
                if now > seen { Poll::Ready(now) } else { Poll::Pending }
            }));
        }
        thread.join().unwrap();
    });
}
