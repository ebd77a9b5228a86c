//! Promises as futures: which waker is woken, and that a dropped future leaves nothing behind.

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use abaca::promise::{Error, Promise};

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn the_last_waker_is_woken_once() {
    let (promise, resolver) = Promise::pending();
    let (first, last) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let wakers = [Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&last))];
    let mut future = pin!(promise.into_future());
    for waker in &wakers {
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    resolver.resolve(3);
    assert_eq!((first.0.load(SeqCst), last.0.load(SeqCst)), (0, 1));
    let polled = future.poll(&mut Context::from_waker(&wakers[0]));
    assert!(matches!(polled, Poll::Ready(Ok(3))));
}

#[test]
fn an_async_function_awaits_several_and_stops_at_an_error() {
    async fn sum(promises: [Promise<u32>; 3]) -> Result<u32, Error> {
        let mut sum = 0;
        for promise in promises {
            sum += promise.await?;
        }
        Ok(sum)
    }
    let mut context = Context::from_waker(Waker::noop());
    let (last, resolver) = Promise::pending();
    let mut future = pin!(sum([Promise::resolved(1), Promise::resolved(2), last.clone()]));
    assert!(future.as_mut().poll(&mut context).is_pending());
    resolver.resolve(3);
    assert!(matches!(future.poll(&mut context), Poll::Ready(Ok(6))));
    let (failed, resolver) = Promise::pending();
    resolver.reject(Error::message("no"));
    let future = pin!(sum([failed, last.clone(), last]));
    assert!(matches!(future.poll(&mut context), Poll::Ready(Err(error)) if error.to_string() == "no"));
}

#[test]
fn dropped_futures_leave_nothing_in_the_promise() {
    let (promise, resolver) = Promise::<u32>::pending();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for _ in 0..1_000 {
        let mut future = pin!(promise.clone().into_future());
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(Arc::strong_count(&count), 2);
    resolver.resolve(1);
    assert_eq!(count.0.load(SeqCst), 0, "nobody waits any more");
    assert_eq!(promise.wait().unwrap(), 1);
}

/// A waker that panics, with what panics when it is dropped.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(Self)
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

#[test]
fn a_waker_that_panics_keeps_no_other_asleep() {
    let (promise, resolver) = Promise::pending();
    let count = Arc::new(Count::default());
    let panicking = [(); 2].map(|()| Waker::from(Arc::new(Panicking)));
    let wakers = [&panicking[0], &panicking[1], &Waker::from(Arc::clone(&count))];
    let mut futures = wakers.map(|waker| {
        let mut future = Box::pin(promise.clone().into_future());
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        future
    });
    let next = promise.map(|number| number + 1);
    let payload = catch_unwind(AssertUnwindSafe(|| resolver.resolve(3))).unwrap_err();
    assert!(payload.is::<Panicking>(), "the resolver's caller gets the first panic");
    assert_eq!(count.0.load(SeqCst), 1);
    assert!(futures[2].as_mut().poll(&mut Context::from_waker(wakers[2])).is_ready());
    assert_eq!(next.wait().unwrap(), 4);
    std::mem::forget((payload, panicking));
}
