//! Join handles as futures.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use abaca::future::block_on;
use abaca::{Cancelled, Runtime};
use abaca_tests::{begun, on_one_worker};

use super::{Counter, poll, tokio_runtime};

#[test]
fn a_finished_fiber_is_ready_at_once() {
    on_one_worker(|| {
        let fiber = begun(|| 5);
        while !fiber.is_finished() {
            abaca::yield_now();
        }
        let counter = Arc::new(Counter::default());
        let mut future = pin!(fiber.into_future());
        assert!(matches!(poll(future.as_mut(), &counter), std::task::Poll::Ready(Ok(5))));
        assert_eq!(counter.wakes(), 0);
    });
}

#[test]
fn a_running_fiber_wakes_the_task_that_polled_last_once() {
    on_one_worker(|| {
        let (open, gate) = abaca::channel::bounded(0);
        let fiber = begun(move || gate.recv().unwrap());
        let counters = [(); 3].map(|()| Arc::new(Counter::default()));
        let mut future = pin!(fiber.into_future());
        for counter in &counters {
            assert!(poll(future.as_mut(), counter).is_pending());
        }
        open.send(5).unwrap();
        while counters[2].wakes() == 0 {
            abaca::yield_now();
        }
        assert!(matches!(poll(future.as_mut(), &counters[0]), std::task::Poll::Ready(Ok(5))));
        assert_eq!(counters.map(|counter| counter.wakes()), [0, 0, 1]);
    });
}

#[test]
fn panics_and_cancellations_arrive_as_payloads() {
    on_one_worker(|| {
        let panics = abaca::spawn(|| -> u32 { std::panic::resume_unwind(Box::new("oh")) });
        assert_eq!(*block_on(panics).unwrap_err().downcast::<&str>().unwrap(), "oh");
        let waits = begun(abaca::park);
        waits.cancel();
        assert!(block_on(waits).unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_dropped_future_detaches() {
    on_one_worker(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let counter = Arc::new(Counter::default());
        for is_polled in [false, true] {
            let (open, gate) = abaca::channel::bounded(0);
            let (ended, end) = abaca::channel::bounded(1);
            let result = Arc::clone(&dropped);
            let fiber = begun(move || {
                gate.recv().unwrap();
                ended.send(()).unwrap();
                result
            });
            let mut future = Box::pin(fiber.into_future());
            if is_polled {
                assert!(poll(future.as_mut(), &counter).is_pending());
            }
            drop(future);
            open.send(()).unwrap();
            end.recv().unwrap();
        }
        while Arc::strong_count(&dropped) > 1 {
            abaca::yield_now();
        }
        assert_eq!((counter.wakes(), Arc::strong_count(&counter)), (0, 1));
    });
}

#[test]
fn a_future_dropped_after_the_end_drops_the_result() {
    on_one_worker(|| {
        let result = Arc::new(());
        let counter = Arc::new(Counter::default());
        let (open, gate) = abaca::channel::bounded(0);
        let theirs = Arc::clone(&result);
        let fiber = begun(move || {
            gate.recv().unwrap();
            theirs
        });
        let mut future = Box::pin(fiber.into_future());
        assert!(poll(future.as_mut(), &counter).is_pending());
        open.send(()).unwrap();
        while counter.wakes() == 0 {
            abaca::yield_now();
        }
        drop(future);
        assert_eq!((Arc::strong_count(&result), Arc::strong_count(&counter)), (1, 1));
    });
}

#[test]
fn tokio_tasks_await_fibers() {
    let tokio = tokio_runtime();
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let fibers: Vec<_> = runtime.run(|| (0..1000).map(|n| abaca::spawn(move || n)).collect());
    let sum = tokio.block_on(async {
        let mut sum = 0;
        for fiber in fibers {
            sum += fiber.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 499_500);
}

#[test]
fn ends_race_with_polls_and_drops() {
    const ROUNDS: usize = 3000;
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let results = Arc::new(AtomicUsize::new(0));
    struct Tally(Arc<AtomicUsize>);
    impl Drop for Tally {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    for round in 0..ROUNDS {
        let tally = Tally(Arc::clone(&results));
        let fiber = runtime.spawn(move || tally);
        let counter = Arc::new(Counter::default());
        let mut future = Box::pin(fiber.into_future());
        for _ in 0..round % 7 {
            if poll(future.as_mut(), &counter).is_ready() {
                break;
            }
        }
        drop(future);
    }
    while results.load(SeqCst) < ROUNDS {
        std::thread::yield_now();
    }
    drop(runtime);
    assert_eq!(results.load(SeqCst), ROUNDS);
}
