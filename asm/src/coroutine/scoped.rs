//! Coroutines that borrow: they end inside the function call that makes them.
#![expect(unsafe_code, reason = "makes a coroutine whose types are not 'static")]

use std::process;

use super::handle::Coroutine;
use super::result::CoroutineResult;
use super::yielder::Yielder;

/// Makes a coroutine that may borrow from the caller, lends it to `driver`, and drops it when `driver` returns
/// or unwinds. Returns the result of `driver`.
///
/// ```
/// # use abaca_asm as abaca;
/// use abaca::coroutine::scope;
///
/// let mut log = Vec::new();
/// let words = ["plain", "blocking", "code"];
/// let total = scope(
///     |yielder, ()| words.iter().for_each(|word| yielder.suspend(*word)),
///     |coroutine| coroutine.map(|word| log.push(word)).count(),
/// );
/// assert_eq!((total, log.len()), (3, 3));
/// ```
///
/// # Panics
///
/// As [`Coroutine::new`], or if `driver` panics. The process aborts if the coroutine is still suspended at the end and cannot be
/// unwound: with `panic = "abort"`, or if it is suspended in a destructor, in the middle of an unwinding.
#[track_caller]
pub fn scope<Input, Yield, Return, Body, Driver, Outcome>(body: Body, driver: Driver) -> Outcome
where
    Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
    Driver: FnOnce(Scoped<'_, Input, Yield, Return>) -> Outcome,
{
    // SAFETY: the owner is in this frame, which drops it on every way out; the driver gets a reference that
    // it cannot move the coroutine out of. All lifetimes in the types outlive this call.
    let mut owner = Owner(unsafe { Coroutine::new_unchecked(body) });
    driver(Scoped { coroutine: &mut owner.0 })
}

/// Owns the coroutine of a scope, and drops it on every way out.
struct Owner<Input, Yield, Return>(Coroutine<Input, Yield, Return>);

impl<Input, Yield, Return> Drop for Owner<Input, Yield, Return> {
    fn drop(&mut self) {
        if self.0.is_stuck() {
            std::eprintln!("a scoped coroutine was left suspended, and panic = \"abort\" cannot unwind it");
            process::abort();
        }
        // It is unwound even in a destructor at the thread's end: it borrows from the frames above, which end after it.
        self.0.finish(|_| {
            std::eprintln!(
                "a scoped coroutine was left suspended in a destructor, and cannot be unwound a second time"
            );
            process::abort();
        });
    }
}

/// A coroutine that [`scope`] has made and lends to its driver. If the coroutine takes nothing and returns nothing, this is an
/// iterator over the values that it suspends with.
#[derive(Debug)]
pub struct Scoped<'scope, Input, Yield, Return> {
    /// Private, so that the coroutine cannot be exchanged for another and forgotten.
    coroutine: &'scope mut Coroutine<Input, Yield, Return>,
}

impl<Input, Yield, Return> Scoped<'_, Input, Yield, Return> {
    /// Runs the coroutine until it suspends or ends; see [`Coroutine::resume`].
    ///
    /// # Panics
    ///
    /// As `Coroutine::resume`.
    #[inline]
    #[track_caller]
    pub fn resume(&mut self, input: Input) -> CoroutineResult<Yield, Return> {
        self.coroutine.resume(input)
    }

    /// Whether the coroutine has ended; see [`Coroutine::is_done`].
    #[inline]
    pub fn is_done(&self) -> bool {
        self.coroutine.is_done()
    }
}

impl<Item> Iterator for Scoped<'_, (), Item, ()> {
    type Item = Item;

    #[inline]
    fn next(&mut self) -> Option<Item> {
        if self.is_done() { None } else { self.resume(()).into_yield() }
    }
}

impl<Item> core::iter::FusedIterator for Scoped<'_, (), Item, ()> {}
