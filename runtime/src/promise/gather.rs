//! What follows several promises: all of them, or the first.

use std::sync::{Arc, Mutex, PoisonError};

use super::agenda::Agenda;
use super::cancel::{self, OnCancel};
use super::cell::Cell;
use super::error::Error;
use super::handle::Promise;
use super::resolver::Resolver;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn sources<T: Send + Sync + 'static>(promises: &[Promise<T>]) -> OnCancel {
    OnCancel::Sources(promises.iter().map(|promise| Arc::downgrade(&promise.source())).collect())
}

/// The outcome of a promise that is known to have one.
fn outcome_of<T: Clone + Send + Sync + 'static>(promise: &Promise<T>) -> Result<T, Error> {
    Cell::with_outcome(&promise.cell, Clone::clone).expect("it has been resolved")
}

/// All values, in the order of the promises, when all are resolved.
///
/// It waits for all of them also when one is rejected; the error is then that of the first that is listed.
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

/// Resolved when all of them are; their values are dropped.
///
/// It waits for all of them also when one is rejected; the error is then that of the first that is listed.
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
    // One more than there are, so that it ends after all are registered.
    let left = AtomicUsize::new(promises.len() + 1);
    let gather = Arc::new(Gather { promises, left, resolver: Mutex::new(Some(resolver)) });
    let count = move |gather: &Gather<T, U>, agenda: &mut Agenda| {
        // AcqRel: the last one sees what the others have done before.
        if gather.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let resolver = gather.resolver.lock().unwrap_or_else(PoisonError::into_inner).take();
            let resolver = resolver.expect("only the last one takes it");
            // A `clone` of the user's may panic.
            let result = agenda.call(|| result(&gather.promises)).and_then(|result| result);
            resolver.settle(result, agenda);
        }
    };
    for promise in &gather.promises {
        let gather = Arc::clone(&gather);
        Cell::when(&promise.cell, None, move |_, agenda| count(&gather, agenda));
    }
    Agenda::run(|agenda| count(&gather, agenda));
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
    // What is waited for is only that each is resolved; the outcomes are read at the end.
    let ends = gather(vec![settled(first), settled(second)], |_| Ok(()));
    let pair = ends.and_then(move |()| Ok((outcome_of(&one)?, outcome_of(&other)?)));
    let sources = [Arc::downgrade(&first.source()), Arc::downgrade(&second.source())];
    pair.cell.set_on_cancel(OnCancel::Sources(Arc::new(sources)));
    pair
}

/// Fulfilled when `promise` is resolved.
fn settled<T: Clone + Send + Sync + 'static>(promise: &Promise<T>) -> Promise<()> {
    let (settled, resolver) = Promise::pending();
    Cell::when(&promise.cell, None, |_, agenda| resolver.settle(Ok(()), agenda));
    settled
}

/// What the first of the promises to be resolved comes to; of those that are resolved already, the first that is listed.
/// The others go on.
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
pub fn choose<T, I>(promises: I) -> Promise<T>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    race(promises.into_iter().collect(), false, |_, winner| winner.clone())
}

/// [`choose`], and the others are [cancelled](Promise::cancel).
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
pub fn pick<T, I>(promises: I) -> Promise<T>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    race(promises.into_iter().collect(), true, |_, winner| winner.clone())
}

/// When the first of the promises is resolved, the values of all that are by then, in their order; the first error instead,
/// if some are rejected.
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
pub fn nchoose<T, I>(promises: I) -> Promise<Vec<T>>
where
    T: Clone + Send + Sync + 'static,
    I: IntoIterator<Item = Promise<T>>,
{
    race(promises.into_iter().collect(), false, resolved_so_far)
}

/// [`nchoose`], and the others are [cancelled](Promise::cancel).
///
/// # Panics
///
/// If there are no promises.
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

/// What is made of the promises when the first has an outcome.
type Judge<T, U> = fn(&[Promise<T>], &Result<T, Error>) -> Result<U, Error>;

struct Race<T, U: Send + Sync + 'static> {
    promises: Vec<Promise<T>>,
    /// Whether it has been won.
    spent: Arc<AtomicBool>,
    resolver: Mutex<Option<Resolver<U>>>,
    cancel_losers: bool,
    judge: Judge<T, U>,
}

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
        Cell::when(&promise.cell, Some(Arc::clone(&race.spent)), move |outcome, agenda| {
            ours.end(outcome, agenda);
        });
    }
    promise
}

impl<T, U> Race<T, U>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    fn end(&self, winner: &Result<T, Error>, agenda: &mut Agenda) {
        // Relaxed: the resolver's mutex orders what follows.
        if self.spent.swap(true, Ordering::Relaxed) {
            return;
        }
        let resolver = self.resolver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let resolver = resolver.expect("only the winner takes it");
        let result = agenda.call(|| (self.judge)(&self.promises, winner)).and_then(|result| result);
        if self.cancel_losers {
            cancel::cancel(self.promises.iter().rev().map(Promise::source).collect(), agenda);
        }
        for promise in &self.promises {
            Cell::note_spent(&promise.cell);
        }
        resolver.settle(result, agenda);
    }
}
