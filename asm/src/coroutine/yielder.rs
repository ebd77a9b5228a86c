//! The inside of a coroutine: how its body starts, suspends and ends.
//!
//! The two sides find each other by the [`Link`], the first field of the yielder, and send each other values in the word of
//! the switch. A value that does not fit into a word lies in the frame of its sender, who is suspended while the other side reads
//! it, and the word is its address. If there is no input but the order to unwind, the resumer passes a link of its own: looking whether it is
//! the right one costs less than a field would.
#![expect(unsafe_code, reason = "reads values from the other side's frame, and its own body from raw memory")]

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::ptr;
use std::boxed::Box;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use super::end::Member;
use super::panics::{LEFT_ALONE, Taken};
use crate::linking::{End, Link, Word, finish, suspend};

/// Whether values of this type travel in the word itself.
const fn is_small<T>() -> bool {
    size_of::<T>() <= size_of::<Word>()
}

/// The word for a value, which the other side takes out once by [`decode`], while `value` is still there.
#[inline(always)]
pub(super) fn encode<T>(value: &mut ManuallyDrop<T>) -> Word {
    if is_small::<T>() {
        let mut word = Word::uninit();
        // SAFETY: it fits, and the original is not used as a value again.
        unsafe { word.as_mut_ptr().cast::<T>().write_unaligned(ptr::read(&raw const **value)) };
        word
    } else {
        MaybeUninit::new((&raw mut *value).cast())
    }
}

/// Takes a value out of its word.
///
/// # Safety
///
/// The word came from [`encode`] with the same type, whose argument is still there, and this is done once.
#[inline(always)]
pub(super) unsafe fn decode<T>(word: Word) -> T {
    if is_small::<T>() {
        // SAFETY: the caller's promise.
        unsafe { word.as_ptr().cast::<T>().read_unaligned() }
    } else {
        // SAFETY: the caller's promise.
        unsafe { word.assume_init().cast::<T>().read() }
    }
}

/// The payload that unwinds a suspended coroutine which is dropped.
pub(super) struct Unwound;

/// The inner end of a coroutine, with which it suspends. Its body is called with a reference to one.
///
/// The reference can be passed on to any depth of calls:
///
/// ```
/// # use abaca_asm as abaca;
/// use abaca::coroutine::{Coroutine, Yielder};
///
/// fn countdown(yielder: &Yielder<(), u32>, from: u32) {
///     if from > 0 {
///         yielder.suspend(from);
///         countdown(yielder, from - 1);
///     }
/// }
///
/// let mut coroutine = Coroutine::new(|yielder, ()| countdown(yielder, 2));
/// assert_eq!(coroutine.resume(()).into_yield(), Some(2));
/// assert_eq!(coroutine.resume(()).into_yield(), Some(1));
/// assert_eq!(coroutine.resume(()).into_yield(), None);
/// ```
#[repr(C)]
pub struct Yielder<Input, Yield> {
    /// Where both sides go on. The first field: a pointer to the whole is a pointer to it.
    pub(super) member: Member,
    /// The number of panics that were under way on the thread when the coroutine was resumed, or [`LEFT_ALONE`]. It is 0 while
    /// the coroutine is suspended.
    pub(super) standing: Cell<usize>,
    /// Whether the coroutine is suspended with panics of its own, which were taken off the thread.
    pub(super) is_unwinding: Cell<bool>,
    /// Whether the body has begun, or never will.
    pub(super) has_begun: Cell<bool>,
    /// It takes the one and gives the other, on the coroutine's thread.
    values: PhantomData<Cell<*mut (Input, Yield)>>,
}

impl<Input, Yield> Yielder<Input, Yield> {
    /// Suspends the coroutine: the current [`resume`](super::Coroutine::resume) returns `value`, and this
    /// call returns the input of the next one.
    ///
    /// If the coroutine is dropped instead of resumed, this call unwinds.
    #[inline]
    pub fn suspend(&self, value: Yield) -> Input {
        if thread::panicking() {
            return self.suspend_unwinding(value);
        }
        self.switch_to_resumer(value)
    }

    /// Suspends a coroutine that may be unwinding, and takes its panics off the thread meanwhile.
    #[cold]
    #[inline(never)]
    fn suspend_unwinding(&self, value: Yield) -> Input {
        match self.standing.get() {
            LEFT_ALONE => self.switch_to_resumer(value),
            standing => {
                self.standing.set(0);
                let taken = Taken::all_but(standing);
                self.is_unwinding.set(taken.is_some());
                let input = self.switch_to_resumer(value);
                self.is_unwinding.set(false);
                input
            }
        }
    }

    #[inline(always)]
    fn switch_to_resumer(&self, value: Yield) -> Input {
        let mut value = ManuallyDrop::new(value);
        // SAFETY: a body can call this only while its coroutine runs, since the yielder is lent to it for that time and stays on
        // its thread. The word and the link that the switch returns come from the next resumer, which is suspended.
        unsafe {
            let own = &raw const self.member.link;
            let (word, link) = suspend(own, encode(&mut value));
            if link != own {
                self.unwind(&*link);
            }
            decode(word)
        }
    }

    /// Unwinds the coroutine up to `run`, without calling the panic hook, on behalf of the resumer whose link this is.
    #[cold]
    fn unwind(&self, order: &Link) -> ! {
        self.member.link.resumer.set(order.resumer.get());
        panic::resume_unwind(Box::new(Unwound))
    }
}

impl<Input, Yield> core::fmt::Debug for Yielder<Input, Yield> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Yielder").finish_non_exhaustive()
    }
}

/// The record at the top of a coroutine's stack.
#[repr(C)]
pub(super) struct Start<Input, Yield, Body> {
    /// The first field: a pointer to the whole is a pointer to it, and to its link.
    pub(super) yielder: Yielder<Input, Yield>,
    /// Read once, by `run`.
    body: ManuallyDrop<Body>,
}

impl<Input, Yield, Body> Start<Input, Yield, Body> {
    pub(super) fn new(body: Body) -> Self {
        let yielder = Yielder {
            member: Member::new(),
            standing: Cell::new(0),
            is_unwinding: Cell::new(false),
            has_begun: Cell::new(false),
            values: PhantomData,
        };
        Self { yielder, body: ManuallyDrop::new(body) }
    }
}

const _: () = assert!(mem::offset_of!(Start<u8, u8, u8>, yielder.member.link) == 0);

/// The entry function of a coroutine's stack.
///
/// # Safety
///
/// `link` is that of a `Start` of these types whose body was not read, and `word` is an input, [encoded](encode) by a resumer that is
/// suspended, unless `has_begun` is set already. The same holds for the word of each later switch to the coroutine.
pub(super) unsafe extern "C" fn run<Input, Yield, Return, Body>(word: Word, link: *const Link)
where
    Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
{
    let start = link.cast_mut().cast::<Start<Input, Yield, Body>>();
    // SAFETY: the contract of this function. The body is read here and nowhere else.
    let (yielder, body) = unsafe { (&(*start).yielder, ManuallyDrop::take(&mut (*start).body)) };
    if yielder.has_begun.replace(true) {
        // SAFETY: this is the entry function.
        return unsafe { drop_unbegun(body, link) };
    }
    // SAFETY: the contract of this function.
    let result = panic::catch_unwind(AssertUnwindSafe(|| body(yielder, unsafe { decode(word) })));
    // SAFETY: this is the entry function. The resumer takes what lies in this frame before it calls `bury`.
    unsafe {
        match result {
            Ok(value) => finish(link, encode(&mut ManuallyDrop::new(value)), End::RETURNED),
            Err(payload) => finish(link, encode(&mut ManuallyDrop::new(payload)), End::PANICKED),
        }
    }
}

/// Drops the body of a coroutine that was dropped before it was first resumed. There is nothing to unwind, which may not even be
/// possible.
///
/// # Safety
///
/// As for [`finish`].
#[cold]
#[inline(never)]
unsafe fn drop_unbegun<Body>(body: Body, link: *const Link) {
    let result = panic::catch_unwind(AssertUnwindSafe(|| drop(body)));
    // SAFETY: the caller's promise.
    unsafe {
        match result {
            Ok(()) => finish(link, Word::uninit(), End::DROPPED),
            Err(payload) => finish(link, encode(&mut ManuallyDrop::new(payload)), End::PANICKED),
        }
    }
}
