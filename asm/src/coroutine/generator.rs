//! Iterators written as straight-line code.

use std::sync::Arc;

use super::{Coroutine, Yielder};
use crate::stack::{StackError, StackPool};

/// An iterator whose items come from a function on a stack of its own, which suspends with each of them.
///
/// The function may suspend from any depth of calls, a recursion for example. A generator that borrows is made by
/// [`scope`](super::scope). A generator that is kept in a thread-local is not unwound when the thread ends: see
/// [At the end of the thread](super#at-the-end-of-the-thread).
///
/// ```
/// # use abaca_asm as abaca;
/// use abaca::coroutine::{Yielder, generator::Generator};
///
/// /// The moves of the towers of Hanoi.
/// fn hanoi(moves: &Yielder<(), (char, char)>, height: u32, from: char, over: char, to: char) {
///     if height > 0 {
///         hanoi(moves, height - 1, from, to, over);
///         moves.suspend((from, to));
///         hanoi(moves, height - 1, over, from, to);
///     }
/// }
///
/// let mut moves = Generator::new(|moves| hanoi(moves, 20, 'a', 'b', 'c'));
/// assert_eq!(moves.next(), Some(('a', 'b')));
/// assert_eq!(moves.count(), (1 << 20) - 2);
/// ```
#[derive(Debug)]
pub struct Generator<Item> {
    coroutine: Coroutine<(), Item, ()>,
}

impl<Item: 'static> Generator<Item> {
    /// Makes a generator on a stack of `coroutine::DEFAULT_STACK_BYTES`. `body` begins when the first
    /// item is requested.
    ///
    /// # Panics
    ///
    /// As [`Coroutine::new`].
    #[track_caller]
    pub fn new(body: impl FnOnce(&Yielder<(), Item>) + 'static) -> Self {
        Self { coroutine: Coroutine::new(|yielder, ()| body(yielder)) }
    }

    /// Makes a generator on a stack from `pool`.
    ///
    /// # Errors
    ///
    /// As [`Coroutine::with_pool`].
    ///
    /// # Panics
    ///
    /// As [`Coroutine::with_pool`].
    #[track_caller]
    pub fn with_pool(
        pool: &Arc<StackPool>,
        body: impl FnOnce(&Yielder<(), Item>) + 'static,
    ) -> Result<Self, StackError> {
        Coroutine::with_pool(pool, |yielder: &Yielder<(), Item>, ()| body(yielder))
            .map(|coroutine| Self { coroutine })
    }
}

impl<Item> Iterator for Generator<Item> {
    type Item = Item;

    /// Runs the generator up to its next item.
    ///
    /// # Panics
    ///
    /// If the generator panics: the panic goes on here, and there are no more items.
    #[inline]
    fn next(&mut self) -> Option<Item> {
        if self.coroutine.is_done() { None } else { self.coroutine.resume(()).into_yield() }
    }
}

impl<Item> core::iter::FusedIterator for Generator<Item> {}
