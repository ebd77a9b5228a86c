//! Promises made from several promises: of all of them, or of the first.

use std::sync::{Arc, Mutex, PoisonError};

use super::callback_queue::CallbackQueue;
use super::cancel::{self, OnCancel};
use super::cell::Cell;
use super::error::Error;
use super::handle::Promise;
use super::resolver::Resolver;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn sources<T: Send + Sync + 'static>(promises: &[Promise<T>]) -> OnCancel {
    OnCancel::Sources(promises.iter().map(|promise| Arc::downgrade(&promise.source())).collect())
}

/// The outcome of a promise that is resolved.
fn outcome_of<T: Clone + Send + Sync + 'static>(promise: &Promise<T>) -> Result<T, Error> {
    Cell::with_outcome(&promise.cell, Clone::clone).expect("it has been resolved")
}

/// All values, in the order of the promises, when all are resolved.
///
/// It waits for all of them even if some are rejected. The error is then that of the first rejected one in the list.
///
/// ```
/// use abaca::promise::{self, Promise};
/// # abaca::run(|| {
/// let squares = promise::all((1..4).map(|n| promise::spawn(move || n * n)));
/// assert_eq!(squares.wait().unwrap(), [1, 4, 9]);
/// # });
/// ```
pub fn all<T, I>(promises: I) -> Promise<Vec<T>>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    gather(promises.into_iter().collect(), |promises| promises.iter().map(outcome_of).collect())
}

/// A promise that is resolved when all of them are. Their values are dropped.
///
/// It waits for all of them even if some are rejected. The error is then that of the first rejected one in the list.
///
/// ```
/// use abaca::promise::{self, Promise};
/// assert!(promise::join([Promise::resolved(1), Promise::resolved(2)]).wait().is_ok());
/// ```
pub fn join<T, I>(promises: I) -> Promise<()>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    gather(promises.into_iter().collect(), |promises| {
        promises.iter().try_for_each(|promise| outcome_of(promise).map(drop))
    })
}

fn gather<T, U>(promises: Vec<Promise<T>>, result: fn(&[Promise<T>]) -> Result<U, Error>) -> Promise<U>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    struct Gather<T, U: Send + Sync + 'static> {
        promises: Vec<Promise<T>>,
        left: AtomicUsize,
        resolver: Mutex<Option<Resolver<U>>>,
    }
    let (promise, resolver) = Promise::made(sources(&promises));
    // One more than there are, so that it reaches 0 only after all are registered.
    let left = AtomicUsize::new(promises.len() + 1);
    let gather = Arc::new(Gather { promises, left, resolver: Mutex::new(Some(resolver)) });
    let count = move |gather: &Gather<T, U>, queue: &mut CallbackQueue| {
        // AcqRel: pairs with the decrements of the others, so that the last one sees their outcomes.
        if gather.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let resolver = gather.resolver.lock().unwrap_or_else(PoisonError::into_inner).take();
            let resolver = resolver.expect("only the last one takes it");
            // A `clone` of the user's may panic.
            let result = queue.call(|| result(&gather.promises)).and_then(|result| result);
            resolver.settle(result, queue);
        }
    };
    for promise in &gather.promises {
        let gather = Arc::clone(&gather);
        Cell::when(&promise.cell, None, move |_, queue| count(&gather, queue));
    }
    CallbackQueue::run(|queue| count(&gather, queue));
    promise
}

/// Both values, when both promises are resolved. If both are rejected, the error is the first one's.
///
/// ```
/// use abaca::promise::{self, Promise};
/// let both = promise::both(&Promise::resolved(1), &Promise::resolved("one"));
/// assert_eq!(both.wait().unwrap(), (1, "one"));
/// ```
pub fn both<A, B>(first: &Promise<A>, second: &Promise<B>) -> Promise<(A, B)>
where
    A: Clone + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
{
    let (one, other) = (first.clone(), second.clone());
    // Waits until both are resolved; the outcomes are read at the end.
    let ends = gather(vec![settled(first), settled(second)], |_| Ok(()));
    let pair = ends.and_then(move |()| Ok((outcome_of(&one)?, outcome_of(&other)?)));
    let sources = [Arc::downgrade(&first.source()), Arc::downgrade(&second.source())];
    pair.cell.set_on_cancel(OnCancel::Sources(Arc::new(sources)));
    pair
}

/// A promise that is fulfilled when `promise` is resolved either way.
fn settled<T: Clone + Send + Sync + 'static>(promise: &Promise<T>) -> Promise<()> {
    let (settled, resolver) = Promise::pending();
    Cell::when(&promise.cell, None, |_, queue| resolver.settle(Ok(()), queue));
    settled
}

/// The outcome of the promise that is resolved first. If several are resolved already, that of the first in the list. The others
/// go on.
///
/// # Panics
///
/// If there are no promises: it would stay pending for ever.
///
/// ```
/// use abaca::promise::{self, Promise};
/// let (slow, _resolver) = Promise::pending();
/// assert_eq!(promise::choose([slow, Promise::resolved("fast")]).wait().unwrap(), "fast");
/// ```
#[track_caller]
pub fn choose<T, I>(promises: I) -> Promise<T>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    race(promises.into_iter().collect(), false, |_, winner| winner.clone())
}

/// Like [`choose`], and the others are [cancelled](Promise::cancel).
///
/// # Panics
///
/// If there are no promises.
///
/// ```
/// use abaca::promise::{self, Promise};
/// let (slow, _resolver) = Promise::task();
/// assert_eq!(promise::pick([slow.clone(), Promise::resolved("fast")]).wait().unwrap(), "fast");
/// assert!(slow.wait().unwrap_err().is_canceled());
/// ```
#[track_caller]
pub fn pick<T, I>(promises: I) -> Promise<T>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    race(promises.into_iter().collect(), true, |_, winner| winner.clone())
}

/// Waits until the first of the promises is resolved, and gives the values of all that are resolved by then, in their order. If
/// some of them are rejected, gives the first error instead.
///
/// # Panics
///
/// If there are no promises.
///
/// ```
/// use abaca::promise::{self, Promise};
/// let (slow, _resolver) = Promise::pending();
/// let ready = promise::nchoose([Promise::resolved(1), slow, Promise::resolved(3)]);
/// assert_eq!(ready.wait().unwrap(), [1, 3]);
/// ```
#[track_caller]
pub fn nchoose<T, I>(promises: I) -> Promise<Vec<T>>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    race(promises.into_iter().collect(), false, resolved_so_far)
}

/// Like [`nchoose`], and the others are [cancelled](Promise::cancel).
///
/// # Panics
///
/// If there are no promises.
#[track_caller]
pub fn npick<T, I>(promises: I) -> Promise<Vec<T>>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    race(promises.into_iter().collect(), true, resolved_so_far)
}

fn resolved_so_far<T: Clone>(promises: &[Promise<T>], _winner: &Result<T, Error>) -> Result<Vec<T>, Error> {
    promises.iter().filter_map(|promise| Cell::with_outcome(&promise.cell, Clone::clone)).collect()
}

/// Makes the result when the first promise has an outcome.
type Judge<T, U> = fn(&[Promise<T>], &Result<T, Error>) -> Result<U, Error>;

struct Race<T, U: Send + Sync + 'static> {
    promises: Vec<Promise<T>>,
    /// Set when the first promise has been resolved.
    spent: Arc<AtomicBool>,
    resolver: Mutex<Option<Resolver<U>>>,
    cancel_losers: bool,
    judge: Judge<T, U>,
}

#[track_caller]
fn race<T, U>(promises: Vec<Promise<T>>, cancel_losers: bool, judge: Judge<T, U>) -> Promise<U>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    assert!(!promises.is_empty(), "the first of no promises is never resolved");
    let (promise, resolver) = Promise::made(sources(&promises));
    let spent = Arc::new(AtomicBool::new(false));
    let resolver = Mutex::new(Some(resolver));
    let race = Arc::new(Race { promises, spent, resolver, cancel_losers, judge });
    for promise in &race.promises {
        if race.spent.load(Ordering::Relaxed) {
            break;
        }
        let ours = Arc::clone(&race);
        Cell::when(&promise.cell, Some(Arc::clone(&race.spent)), move |outcome, queue| {
            ours.end(outcome, queue);
        });
    }
    promise
}

impl<T, U> Race<T, U>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    fn end(&self, winner: &Result<T, Error>, queue: &mut CallbackQueue) {
        // Relaxed: the resolver's mutex orders what follows.
        if self.spent.swap(true, Ordering::Relaxed) {
            return;
        }
        let resolver = self.resolver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let resolver = resolver.expect("only the winner takes it");
        let result = queue.call(|| (self.judge)(&self.promises, winner)).and_then(|result| result);
        if self.cancel_losers {
            let losers = self.promises.iter().rev().map(Promise::source).collect();
            if let Some(fiber) = cancel::cancel(losers, queue) {
                fiber.cancel();
            }
        }
        for promise in &self.promises {
            Cell::note_spent(&promise.cell);
        }
        resolver.settle(result, queue);
    }
}
