//! A promise: a value that is not there yet, to which more computation can be bound. Just enough of Lwt for a server on one
//! thread.
//!
//! A promise that a bound function returns becomes *the same* promise as the one that `bind` returned (it is a proxy
//! from then on). So a loop that binds for hours is a chain of one link, not of one for each round.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

type Continuation<T> = Box<dyn FnOnce(T)>;

enum State<T> {
    /// No value yet; what to call with it.
    Pending(Vec<Continuation<T>>),
    Resolved(T),
    /// This promise has become another.
    Proxy(Promise<T>),
}

/// A value that may not be there yet.
pub(super) struct Promise<T>(Rc<RefCell<State<T>>>);

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: Clone + 'static> Promise<T> {
    pub(super) fn pending() -> Self {
        Self(Rc::new(RefCell::new(State::Pending(Vec::new()))))
    }

    pub(super) fn resolved(value: T) -> Self {
        Self(Rc::new(RefCell::new(State::Resolved(value))))
    }

    /// Gives it its value, and continues what waits for that.
    pub(super) fn resolve(&self, value: T) {
        let root = self.root();
        let before = mem::replace(&mut *root.0.borrow_mut(), State::Resolved(value.clone()));
        let State::Pending(continuations) = before else { panic!("a promise is resolved once") };
        for continuation in continuations {
            continuation(value.clone());
        }
    }

    /// The promise of what `f` promises when it has this one's value.
    pub(super) fn bind<U: Clone + 'static>(&self, f: impl FnOnce(T) -> Promise<U> + 'static) -> Promise<U> {
        let result = Promise::pending();
        let outer = result.clone();
        self.when_resolved(Box::new(move |value| outer.take_over(&f(value))));
        result
    }

    fn when_resolved(&self, continuation: Continuation<T>) {
        let root = self.root();
        let mut state = root.0.borrow_mut();
        match &mut *state {
            State::Pending(continuations) => continuations.push(continuation),
            State::Resolved(value) => {
                let value = value.clone();
                drop(state);
                continuation(value);
            }
            State::Proxy(_) => unreachable!("a root is no proxy"),
        }
    }

    /// Makes `inner` the same promise as this one.
    fn take_over(&self, inner: &Self) {
        let (outer, inner) = (self.root(), inner.root());
        let state = mem::replace(&mut *inner.0.borrow_mut(), State::Proxy(outer.clone()));
        match state {
            State::Resolved(value) => outer.resolve(value),
            State::Pending(continuations) => {
                if let State::Pending(all) = &mut *outer.0.borrow_mut() {
                    all.extend(continuations);
                }
            }
            State::Proxy(_) => unreachable!("a root is no proxy"),
        }
    }

    fn root(&self) -> Self {
        let mut root = self.clone();
        loop {
            let next = match &*root.0.borrow() {
                State::Proxy(next) => next.clone(),
                _ => break,
            };
            root = next;
        }
        root
    }
}

/// What ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl<T: Clone + 'static> Promise<Result<T, Closed>> {
    /// As `bind`, for what can fail: `f` is left out after a failure.
    pub(super) fn and_then<U: Clone + 'static>(
        &self,
        f: impl FnOnce(T) -> Promise<Result<U, Closed>> + 'static,
    ) -> Promise<Result<U, Closed>> {
        self.bind(|value| match value {
            Ok(value) => f(value),
            Err(Closed) => Promise::resolved(Err(Closed)),
        })
    }

    /// The promise of both.
    pub(super) fn join<U: Clone + 'static>(
        self,
        other: Promise<Result<U, Closed>>,
    ) -> Promise<Result<(T, U), Closed>> {
        self.and_then(move |mine| other.and_then(move |his| Promise::resolved(Ok((mine, his)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_runs_when_the_value_is_there() {
        let first = Promise::pending();
        let sum = first.bind(|a: u32| Promise::resolved(a + 1)).bind(|b| Promise::resolved(b * 2));
        let seen = Rc::new(RefCell::new(None));
        let tell = Rc::clone(&seen);
        sum.when_resolved(Box::new(move |value| *tell.borrow_mut() = Some(value)));
        assert_eq!(*seen.borrow(), None);
        first.resolve(4);
        assert_eq!(*seen.borrow(), Some(10));
    }

    #[test]
    fn a_long_loop_of_binds_keeps_no_chain() {
        let rounds: Rc<RefCell<Vec<Promise<()>>>> = Rc::default();
        fn round(rounds: Rc<RefCell<Vec<Promise<()>>>>) -> Promise<()> {
            let next = Promise::pending();
            rounds.borrow_mut().push(next.clone());
            next.bind(move |()| round(rounds))
        }
        let whole = round(Rc::clone(&rounds));
        for _ in 0..1000 {
            let next = rounds.borrow_mut().pop().expect("a round waits");
            next.resolve(());
        }
        // The test's, and the one in the continuation of the round that waits.
        assert_eq!(Rc::strong_count(&whole.0), 2);
    }

    #[test]
    fn a_join_has_both_values_and_either_failure() {
        let (a, b) = (Promise::pending(), Promise::pending());
        let both = a.clone().join(b.clone());
        b.resolve(Ok(2));
        a.resolve(Ok(1));
        assert!(matches!(&*both.root().0.borrow(), State::Resolved(Ok((1, 2)))));
        let failed = Promise::<Result<(), _>>::resolved(Err(Closed)).join(Promise::resolved(Ok(1)));
        assert!(matches!(&*failed.root().0.borrow(), State::Resolved(Err(Closed))));
    }
}
